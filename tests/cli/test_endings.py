"""How a command ends, and what it leaves behind."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console

from openrouter_embeddings import StreamProgress

LINES = 100_000 if os.environ.get("OPENROUTER_EMBEDDINGS_ENDURANCE") == "full" else 5_000
BATCH, CONCURRENCY, PATIENCE = 50, 4, 120.0
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="no such signals there")


@pytest.mark.parametrize(("status", "code"), [(401, 4), (402, 4), (403, 4), (400, 3)])
def test_the_exit_code_says_why(embed, embeddings_gateway, status, code):
    embeddings_gateway.trouble("status", status=status, times=None)
    assert embed("-", "--out", "o.npy", text="one\n").exit_code == code


def test_what_ends_a_run_leaves_the_older_output_alone_and_says_how_to_go_on(embed, embeddings_gateway):
    Path("o.npy").write_bytes(b"older")
    embeddings_gateway.trouble("status", status=402, after=2, times=None)
    text = "".join(f"text {one}\n" for one in range(40))
    options = ("--out", "o.npy", "--batch-size", 4, "--max-concurrency", 1)
    stopped = embed("-", *options, text=text)
    assert stopped.exit_code == 4
    assert "the same command goes on" in stopped.output
    assert Path("o.npy").read_bytes() == b"older"
    embeddings_gateway.reset()
    assert embed("-", *options, text=text).exit_code == 0
    assert embeddings_gateway.paid_inputs() == 32


def test_without_a_cache_it_does_not_promise_one(embed, embeddings_gateway):
    embeddings_gateway.trouble("status", status=402, times=None)
    stopped = embed("-", "--out", "o.npy", "--no-cache", text="one\n")
    assert "goes on" not in stopped.output
    assert not list(Path().iterdir())


def test_the_key_that_is_missing_is_one_of_the_environment(embed, monkeypatch):
    monkeypatch.delenv("OPENROUTER_API_KEY")
    result = embed("-", "--out", "o.npy", text="one\n")
    assert result.exit_code == 2
    assert "OPENROUTER_API_KEY" in result.output
    assert "api_key=" not in result.output


def test_quiet_says_nothing(embed):
    assert embed("-", "--out", "o.npy", "--quiet", text="one\n").output == ""


def test_models_are_found_whatever_the_case_and_not_wrapped_in_a_pipe(command):
    ids = [one["id"] for one in json.loads(command("models", "--json").stdout)]
    rows = [line.split()[0] for line in command("models").stdout.splitlines()[1:]]
    assert rows == ids
    assert "text-embedding-3-small" in command("models", "--search", "EMBEDDING-3").stdout


def test_the_bar_is_for_terminals():
    from openrouter_embeddings.cli.progress import Bar

    shown = {}
    for terminal in (True, False):
        file = io.StringIO()
        with Bar(10, quiet=False, console=Console(file=file, force_terminal=terminal, width=100)) as bar:
            bar(StreamProgress(done=3, failed=1, seconds=2.0))
        shown[terminal] = file.getvalue()
    assert "4/10" in shown[True]
    assert "2/s" in shown[True]
    assert shown[False] == ""


def write_lines() -> None:
    Path("in.txt").write_text("".join(f"line number {one}\n" for one in range(LINES)))


def start(out: str) -> subprocess.Popen:
    options = ["--model", "openai/text-embedding-3-small", "--dimensions", "64", "--batch-size", str(BATCH)]
    command = [sys.executable, "-m", "openrouter_embeddings.cli", "embed", "in.txt", "--out", out, *options]
    return subprocess.Popen([*command, "--max-concurrency", str(CONCURRENCY)], stderr=subprocess.PIPE, text=True)


def wait_for(gateway, *, paid: int) -> None:
    give_up = time.monotonic() + PATIENCE
    while gateway.stats()["paid_inputs"] < paid:
        assert time.monotonic() < give_up
        time.sleep(0.005)


def paid_when_quiet(gateway) -> int:
    give_up = time.monotonic() + PATIENCE
    while (stats := gateway.stats())["in_flight"]:
        assert time.monotonic() < give_up
        time.sleep(0.005)
    return stats["paid_inputs"]


def finished(process: subprocess.Popen) -> str:
    _, said = process.communicate(timeout=10 * PATIENCE)
    assert process.returncode == 0, said
    return said


@POSIX
@pytest.mark.parametrize("out", ["o.parquet", "o.npy"])
def test_killed_in_the_middle_the_same_command_goes_on(command, embeddings_gateway, out):
    write_lines()
    finished(start(f"whole-{out}"))
    embeddings_gateway.reset()
    killed = start(out)
    wait_for(embeddings_gateway, paid=LINES // 3)
    killed.kill()
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    before = paid_when_quiet(embeddings_gateway)
    assert LINES // 3 <= before < LINES
    assert not Path(out).exists()
    assert "from the cache" in finished(start(out))
    assert Path(out).read_bytes() == Path(f"whole-{out}").read_bytes()
    assert LINES <= embeddings_gateway.paid_inputs() <= LINES + CONCURRENCY * BATCH
    assert not list(Path().glob(".*partial"))


@POSIX
@pytest.mark.usefixtures("unmeasured_processes")
def test_interrupted_it_sends_no_more_and_loses_nothing_that_was_paid(command, embeddings_gateway):
    write_lines()
    embeddings_gateway.trouble("slow", seconds=0.3, times=None)
    interrupted = start("o.npy")
    wait_for(embeddings_gateway, paid=CONCURRENCY * BATCH)
    interrupted.send_signal(signal.SIGINT)
    sent = len(embeddings_gateway.embedding_requests())
    _, said = interrupted.communicate(timeout=PATIENCE)
    assert interrupted.returncode == 130, said
    assert "Traceback" not in said
    assert "the same command goes on" in said
    # What was in flight, and what each of those made room for while the signal was on its way.
    assert len(embeddings_gateway.embedding_requests()) <= sent + CONCURRENCY
    assert not Path("o.npy").exists()
    before = paid_when_quiet(embeddings_gateway)
    embeddings_gateway.reset()
    finished(start("o.npy"))
    assert before + embeddings_gateway.paid_inputs() == LINES


@POSIX
@pytest.mark.usefixtures("unmeasured_processes")
def test_a_second_interruption_does_not_wait(command, embeddings_gateway):
    write_lines()
    embeddings_gateway.trouble("slow", seconds=30.0, times=None, after=CONCURRENCY)
    interrupted = start("o.npy")
    wait_for(embeddings_gateway, paid=CONCURRENCY * BATCH)
    give_up = time.monotonic() + PATIENCE
    while embeddings_gateway.stats()["in_flight"] < CONCURRENCY:
        assert time.monotonic() < give_up
        time.sleep(0.005)
    interrupted.send_signal(signal.SIGINT)
    told = interrupted.stderr.readline()
    assert "Ctrl-C again" in told
    interrupted.send_signal(signal.SIGINT)
    _, said = interrupted.communicate(timeout=20.0)
    assert interrupted.returncode == -signal.SIGINT
    assert "Traceback" not in said
