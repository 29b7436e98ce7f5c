"""One HTTP exchange, sync or async: bounded in time and size, never redirected, never decompressed past its bound."""

from __future__ import annotations

import asyncio
import io
import logging
import ssl
import time
import weakref
import zlib
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from threading import Lock
from typing import Any

import httpx

from ._drive_cancel import close_stranded, undisturbed
from ._drive_deadline import end_waits_with_the_exchange, until
from ._drive_direct import DirectAsyncClient, DirectClient, direct_request, proxies_understood
from ._effects import Broke, Failure, Reply

_log = logging.getLogger("openrouter_embeddings")
"""At DEBUG, one line per exchange: status, size and the gateway's id of it; never a text, never a header of ours."""
_CONNECT_SECONDS = 10.0
_IDLE_SECONDS = 30.0
_STEP = 1024 * 1024
_HEAD = 4096
"""Where the `error` of a 200 stands, if it holds one."""


class _TooLarge(Exception):
    """More bytes than any right answer has."""


class _Garbled(Exception):
    """The compressed bytes are not what their header says."""


class _TooLate(Exception):
    """The time for the whole exchange is over."""


_orphans: list[object] = []
"""A parent's clients, kept unclosed in a forked child: their locks may be held by threads that are not here."""


class _Body:
    """The bytes of an answer, decompressed piece by piece, never more than `most`."""

    def __init__(self, response: httpx.Response, most: int) -> None:
        encoding = response.headers.get("content-encoding", "identity").strip().lower()
        if encoding not in {"identity", "", "gzip", "x-gzip", "deflate"}:
            raise _Garbled
        packed = encoding not in {"identity", ""}
        self._unpack = zlib.decompressobj(zlib.MAX_WBITS | 32) if packed else None
        self._most = most
        self._got = io.BytesIO()

    def feed(self, chunk: bytes) -> None:
        """Take one piece from the wire."""
        if self._unpack is None:
            self._add(chunk)
            return
        try:
            full = True
            while chunk or full:  # in steps: one piece may unpack to a thousand times its size
                piece = self._unpack.decompress(chunk, _STEP)
                self._add(piece)
                chunk, full = self._unpack.unconsumed_tail, len(piece) == _STEP
        except zlib.error:
            raise _Garbled from None

    def _add(self, piece: bytes) -> None:
        self._got.write(piece)
        if self._got.tell() > self._most:
            raise _TooLarge

    def whole(self) -> bytes:
        """Return all of it; a compressed body that stops in the middle is no body."""
        if self._unpack is not None and not self._unpack.eof:
            raise _Garbled
        return self._got.getvalue()  # which copies nothing, where a bytearray would be copied by the JSON parser


@lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    """The one TLS context of the process, shared by every client: building it costs 25 ms."""
    return httpx.create_ssl_context()


@dataclass(frozen=True, slots=True)
class _OnLoop:
    """A loop's client, and what closes it with the loop. It must be held: a forgotten generator is finished at once."""

    client: httpx.AsyncClient
    keeper: AsyncGenerator[None]


