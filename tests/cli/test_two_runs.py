"""Two runs with one output: one writes it, the other says so."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no such locks there")
HOLDS = """
import sys, time
from pathlib import Path
from openrouter_embeddings.cli.writers import writing
with writing(Path(sys.argv[1])):
    print("holding", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def another_run(command):
    """Start a process that is writing a file; it ends with the test."""
    started = []

    def start(out: str) -> subprocess.Popen:
        started.append(subprocess.Popen([sys.executable, "-c", HOLDS, out], stdout=subprocess.PIPE, text=True))
        assert started[-1].stdout.readline() == "holding\n"
        return started[-1]

    yield start
    for one in started:
        one.kill()
        one.communicate()


@pytest.mark.parametrize("out", ["o.parquet", "o.npy"])
def test_the_second_run_pays_nothing_and_leaves_the_first_ones_files_alone(embed, embeddings_gateway, another_run, out):
    another_run(out)
    before = {one.name: one.stat().st_ino for one in Path().iterdir()}
    refused = embed("-", "--out", out, "--no-cache", text="one\n")
    assert refused.exit_code == 2
    assert f"Another run is writing '.{out}.partial'. Wait for it, or choose another --out." in refused.output
    assert {one.name: one.stat().st_ino for one in Path().iterdir()} == before
    assert embeddings_gateway.embedding_requests() == []


@pytest.mark.parametrize("out", ["o.parquet", "o.npy"])
def test_a_run_that_was_killed_holds_nothing(embed, another_run, out):
    killed = another_run(out)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert list(Path().glob(".*.partial"))
    assert embed("-", "--out", out, text="one\n").exit_code == 0
    assert not list(Path().glob(".*.partial"))


def test_one_run_after_another_is_free_to_write(embed):
    for text in ("one\n", "two\n"):
        assert embed("-", "--out", "o.npy", text=text).exit_code == 0
