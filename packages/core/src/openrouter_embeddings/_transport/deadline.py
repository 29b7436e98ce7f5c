"""An exact end of a whole exchange, for threads.

httpcore bounds each wait for the next byte, not their sum: a server that sends one byte in time, again and again, would
hold a thread for ever. Here every wait is cut to what is left of the exchange. asyncio needs none of this: a task can be
cancelled from outside.
"""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Iterable
from typing import Any

import httpcore

from .whole_requests import WholeRequests

_current = threading.local()
_MANY = 64 * 1024
_AT_ONCE = 128 * 1024
"""Most bytes taken from a socket or given to it at a time. Each turn costs a call of the system and, if other threads do
the same, a change of threads; still more would cost memory in each of them."""


class Deadline:
    """Inside its block no wait of this thread goes on after a moment, in monotonic seconds."""

    def __init__(self, moment: float) -> None:
        self._moment = moment

    def __enter__(self) -> None:
        _current.deadline = self._moment

    def __exit__(self, *_: object) -> None:
        _current.deadline = None


def _left(timeout: float | None, expired: type[Exception] = httpcore.ReadTimeout) -> float | None:
    """Return how long the next wait may take, or raise what httpcore raises when a wait took too long."""
    deadline: float | None = getattr(_current, "deadline", None)
    if deadline is None:
        return timeout
    left = deadline - time.monotonic()
    if left <= 0.0:
        raise expired
    return left if timeout is None else min(timeout, left)


class _Stream(httpcore.NetworkStream):
    """A connection whose waits end with the exchange."""

    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream
        self._requests = WholeRequests()

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read what has come."""
        return self._stream.read(max_bytes if max_bytes < _MANY else _AT_ONCE, _left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write all of it, in pieces: a slow reader must not get the whole time for each."""
        buffer = self._requests.joined(buffer)
        for start in range(0, len(buffer), _AT_ONCE):
            self._stream.write(buffer[start : start + _AT_ONCE], _left(timeout))

    def close(self) -> None:
        """Close the connection."""
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        """Return the connection, encrypted."""
        left = _left(timeout, httpcore.ConnectTimeout)
        return self._encrypted(self._stream.start_tls(ssl_context, server_hostname, left))

    def _encrypted(self, stream: httpcore.NetworkStream) -> _Stream:
        return _EncryptedStream(stream)

    def get_extra_info(self, info: str) -> Any:
        """Return a fact about the connection."""
        return self._stream.get_extra_info(info)


class _EncryptedStream(_Stream):
    """A connection over TLS, from which a read takes all that has come, as one without TLS does.

    OpenSSL hands out one record at a time, of at most 16 KB; of each httpcore and h11 would make a piece of the answer.
    """

    def __init__(self, stream: httpcore.NetworkStream) -> None:
        super().__init__(stream)
        self._fault: OSError | None = None
        self._buffer = memoryview(bytearray(_AT_ONCE))

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read what has come. A fault after some of it is raised by the next read."""
        if self._fault is not None:
            raise httpcore.ReadError(str(self._fault)) from self._fault
        first = super().read(max_bytes, timeout)
        connection = self.get_extra_info("socket")
        if not first or max_bytes < _MANY or not isinstance(connection, ssl.SSLSocket):
            return first
        return first + self._what_else_came(connection, _AT_ONCE - len(first))

    def _what_else_came(self, connection: ssl.SSLSocket, most: int) -> memoryview:
        """Return what can be read without waiting, to be used before the next read."""
        count = 0
        connection.settimeout(0.0)  # each read and each write sets its own
        try:
            while count < most and (more := connection.recv_into(self._buffer[count:most])):
                count += more
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass
        except OSError as fault:
            self._fault = fault
        return self._buffer[:count]

    def _encrypted(self, stream: httpcore.NetworkStream) -> _Stream:
        # Through a proxy that is reached over TLS itself: what the socket hands out is the proxy's, not the gateway's.
        return _Stream(stream)


class DeadlineBackend(httpcore.NetworkBackend):
    """Opens connections whose waits end with the exchange."""

    def __init__(self) -> None:
        self._backend = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """Open one."""
        left = _left(timeout, httpcore.ConnectTimeout)
        return _Stream(self._backend.connect_tcp(host, port, left, local_address, socket_options))
