"""Several workers that begin at the same moment."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).with_name("worker.py")


class Workers:
    """Workers that are at work.

    Args:
        process: Which has begun them.
    """

    def __init__(self, process):
        self._process = process
        self.processes = json.loads(process.stdout.readline())

    def kill(self, number):
        """Kill one."""
        os.kill(self.processes[number], signal.SIGKILL)

    def results(self):
        """Wait until all have ended, and return what they have seen."""
        return [json.loads(line) for line in self._process.stdout]


@contextlib.contextmanager
def workers(count, **task):
    """Yield workers that are at work; what is left of them is killed at the end. `task` is as `Worker` has it."""
    process = subprocess.Popen(
        [sys.executable, str(SCRIPT)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        start_new_session=True,
    )
    try:
        print(json.dumps({**task, "workers": count}), file=process.stdin, flush=True)
        assert process.stdout.readline() == "ready\n"
        print("begin", file=process.stdin, flush=True)
        yield Workers(process)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdin.close()
        process.stdout.close()
