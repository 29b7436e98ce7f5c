"""Pools of connections: httpcore's, straight or through a proxy, for threads and for an event loop."""

from __future__ import annotations

import asyncio
import os
import ssl
import weakref
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Generic, TypeAlias, TypeVar

import certifi
import httpcore
import httpx

from openrouter_embeddings._fork import Lock
from openrouter_embeddings.errors import ConfigurationError

from .deadline import DeadlineBackend
from .loop_streams import LoopBackend
from .proxies import Route, unusable
from .unnamed import take_bare_lock

P = TypeVar("P", bound=httpcore.ConnectionPool | httpx.Client)
A = TypeVar("A", bound=httpcore.AsyncConnectionPool | httpx.AsyncClient)
Key: TypeAlias = "tuple[Route, bool] | None"
"""Where a pool leads and whether over TLS; None: what the user's function has made."""

_IDLE_SECONDS = 30.0
_closing: set[asyncio.Task[None]] = set()
parents_pools: list[object] = []
"""A parent's pools, kept unclosed in a forked child: their locks may be held by threads that are not here."""
_CA_FILES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


def sync_pool(route: Route, *, tls: bool, connections: int) -> httpcore.ConnectionPool:
    """Return a pool for threads.

    Args:
        route: The way to the gateway.
        tls: Whether the gateway is at an https address.
        connections: How many idle connections to keep.
    """
    pool: httpcore.ConnectionPool = _pool("", route, tls, connections, network_backend=DeadlineBackend())
    take_bare_lock(pool)
    return pool


def async_pool(route: Route, *, tls: bool, connections: int) -> httpcore.AsyncConnectionPool:
    """Return a pool for one event loop. See `sync_pool`."""
    pool: httpcore.AsyncConnectionPool = _pool("Async", route, tls, connections, network_backend=LoopBackend())
    return pool


def _pool(colour: str, route: Route, tls: bool, connections: int, **settings: Any) -> Any:
    settings |= {"max_connections": None, "max_keepalive_connections": connections, "keepalive_expiry": _IDLE_SECONDS}
    if tls:
        settings["ssl_context"] = _trusted()
    if route.proxy is None:
        return getattr(httpcore, f"{colour}ConnectionPool")(**settings)
    settings |= {"proxy_url": route.proxy, "proxy_auth": route.credentials}
    if not route.is_socks:
        if route.proxy.startswith("https:"):
            settings["proxy_ssl_context"] = _trusted()
        return getattr(httpcore, f"{colour}HTTPProxy")(**settings)
    try:
        import socksio  # type: ignore[import-not-found,unused-ignore]  # noqa: F401
    except ImportError:
        raise unusable("SOCKS needs the package socksio, which httpx[socks] installs") from None
    return getattr(httpcore, f"{colour}SOCKSProxy")(**settings)


def _trusted() -> ssl.SSLContext:
    return _tls_context(*map(os.environ.get, (*_CA_FILES, "SSL_CERT_DIR")))


@lru_cache(maxsize=4)
def _tls_context(*named: str | None) -> ssl.SSLContext:
    """Return the one TLS context of the process for these settings of the environment: building it costs 25 ms."""
    *files, folder = named
    file = next(filter(None, files), None)
    if file and Path(file).is_dir():  # as requests takes it
        file, folder = None, file
    try:
        if file or folder:
            return ssl.create_default_context(cafile=file or None, capath=folder or None)
        return ssl.create_default_context(cafile=certifi.where())
    except (OSError, ssl.SSLError) as unusable:
        names = [name for name, value in zip((*_CA_FILES, "SSL_CERT_DIR"), named, strict=True) if value]
        raise ConfigurationError(
            f"The certificates that {names[0]} names cannot be read ({type(unusable).__name__})."
            " Correct it, or unset it to trust the usual authorities."
        ) from None


