"""A connection of an event loop to whichever address of a host answers first."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from ipaddress import ip_address
from itertools import chain, zip_longest
from typing import TypeAlias, TypeVar

P = TypeVar("P", bound=asyncio.Protocol)
Connected: TypeAlias = "tuple[asyncio.Transport, P]"
_HEAD_START = 0.25
"""Seconds that an address has before the next one is tried beside it. RFC 8305 (Happy Eyeballs), section 8."""


async def connect(protocol: Callable[[], P], host: str, port: int) -> Connected[P]:
    """Return a connection and its protocol.

    Each address of the host is tried when the one before has failed, or has been silent for a while: where IPv6 leads
    nowhere, that costs a moment, not the whole time. (asyncio's own way tells only words of what failed, and uvloop has
    none.)

    Args:
        protocol: Makes the protocol of a connection.
        host: Its name, or an address.
        port: Its port.

    Raises:
        OSError: The host has no address.
        ExceptionGroup: None of its addresses answers: an OSError of each.
    """
    loop = asyncio.get_running_loop()
    addresses = await _addresses(host, port)
    attempts: set[asyncio.Task[Connected[P]]] = set()
    errors: list[OSError] = []
    try:
        while addresses or attempts:
            if addresses:
                attempts.add(loop.create_task(loop.create_connection(protocol, addresses.pop(0), port)))
            seconds = _HEAD_START if addresses else None
            done, _ = await asyncio.wait(attempts, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            for attempt in done:
                attempts.remove(attempt)
                try:
                    return attempt.result()
                except OSError as error:
                    errors.append(error)
        raise ExceptionGroup(f"no address of {len(errors)} answers", errors)
    finally:
        # Nothing is waited for: a task that is cancelled here would lose the connection that it has.
        for attempt in attempts:
            attempt.add_done_callback(_abort)
            attempt.cancel()


async def _addresses(host: str, port: int) -> list[str]:
    """Return the addresses of a host in the system's order, IPv6 and IPv4 in turns."""
    with suppress(ValueError):
        return [str(ip_address(host))]  # no other thread has to be asked
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    families: dict[int, list[str]] = {}
    for family, _, _, _, address in found:
        families.setdefault(family, []).append(str(address[0]))
    return [address for address in chain.from_iterable(zip_longest(*families.values())) if address is not None]


def _abort(attempt: asyncio.Task[Connected[P]]) -> None:
    if not attempt.cancelled() and attempt.exception() is None:
        attempt.result()[0].abort()
