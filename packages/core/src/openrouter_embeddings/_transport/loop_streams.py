"""Connections of an event loop, on asyncio's own transports.

httpcore's go through anyio, which opens a scope of its own around each read and each write. Here the deadline is that of
the whole exchange, set by who awaits it, and a read hands on what has come as it came.
"""

from __future__ import annotations

import asyncio
import select
import ssl
import weakref
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import httpcore

from .connecting import connect
from .whole_requests import WholeRequests

_MOST_UNREAD = 1024 * 1024
"""Bytes that may wait here for their reader; then the sender waits."""
_NAMES = {"client_addr": "sockname", "server_addr": "peername"}
"""What asyncio calls the facts that httpcore asks for."""


class LoopBackend(httpcore.AsyncNetworkBackend):
    """Opens connections on the running loop."""

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Open one. Of a local address and options, our pools give none; asyncio sets TCP_NODELAY of its own accord."""
        with _translated():
            async with asyncio.timeout(timeout):
                transport, incoming = await connect(_Incoming, host, port)
        return _Stream(transport, incoming)


class _Incoming(asyncio.Protocol):
    """What has come and is not read, whether there will be more, and whether more can be sent.

    One task at a time reads or writes: a connection serves one exchange after another.
    """

    def __init__(self) -> None:
        self.ended = False
        self.error: Exception | None = None
        self._transport: Any = None
        self._pieces = deque[bytes]()
        self._unread = 0
        self._is_full = False
        self._change: asyncio.Future[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin; again where the connection is encrypted from now on."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Keep what came."""
        self._pieces.append(data)
        self._count(len(data))
        self._changed()

    def eof_received(self) -> None:
        """Note that nothing more will come."""
        self.ended = True
        self._changed()

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that nothing more will come or go, and why."""
        self.ended, self.error = True, exc
        self._changed()

    def pause_writing(self) -> None:
        """Have the writer wait."""
        self._is_full = True

    def resume_writing(self) -> None:
        """Let it go on."""
        self._is_full = False
        self._changed()

    @property
    def is_idle(self) -> bool:
        """Whether the connection is open, with nothing unread."""
        return not (self._pieces or self.ended)

    async def read(self) -> bytes:
        """Return what came first, or b"" where nothing more will come."""
        while self.is_idle:
            await self._until_change()
        if self._pieces:
            piece = self._pieces.popleft()
            self._count(-len(piece))
            return piece
        if self.error is not None:
            raise httpcore.ReadError(str(self.error)) from self.error
        return b""

    async def until_not_full(self) -> None:
        """Wait until more can be sent, or nothing ever."""
        while self._is_full and not self.ended:
            await self._until_change()

    def _count(self, more: int) -> None:
        had_to_wait, self._unread = self._unread > _MOST_UNREAD, self._unread + more
        has_to_wait = self._unread > _MOST_UNREAD
        if has_to_wait and not had_to_wait:
            self._transport.pause_reading()
        elif had_to_wait and not has_to_wait and not self.ended:  # uvloop refuses where there is nothing to resume
            self._transport.resume_reading()

    async def _until_change(self) -> None:
        self._change = asyncio.get_running_loop().create_future()
        await self._change

    def _changed(self) -> None:
        if self._change is not None and not self._change.done():
            self._change.set_result(None)


class _Stream(httpcore.AsyncNetworkStream):
    """A connection. No wait of it has an end of its own, save those for opening it."""

    def __init__(self, transport: asyncio.Transport, incoming: _Incoming) -> None:
        self._transport, self._incoming = transport, incoming
        self._requests = WholeRequests()
        # httpcore forgets a connection that a SOCKS proxy refuses, and may forget one whose task is cancelled. The loop
        # would keep it.
        self._forgotten = weakref.finalize(self, _abort, asyncio.get_running_loop(), transport)
        self._forgotten.atexit = False

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Return what has come, however much that is: the loop has read it already."""
        return await self._incoming.read()

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send it, as far as the other side and the system take it."""
        buffer = self._requests.joined(buffer)
        if not buffer:
            return
        if self._incoming.ended or self._transport.is_closing():
            raise httpcore.WriteError("the connection is closed") from self._incoming.error
        self._transport.write(buffer)
        await self._incoming.until_not_full()

    async def aclose(self) -> None:
        """Close the connection, whatever is unsent, at the loop's next turn.

        It is not waited for: in that moment a task could be cancelled, and those that it has yet to close would stay open.
        """
        self._forgotten.detach()
        self._transport.abort()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        """Return the connection, encrypted."""
        try:
            with _translated():
                async with asyncio.timeout(timeout):
                    encrypted = await self._encrypted(ssl_context, server_hostname)
        except BaseException:
            await self.aclose()
            raise
        self._incoming.connection_made(encrypted)
        self._forgotten.detach()
        return _Stream(encrypted, self._incoming)

    async def _encrypted(self, ssl_context: ssl.SSLContext, server_hostname: str | None) -> asyncio.Transport:
        if not self._incoming.is_idle:  # a proxy could have its own words taken for encrypted ones
            raise ConnectionResetError("the connection ended, or something came, before TLS began")
        loop = asyncio.get_running_loop()
        encrypted = await loop.start_tls(self._transport, self._incoming, ssl_context, server_hostname=server_hostname)
        assert encrypted is not None
        return encrypted

    def get_extra_info(self, info: str) -> Any:
        """Return a fact about the connection."""
        if info == "is_readable":
            return not self._incoming.is_idle or _has_more(self._transport)
        return self._transport.get_extra_info(_NAMES.get(info, info))


@contextmanager
def _translated() -> Iterator[None]:
    """Raise what httpcore raises where a connection cannot be opened."""
    try:
        yield
    except TimeoutError as error:
        raise httpcore.ConnectTimeout(str(error)) from error
    except (OSError, ExceptionGroup) as error:
        raise httpcore.ConnectError(str(error)) from error


def _abort(loop: asyncio.AbstractEventLoop, transport: asyncio.Transport) -> None:
    with suppress(RuntimeError):  # the loop is closed
        loop.call_soon_threadsafe(transport.abort)  # the garbage collector may run in any thread


def _has_more(transport: asyncio.Transport) -> bool:
    """Return whether something has come, if only an end, that a loop which was busy has not looked at yet."""
    connection = transport.get_extra_info("socket")
    if transport.is_closing() or connection is None or connection.fileno() < 0:
        return True
    if not hasattr(select, "poll"):  # Windows
        return bool(select.select([connection], [], [], 0)[0])
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    return bool(poll.poll(0))