@dataclass(slots=True, eq=False)
class LoopPools:
    """The pools of one event loop, and what closes them with it. It must be held: a forgotten generator is finished."""

    closer: AsyncGenerator[None]
    pools: dict[Key, LoopPool[Any]]
    held: weakref.finalize[..., Any] | None = None

    def close_now(self) -> None:
        """Close without waiting, on the loop's thread. A task would be lost, and said to be, if the loop ends now."""
        while self.pools:
            pool = self.pools.popitem()[1].pool
            if isinstance(pool, httpcore.AsyncConnectionPool):
                for connection in pool.connections:
                    _begin(connection.aclose())
            else:  # a client of httpx hides its connections
                closing = asyncio.get_running_loop().create_task(pool.aclose())
                _closing.add(closing)
                closing.add_done_callback(_closing.discard)
        _begin(self.closer.aclose())


def _begin(closing: Coroutine[Any, Any, None]) -> None:
    """Do what can be done at once. For an idle connection that is all: asyncio's transport closes by itself."""
    with suppress(Exception):
        closing.send(None)
    closing.close()


class ThreadsPool(Generic[P]):
    """A pool of threads' connections, or a client of httpx. Closed while exchanges use it, it closes with the last of them."""

    def __init__(self, pool: P) -> None:
        self.pool = pool
        self.is_closed = False
        """Whether no exchange may begin on it."""
        self.finalizer: weakref.finalize[..., Any] | None = None
        """What closes it if its owner does not."""
        self._lock = Lock()
        self._active = 0

    def __enter__(self) -> P:
        with self._lock:
            self._active += 1
        return self.pool

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with self._lock:
            self._active -= 1
        # Ctrl-C within httpcore may leave a connection's lock locked, for the next request on it to wait for.
        if self.is_closed or (kind is not None and not issubclass(kind, Exception)):
            self.close()

    def close(self) -> None:
        """Close it, now or with the end of the last exchange."""
        with self._lock:
            self.is_closed = True
            unused = not self._active
        if unused:
            self.pool.close()
            if self.finalizer is not None:
                self.finalizer.detach()


class ThreadsPools:
    """The pools of one client's threads, each made at its first use. Those of an owner that is gone are closed."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._pools: dict[Key, ThreadsPool[Any]] = {}

    def get(self, key: Key, make: Callable[[], Any]) -> ThreadsPool[Any]:
        """Return the open pool of this key."""
        pool = self._pools.get(key)
        if pool is not None and not pool.is_closed:
            return pool
        made = ThreadsPool(make())  # without the lock: it may be a function of the user's, which takes its time
        made.finalizer = weakref.finalize(self, _close_in_same_process, made)
        with self._lock:
            pool = self._pools.get(key)
            if pool is None or pool.is_closed:
                self._pools[key] = pool = made
        if pool is not made:
            made.close()
        return pool

    def close(self) -> None:
        """Close them."""
        with self._lock:
            pools, self._pools = self._pools, {}
        for pool in pools.values():
            pool.close()

    def drop(self) -> None:
        """Forget them, unclosed."""
        parents_pools.extend(self._pools.values())
        self._pools = {}


def _close_in_same_process(pool: ThreadsPool[Any]) -> None:
    if pool not in parents_pools:
        pool.close()


class LoopPool(Generic[A]):
    """Likewise, of one event loop."""

    def __init__(self, pool: A) -> None:
        self.pool = pool
        self._active = 0
        self._closed = False

    async def __aenter__(self) -> A:
        self._active += 1
        return self.pool

    async def __aexit__(self, *_: object) -> None:
        self._active -= 1
        await self._close_if_unused()

    async def aclose(self) -> None:
        """Close it, now or with the end of the last exchange."""
        self._closed = True
        await self._close_if_unused()

    async def _close_if_unused(self) -> None:
        if self._closed and not self._active:
            await self.pool.aclose()
            await asyncio.sleep(0)  # in which the loop closes the sockets


class LoopConnections(LoopPool[httpcore.AsyncConnectionPool]):
    """A pool whose connections can be looked at."""

    def has_stranded_connection(self) -> bool:
        """Return whether a connection is busy without an exchange.

        httpcore shields its clean-up from anyio's cancellations, not from asyncio's own. A task that is cancelled in the
        one turn of the loop in which a connection is opened or handed back leaves it there, open and never used again.
        """
        busy = [held for held in self.pool.connections if not held.is_idle() and not held.is_closed()]
        return len(busy) > self._active