class Http:
    """The connections of one client: one pool for all threads, one per running event loop."""

    def __init__(
        self,
        *,
        headers: Callable[[bool], Mapping[str, str]],
        secret: Callable[[], str],
        timeout: float,
        tls: bool,
        connections: int,
        http_client: httpx.Client | None,
        async_http_client: httpx.AsyncClient | None,
    ) -> None:
        self._headers = headers
        self._secret = secret
        self._timeout = timeout
        self._patience = httpx.Timeout(timeout, connect=min(_CONNECT_SECONDS, timeout))
        self._tls = tls
        self._connections = connections
        self._given, self._given_async = http_client, async_http_client
        self.forget()

    def forget(self) -> None:
        """Drop every connection unclosed: in a forked child they are the parent's."""
        self._lock = Lock()
        if (closing := self.__dict__.get("_closing")) is not None and closing.detach() is not None:
            _orphans.append(self._client)
        self._client: httpx.Client | None = None
        self._closing: weakref.finalize[..., Http] | None = None
        self._by_loop: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _OnLoop] = weakref.WeakKeyDictionary()

    def exchange(self, url: str, body: bytes | None, most: int, *, keyed: bool = True) -> Reply | Failure:
        """Post a body, or get a page where there is none, and read the whole answer within the timeout."""
        deadline = time.monotonic() + self._timeout
        try:
            client = self._sync_client()
            request = self._request(client, url, body, keyed=keyed)
            with until(deadline):
                response = client.send(request, stream=True, follow_redirects=False)
                try:
                    received = _Body(response, most)
                    assert isinstance(response.stream, httpx.SyncByteStream)
                    for chunk in response.stream:  # not iter_raw: that gives the connection back before it is looked at
                        received.feed(chunk)
                        if time.monotonic() > deadline:  # a client of the user's own does not heed `until`
                            raise _TooLate
                    if _holds_more(response):
                        response.extensions["network_stream"].close()
                    return self._reply(response, received.whole())
                finally:
                    response.close()
        except Exception as failed:
            return _failure(failed)

    async def aexchange(self, url: str, body: bytes | None, most: int, *, keyed: bool = True) -> Reply | Failure:
        """Do the same on the running loop."""
        try:
            async with asyncio.timeout(self._timeout):
                client = await self._async_client()
                request = self._request(client, url, body, keyed=keyed)
                try:
                    response = await client.send(request, stream=True, follow_redirects=False)
                except asyncio.CancelledError:
                    await close_stranded(client)
                    raise
                try:
                    received = _Body(response, most)
                    assert isinstance(response.stream, httpx.AsyncByteStream)
                    async for chunk in response.stream:  # unlike aiter_raw, it leaves the closing to us
                        received.feed(chunk)
                    if _holds_more(response):
                        await response.extensions["network_stream"].aclose()
                    return self._reply(response, received.whole())
                finally:
                    await undisturbed(response.aclose())
        except Exception as failed:
            return _failure(failed)

    def close(self) -> None:
        """Close the threads' connections. A client that the user gave stays open: it is the user's."""
        with self._lock:
            closing, self._closing, self._client = self._closing, None, None
        if closing is not None:
            closing()

    async def aclose(self) -> None:
        """Close the connections of the running loop."""
        mine = self._by_loop.pop(asyncio.get_running_loop(), None)
        if mine is not None:
            await mine.keeper.aclose()

    def _request(
        self, client: httpx.Client | httpx.AsyncClient, url: str, body: bytes | None, *, keyed: bool
    ) -> httpx.Request:
        if client is self._given or client is self._given_async:  # which may have headers and parameters of its own
            method = "GET" if body is None else "POST"
            headers = [(name.encode(), value.encode("latin-1")) for name, value in self._headers(keyed).items()]
            return client.build_request(method, url, content=body, headers=headers, timeout=self._patience)
        return direct_request(url, body, self._headers(keyed), {"timeout": self._patience.as_dict()})

    def _reply(self, response: httpx.Response, body: bytes) -> Reply:
        """Return the answer; an error's body loses the key, should the gateway have repeated it."""
        if response.status_code != httpx.codes.OK or b'"error"' in body[:_HEAD]:
            body = body.replace(self._secret().encode() or b"\0", b"[key]")
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers.raw}
        generation = headers.get("x-generation-id", "unknown")
        _log.debug("answered %d: %d bytes, generation %s", response.status_code, len(body), generation)
        return Reply(response.status_code, headers, body, time.time())

    def _sync_client(self) -> httpx.Client:
        if self._given is not None:
            return self._given
        with self._lock:
            if self._client is None:
                with proxies_understood():
                    client = DirectClient(verify=self._verify(), limits=self._limits())
                self._client = end_waits_with_the_exchange(client)
                # Whoever forgets to close a client leaves no open socket behind.
                self._closing = weakref.finalize(self, self._client.close)
            return self._client

    async def _async_client(self) -> httpx.AsyncClient:
        if self._given_async is not None:
            return self._given_async
        loop = asyncio.get_running_loop()
        mine = self._by_loop.get(loop)
        if mine is None:
            self._forget_closed_loops()
            with proxies_understood():
                client = DirectAsyncClient(verify=self._verify(), limits=self._limits())
            mine = self._by_loop[loop] = _OnLoop(client, self._closed_with_loop(client))
            await anext(mine.keeper)
        return mine.client

    def _forget_closed_loops(self) -> None:
        """Let go of loops that were closed without finishing their generators: their connections hold them alive."""
        for loop in [one for one in list(self._by_loop) if one.is_closed()]:
            self._by_loop.pop(loop, None)

    async def _closed_with_loop(self, client: httpx.AsyncClient) -> AsyncGenerator[None]:
        """Close a client when its loop ends.

        A loop finishes the async generators that were begun on it before it closes, which `asyncio.run` and
        its kin see to. So a generator that waits here is the one public hook that runs while the loop still can.
        """
        try:
            yield
        finally:
            self._by_loop.pop(asyncio.get_running_loop(), None)
            await client.aclose()

    def _verify(self) -> ssl.SSLContext | bool:
        return _tls() if self._tls else False

    def _limits(self) -> httpx.Limits:
        return httpx.Limits(
            max_connections=None, max_keepalive_connections=self._connections, keepalive_expiry=_IDLE_SECONDS
        )


_WAY_TO_H11 = ("_httpcore_stream", "_stream", "_connection", "_h11_state")


def _holds_more(response: httpx.Response) -> bool:
    """Say whether bytes came that belong to no answer: the next request on the connection would take them for its own.

    httpcore keeps such a connection and no public name leads to what it holds. Where this way there is gone, no
    connection is trusted with a second request: slower, never wrong.
    """
    if "network_stream" not in response.extensions or response.extensions.get("http_version") == b"HTTP/2":
        return False
    part: Any = getattr(response.stream, "_stream", response.stream)  # a client of the user's own wraps it once more
    for name in _WAY_TO_H11:
        part = getattr(part, name, None)
    return part is None or bool(part.trailing_data[0])


def _failure(failed: Exception) -> Failure:
    """Translate what went wrong. The foreign exception stays behind: it holds the request, and so the key."""
    name = type(failed).__name__
    _log.debug("no complete answer: %s", name)
    if isinstance(failed, (_TooLate, TimeoutError, httpx.ReadTimeout, httpx.WriteTimeout)):
        return Failure(Broke.TIMED_OUT, "")
    if isinstance(failed, (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError, httpx.PoolTimeout)):
        return Failure(Broke.NOT_CONNECTED, name)
    if isinstance(failed, _TooLarge):
        return Failure(Broke.TOO_LARGE)
    if isinstance(failed, _Garbled):
        return Failure(Broke.GARBLED)
    if isinstance(failed, (httpx.HTTPError, OSError, RuntimeError)):
        return Failure(Broke.CUT, name)
    raise failed
