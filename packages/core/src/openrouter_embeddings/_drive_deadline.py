"""An exact end of a whole exchange, for threads.

httpx bounds each wait for the next byte, not their sum: a server that sends one byte in time, again and again, holds a
thread for ever. Here every wait is cut to what is left of the exchange. asyncio needs none of this: a task can be
cancelled from outside.
"""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import httpcore
import httpx

_exchange = threading.local()
_MANY = 64 * 1024
_AT_ONCE = 128 * 1024
"""Most bytes taken from a socket at a time, where httpcore asks for many. Each turn costs a call of the system and, if
others read too, a change of threads; still more would cost memory in each of them."""


@contextmanager
def until(deadline: float) -> Iterator[None]:
    """Let no wait of this thread go on after `deadline`, in monotonic seconds."""
    _exchange.deadline = deadline
    try:
        yield
    finally:
        _exchange.deadline = None


def _left(timeout: float | None) -> float | None:
    """Return how long the next wait may take, or raise what httpx raises when a wait took too long."""
    deadline: float | None = getattr(_exchange, "deadline", None)
    if deadline is None:
        return timeout
    left = deadline - time.monotonic()
    if left <= 0.0:
        raise httpcore.ReadTimeout
    return left if timeout is None else min(timeout, left)


class _Stream(httpcore.NetworkStream):
    """A connection whose waits end with the exchange."""

    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes if max_bytes < _MANY else _AT_ONCE, _left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _left(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, _left(timeout)))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _Backend(httpcore.NetworkBackend):
    """Opens such connections."""

    def __init__(self, backend: httpcore.NetworkBackend) -> None:
        self._backend = backend

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        return _Stream(self._backend.connect_tcp(host, port, _left(timeout), local_address, socket_options))


def end_waits_with_the_exchange(client: httpx.Client) -> httpx.Client:
    """Return the client with connections that heed `until`.

    httpx has no public place for a network backend. Where these attributes are gone in a version to come, the bound
    is that of each single wait, as httpx has it; a test says so.
    """
    for transport in [client._transport, *client._mounts.values()]:
        pool = getattr(transport, "_pool", None)
        if pool is not None and hasattr(pool, "_network_backend"):
            pool._network_backend = _Backend(pool._network_backend)
    return client
