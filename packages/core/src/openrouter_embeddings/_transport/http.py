"""One exchange, sync or async: bounded in time and size, never redirected, never decompressed past its bound."""

from __future__ import annotations

import asyncio
import logging
import time
import weakref
from collections.abc import AsyncGenerator, Callable
from typing import Any

import httpcore
import httpx

from openrouter_embeddings._fork import Lock
from openrouter_embeddings._protocol import Response, TransportFailure
from openrouter_embeddings.errors import ConfigurationError

from .body import Body
from .deadline import with_deadline
from .failures import failure_of
from .leftover import has_trailing_bytes
from .pools import LoopPool, LoopPools, ThreadsPool, async_pool, sync_pool
from .proxies import Route
from .targets import Headers, Target
from .user_clients import aexchange_with, exchange_with

_log = logging.getLogger("openrouter_embeddings")
"""At DEBUG, one line per exchange: status, size and the gateway's id of it; never a text, never a header of ours."""
_HEAD = 4096
"""Where the `error` of a 200 stands, if it holds one."""
_parent_pools: list[object] = []
"""A parent's pools, kept unclosed in a forked child: their locks may be held by threads that are not here."""


class HttpTransport:
    """The connections of one client: one pool for all threads, one per running event loop.

    Args:
        headers: Gives the headers of one request, with the key or without.
        secret: Gives the key, so that an answer which repeats it can be cleaned.
        connections: How many idle connections to keep.
        http_client: The user's own client for threads, or None.
        async_http_client: The user's own client for asyncio, or None.
    """

    def __init__(
        self,
        *,
        headers: Callable[[bool], Headers],
        secret: Callable[[], str],
        connections: int,
        http_client: httpx.Client | None = None,
        async_http_client: httpx.AsyncClient | None = None,
    ) -> None:
        self._headers = headers
        self._secret = secret
        self._connections = connections
        self._given, self._given_async = http_client, async_http_client
        self._lock = Lock()
        self._targets: dict[str, Target] = {}
        self._pools: dict[tuple[Route, bool], ThreadsPool] = {}
        self._by_loop: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, LoopPools] = weakref.WeakKeyDictionary()
        self._closing: set[asyncio.Task[None]] = set()

    def drop_connections(self) -> None:
        """Drop every connection unclosed: in a forked child they are the parent's."""
        _parent_pools.extend(self._pools.values())
        self._pools = {}
        self._by_loop = weakref.WeakKeyDictionary()
        self._closing = set()

    def exchange(
        self, url: str, body: bytes | None, *, max_bytes: int, seconds: float, keyed: bool
    ) -> Response | TransportFailure:
        """Post a body, or get a page where there is none, and read the whole answer within so many seconds."""
        deadline = time.monotonic() + seconds
        headers = self._headers(keyed)
        if self._given is not None:
            answer = exchange_with(self._given, url, body, headers, max_bytes=max_bytes, seconds=seconds)
            return self._cleaned(answer)
        target = self._target(url)
        try:
            request = target.request(body, headers, seconds)
            with self._pool(target) as pool, with_deadline(deadline):
                response = pool.handle_request(request)
                try:
                    received = Body(_encoding_of(response), max_bytes)
                    for chunk in response.iter_stream():
                        received.feed(chunk)
                    if has_trailing_bytes(response.stream, response.extensions):
                        response.extensions["network_stream"].close()
                    return self._cleaned(_read(response, received))
                finally:
                    response.close()
        except Exception as error:  # noqa: BLE001  translated, or raised again
            return failure_of(_unsendable(error), target.route)

    async def aexchange(
        self, url: str, body: bytes | None, *, max_bytes: int, seconds: float, keyed: bool
    ) -> Response | TransportFailure:
        """Do the same on the running loop."""
        headers = self._headers(keyed)
        if self._given_async is not None:
            given = self._given_async
            answer = await aexchange_with(given, url, body, headers, max_bytes=max_bytes, seconds=seconds)
            return self._cleaned(answer)
        target = self._target(url)
        try:
            async with asyncio.timeout(seconds):
                pools = await self._loop_pools()
                counted = self._counted(pools, target)
                counted.active += 1
                try:
                    request = target.request(body, headers, seconds)
                    return self._cleaned(await _aread(counted.pool, request, max_bytes))
                except asyncio.CancelledError:
                    counted.active -= 1
                    self._retire_if_stranded(pools, target, counted)
                    counted.active += 1
                    raise
                finally:
                    counted.active -= 1
        except Exception as error:  # noqa: BLE001  translated, or raised again
            return failure_of(_unsendable(error), target.route)

    def close(self) -> None:
        """Close the threads' connections. A client that the user gave stays open: it is the user's."""
        with self._lock:
            pools, self._pools = self._pools, {}
        for pool in pools.values():
            pool.close()

    async def aclose(self) -> None:
        """Close the connections of the running loop."""
        own = self._by_loop.get(asyncio.get_running_loop())
        if own is not None:
            await own.closer.aclose()

    def _target(self, url: str) -> Target:
        target = self._targets.get(url)
        if target is None:
            target = self._targets[url] = Target.of(url)
        return target

    def _pool(self, target: Target) -> ThreadsPool:
        key = (target.route, target.tls)
        with self._lock:
            pool = self._pools.get(key)
            if pool is None:
                pool = ThreadsPool(sync_pool(target.route, tls=target.tls, connections=self._connections))
                self._pools[key] = pool
                # A client that nobody closes leaves no open socket behind.
                weakref.finalize(self, _close_in_same_process, pool)
            return pool

    async def _loop_pools(self) -> LoopPools:
        loop = asyncio.get_running_loop()
        own = self._by_loop.get(loop)
        if own is None:
            for closed in [other for other in list(self._by_loop) if other.is_closed()]:
                self._by_loop.pop(closed, None)  # its connections would hold it alive
            own = self._by_loop[loop] = LoopPools(self._closed_with_loop())
            await anext(own.closer)
        return own

    def _counted(self, pools: LoopPools, target: Target) -> LoopPool:
        key = (target.route, target.tls)
        if key not in pools.pools:
            pool = async_pool(target.route, tls=target.tls, connections=self._connections)
            pools.pools[key] = LoopPool(pool)
        return pools.pools[key]

    def _retire_if_stranded(self, pools: LoopPools, target: Target, counted: LoopPool) -> None:
        """Use a new pool from now on, where a cancellation has left a connection of this one behind."""
        key = (target.route, target.tls)
        if pools.pools.get(key) is not counted or not counted.has_stranded_connection():
            return
        del pools.pools[key]

        async def close_when_unused() -> None:
            while counted.active:
                await asyncio.sleep(0.05)
            await counted.pool.aclose()

        task = asyncio.get_running_loop().create_task(close_when_unused())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _closed_with_loop(self) -> AsyncGenerator[None]:
        """Close a loop's pools when it ends.

        A loop finishes the async generators that were begun on it before it closes, which `asyncio.run` and its kin see
        to. So a generator that waits here is the one public hook that runs while the loop still can.
        """
        loop = asyncio.get_running_loop()
        try:
            yield
        finally:
            own = self._by_loop.pop(loop, None)
            for counted in own.pools.values() if own is not None else ():
                await counted.pool.aclose()

    def _cleaned(self, answer: Response | TransportFailure) -> Response | TransportFailure:
        """Return the answer; an error's body loses the key, should the gateway have repeated it."""
        if isinstance(answer, TransportFailure):
            return answer
        body = answer.body
        if answer.status != 200 or b'"error"' in body[:_HEAD]:
            body = body.replace(self._secret().encode() or b"\0", b"[key]")
            answer = Response(answer.status, answer.headers, body, answer.at)
        generation = answer.headers.get("x-generation-id", "unknown")
        _log.debug("answered %d: %d bytes, generation %s", answer.status, len(body), generation)
        return answer


async def _aread(pool: httpcore.AsyncConnectionPool, request: httpcore.Request, max_bytes: int) -> Response:
    response = await pool.handle_async_request(request)
    try:
        received = Body(_encoding_of(response), max_bytes)
        async for chunk in response.aiter_stream():
            received.feed(chunk)
        if has_trailing_bytes(response.stream, response.extensions):
            await response.extensions["network_stream"].aclose()
        return _read(response, received)
    finally:
        await response.aclose()


def _read(response: httpcore.Response, received: Body) -> Response:
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
    return Response(response.status, headers, received.whole(), time.time())


def _encoding_of(response: httpcore.Response) -> str:
    encodings = [value for name, value in response.headers if name.lower() == b"content-encoding"]
    return b",".join(encodings).decode("latin-1")


def _unsendable(error: Exception) -> Exception:
    """Return our own error for a request that HTTP cannot carry: nothing left."""
    if isinstance(error, (httpcore.LocalProtocolError, httpcore.UnsupportedProtocol)):
        return ConfigurationError("The request cannot be sent: a header of it, or base_url, is not one that HTTP has.")
    return error


def _close_in_same_process(pool: Any) -> None:
    if pool not in _parent_pools:
        pool.close()
