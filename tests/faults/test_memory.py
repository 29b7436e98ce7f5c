"""A body that no right answer has is not read to its end, packed or plain."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from .body_faults import BOMB, PACKED, PLAIN, gzip_bomb
from .calls import COLOURS
from .server import FaultServer, right_answer

MOST = 80 << 20
PROBE = Path(__file__).with_name("memory_probe.py")
BOMBS = [fault for fault in PACKED if fault.name.endswith("_bomb")]


def test_the_bombs_are_as_large_as_they_say():
    assert [fault.name for fault in BOMBS] == ["gzip_bomb", "plain_bomb"]
    assert len(gzip_bomb()) < 1 << 20
    assert min(BOMB, PLAIN) > 3 * MOST


@pytest.mark.skipif(sys.platform == "win32", reason="the peak of resident memory is read the Unix way")
@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("fault", BOMBS, ids=lambda fault: fault.name)
def test_a_bomb_costs_little_memory(server: FaultServer, fault, colour):
    def bomb_from_the_second_request_on(wire, request):
        if len(server.requests) > 1:
            fault.act(wire, request)
        else:
            wire.open = True
            wire.send(right_answer(request))

    server.strike(type(fault)("later", bomb_from_the_second_request_on))
    done = subprocess.run(
        [sys.executable, str(PROBE), colour, server.url],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")},
    )
    assert done.returncode == 0, done.stderr
    error, grown = done.stdout.split()
    assert error == "ResponseError"
    assert int(grown) < MOST
