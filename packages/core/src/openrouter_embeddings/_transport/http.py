"""One exchange, sync or async: bounded in time and size, never redirected, never decompressed past its bound."""

from __future__ import annotations

import asyncio
import logging
import re
import time
import weakref
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager, nullcontext, suppress
from functools import partial
from typing import Any, TypeAlias

import httpcore
import httpx

from openrouter_embeddings._protocol import Response, TransportFailure
from openrouter_embeddings.errors import ConfigurationError

from .body import Body
from .deadline import Deadline
from .failures import failure_of
from .pools import (
    Key,
    LoopConnections,
    LoopPool,
    LoopPools,
    ThreadsPool,
    ThreadsPools,
    async_pool,
    parents_pools,
    sync_pool,
)
from .targets import Headers, Target
from .unnamed import has_trailing_bytes
from .user_clients import aexchange_with, exchange_with, made_by

_log = logging.getLogger("openrouter_embeddings")
"""At DEBUG, one line per exchange: status, size and the gateway's id of it; never a text, never a request header."""
_HEAD = 65_536
"""Where the `error` of a 200 stands, if it holds one."""
_SECRET_HEADER = re.compile(rb"auth|key|token|secret|cookie")
_SECRET_MIN = 8
"""Shorter ones are words of any text."""
ByLoop: TypeAlias = "weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, LoopPools]"


class HttpTransport:
    """The connections of one client: one pool for all threads, one per running event loop.

    Args:
        headers: Gives the headers of one request, with the key or without.
        connections: How many idle connections to keep.
        http_client: The user's own client for threads, or a function that makes one, or None.
        async_http_client: The user's own client for asyncio, or a function that makes one, or None.
    """

    def __init__(
        self,
        *,
        headers: Callable[[bool], Headers],
        connections: int,
        http_client: httpx.Client | Callable[[], httpx.Client] | None = None,
        async_http_client: httpx.AsyncClient | Callable[[], httpx.AsyncClient] | None = None,
    ) -> None:
        self._headers = headers
        self._connections = connections
        self._given, self._given_async = http_client, async_http_client
        self._targets: dict[str, Target] = {}
        self._pools = ThreadsPools()
        self._by_loop: ByLoop = weakref.WeakKeyDictionary()
        self._closing: set[asyncio.Task[None]] = set()

    def drop_connections(self) -> None:
        """Drop every connection unclosed: in a forked child they are the parent's."""
        self._pools.drop()
        parents_pools.extend(self._by_loop.values())
        for loop in list(self._by_loop):
            _drop(self._by_loop, loop)
        self._by_loop = weakref.WeakKeyDictionary()
        self._closing = set()

    def exchange(
        self, url: str, body: bytes | None, *, max_bytes: int, seconds: float, keyed: bool
    ) -> Response | TransportFailure:
        """Post a body, or get a page where there is none, and read the whole answer within so many seconds."""
        deadline = time.monotonic() + seconds
        headers = self._headers(keyed)
        if self._given is not None:
            with self._user_client(self._given) as client:
                answer = exchange_with(client, url, body, headers, max_bytes=max_bytes, seconds=seconds)
            return _cleaned(answer, headers)
        target = self._target(url)
        try:
            request = target.request(body, headers, seconds)
            with self._pool(target) as pool, Deadline(deadline):
                response = pool.handle_request(request)
                try:
                    received = Body(_encoding_of(response), max_bytes)
                    for chunk in response.iter_stream():
                        received.feed(chunk)
                    if has_trailing_bytes(response.stream, response.extensions):
                        response.extensions["network_stream"].close()
                    return _cleaned(_read(response, received), headers)
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
            async with await self._user_client_of_loop(self._given_async) as client:
                answer = await aexchange_with(client, url, body, headers, max_bytes=max_bytes, seconds=seconds)
            return _cleaned(answer, headers)
        target = self._target(url)
        try:
            async with asyncio.timeout(seconds):
                pools = await self._loop_pools()
                used = self._pool_of_loop(pools, target)
                try:
                    async with used as pool:
                        return _cleaned(await _aread(pool, target.request(body, headers, seconds), max_bytes), headers)
                except asyncio.CancelledError:
                    self._retire_if_stranded(pools, target, used)
                    raise
        except Exception as error:  # noqa: BLE001  translated, or raised again
            await asyncio.sleep(0)  # in which the loop closes what was broken
            return failure_of(_unsendable(error), target.route)

    def close(self) -> None:
        """Close the threads' connections. A client that the user gave stays open: it is the user's."""
        self._pools.close()

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

    def _pool(self, target: Target) -> ThreadsPool[httpcore.ConnectionPool]:
        make = partial(sync_pool, target.route, tls=target.tls, connections=self._connections)
        return self._pools.get((target.route, target.tls), make)

    def _user_client(self, given: httpx.Client | Callable[[], httpx.Client]) -> AbstractContextManager[httpx.Client]:
        """Return the user's own client, or the one of this process that the user's function has made."""
        return self._pools.get(None, partial(made_by, given, is_async=False)) if callable(given) else nullcontext(given)

    async def _user_client_of_loop(
        self, given: httpx.AsyncClient | Callable[[], httpx.AsyncClient]
    ) -> AbstractAsyncContextManager[httpx.AsyncClient]:
        """Do the same for the running loop."""
        if not callable(given):
            return nullcontext(given)
        pools = (await self._loop_pools()).pools
        if None not in pools:
            pools[None] = LoopPool(made_by(given, is_async=True))
        return pools[None]

    async def _loop_pools(self) -> LoopPools:
        loop = asyncio.get_running_loop()
        own = self._by_loop.get(loop)
        if own is None:
            for reference in self._by_loop.keyrefs():  # a list, while other threads add loops of their own
                if (other := reference()) is not None and other.is_closed():
                    _drop(self._by_loop, other)  # its connections would hold it alive
            pools: dict[Key, LoopPool[Any]] = {}
            own = self._by_loop[loop] = LoopPools(_closed_with_loop(weakref.ref(self._by_loop), pools), pools)
            await anext(own.closer)
            # Held from outside, the connections of a transport that nobody closes are not what the garbage collector
            # finds with it: the loop closes them first.
            own.held = weakref.finalize(self, _close_on, loop, own)
            own.held.atexit = False
        return own

    def _pool_of_loop(self, pools: LoopPools, target: Target) -> LoopConnections:
        key = (target.route, target.tls)
        pool = pools.pools.get(key)
        if not isinstance(pool, LoopConnections):
            pool = LoopConnections(async_pool(target.route, tls=target.tls, connections=self._connections))
            pools.pools[key] = pool
        return pool

    def _retire_if_stranded(self, pools: LoopPools, target: Target, used: LoopConnections) -> None:
        """Use a new pool from now on, where a cancellation has left a connection of this one behind."""
        key = (target.route, target.tls)
        if pools.pools.get(key) is used and used.has_stranded_connection():
            del pools.pools[key]
            task = asyncio.get_running_loop().create_task(used.aclose())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)


