"""Owners of claims: those whose process has ended are known, where anything is known."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from openrouter_embeddings.cache import SqliteCache, owners

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing is known of other processes")
NAME = "import sys; from openrouter_embeddings.cache import owners; print(owners.new_owner().decode(), flush=True); "


def test_two_owners_of_one_process_are_told_apart_and_have_not_ended():
    first, second = owners.new_owner(), owners.new_owner()
    assert first != second
    assert not owners.has_ended(first)


def test_a_process_that_has_ended_is_known_even_before_it_is_waited_for():
    process = subprocess.Popen([sys.executable, "-c", NAME + "sys.stdin.read()"], stdin=-1, stdout=-1)
    assert process.stdin is not None
    assert process.stdout is not None
    owner = process.stdout.readline().strip()
    assert not owners.has_ended(owner)
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert owners.has_ended(owner)
    process.communicate()
    assert owners.has_ended(owner)


def test_another_process_of_the_same_number_is_another():
    machine, pid, started, rest = owners.new_owner().split(b"|")
    assert owners.has_ended(b"|".join([machine, pid, b"%d" % (int(started) - 1), rest]))


def test_of_another_machine_or_where_nothing_is_told_nothing_is_known(monkeypatch):
    owner = owners.new_owner()
    assert not owners.has_ended(b"elsewhere" + owner)
    monkeypatch.setattr(owners, "Path", lambda name: __import__("pathlib").Path("/nowhere" + name))
    nameless = owners.new_owner()
    assert nameless.startswith(b"|")
    assert not owners.has_ended(nameless)
    assert not owners.has_ended(owner)


def test_claims_of_a_process_that_has_ended_are_free_at_once(tmp_path):
    path = tmp_path / "embeddings.sqlite"
    claim = f"from openrouter_embeddings import SqliteCache; SqliteCache({str(path)!r}).claim([b'key'], 1e6)"
    subprocess.run([sys.executable, "-c", claim], check=True)
    with SqliteCache(path) as cache:
        assert cache.claim([b"key"], 60.0) == {b"key"}
