"""Which processes below one talk to a gateway: those are the workers that a test may kill."""

from __future__ import annotations

from contextlib import suppress
from urllib.parse import urlsplit

import psutil


def connected_to(address: str, process: psutil.Process) -> list[psutil.Process]:
    """Return the processes below a process that have a connection to an address."""
    found = []
    for child in process.children(recursive=True):
        with suppress(psutil.Error):
            if urlsplit(address).port in {peer.raddr.port for peer in child.net_connections() if peer.raddr}:
                found.append(child)
    return found
