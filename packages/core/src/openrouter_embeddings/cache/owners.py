"""Who holds a claim: a process, which on Linux can be told from one that has ended, so that nobody waits for the dead."""

from __future__ import annotations

import os
from pathlib import Path


def new_owner() -> bytes:
    """Return a name for an owner of claims in this process: machine, process, its start, and something random."""
    pid = os.getpid()
    return b"|".join([_machine(), b"%d" % pid, _started(pid), os.urandom(8).hex().encode()])


def has_ended(owner: bytes) -> bool:
    """Return whether an owner's process is known to have ended. Of another machine or container, nothing is known."""
    machine, pid, started, _ = owner.split(b"|")
    return bool(machine) and machine == _machine() and _started(int(pid)) != started


def _machine() -> bytes:
    """Return what numbers of processes mean something in: since which boot, in which namespace. Empty: not known."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_bytes().strip()
        return boot + b"/%d" % Path("/proc/self/ns/pid").stat().st_ino
    except OSError:
        return b""


def _started(pid: int) -> bytes:
    """Return when a process was started, in ticks since the boot; empty if it has ended."""
    try:
        # The second field is the name in brackets, and may hold anything. The state is the third, the start the 22nd.
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return b""
    return b"" if fields[0] in {b"Z", b"X"} else fields[19]