async def _closed_with_loop(by_loop: weakref.ref[ByLoop], pools: dict[Key, LoopPool[Any]]) -> AsyncGenerator[None]:
    """Close a loop's pools when it ends.

    A loop finishes the async generators that were begun on it before it closes, which `asyncio.run` and its kin see
    to. So a generator that waits here is the one public hook that runs while the loop still can.
    """
    loop = asyncio.get_running_loop()
    try:
        yield
    finally:
        owner = by_loop()
        if owner is not None:
            _drop(owner, loop)
        # At its own end Python ends what is left of generators where none can wait.
        running = asyncio._get_running_loop()  # noqa: SLF001  the public form raises where there is none
        while pools and running is loop:
            await pools.popitem()[1].aclose()


def _drop(by_loop: ByLoop, loop: asyncio.AbstractEventLoop) -> None:
    own = by_loop.pop(loop, None)
    if own is not None and own.held is not None:
        own.held.detach()


def _close_on(loop: asyncio.AbstractEventLoop, own: LoopPools) -> None:
    with suppress(RuntimeError):  # the loop is closed
        loop.call_soon_threadsafe(own.close_now)


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


def _cleaned(answer: Response | TransportFailure, sent: Headers) -> Response | TransportFailure:
    """Return the answer; an error's body loses the key, and other secrets that were sent, should it repeat them."""
    if isinstance(answer, TransportFailure):
        return answer
    body = answer.body
    if answer.status != 200 or b'"error"' in body[:_HEAD]:
        for name, value in sent:
            secret = value.removeprefix(b"Bearer ")
            if len(secret) >= _SECRET_MIN and _SECRET_HEADER.search(name):
                body = body.replace(secret, b"[key]")
        answer = Response(answer.status, answer.headers, body, answer.at)
    generation = answer.headers.get("x-generation-id", "unknown")
    _log.debug("answered %d: %d bytes, generation %s", answer.status, len(body), generation)
    return answer


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
