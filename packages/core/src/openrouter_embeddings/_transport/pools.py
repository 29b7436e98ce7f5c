"""Pools of connections: httpcore's, straight or through a proxy, for threads and for an event loop."""

from __future__ import annotations

import os
import ssl
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import certifi
import httpcore

from openrouter_embeddings._fork import Lock
from openrouter_embeddings.errors import ConfigurationError

from .deadline import DeadlineBackend
from .proxies import Route

_IDLE_SECONDS = 30.0
_CA_FILES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


def sync_pool(route: Route, *, tls: bool, connections: int) -> httpcore.ConnectionPool:
    """Return a pool for threads.

    Args:
        route: The way to the gateway.
        tls: Whether the gateway is at an https address.
        connections: How many idle connections to keep.
    """
    settings = _settings(tls=tls, connections=connections) | {"network_backend": DeadlineBackend()}
    if route.proxy is None:
        return httpcore.ConnectionPool(**settings)
    kind = _socks("SOCKSProxy") if route.is_socks else httpcore.HTTPProxy
    pool: httpcore.ConnectionPool = kind(route.proxy, proxy_auth=route.credentials, **settings)
    return pool


def async_pool(route: Route, *, tls: bool, connections: int) -> httpcore.AsyncConnectionPool:
    """Return a pool for one event loop. See `sync_pool`."""
    settings = _settings(tls=tls, connections=connections)
    if route.proxy is None:
        return httpcore.AsyncConnectionPool(**settings)
    kind = _socks("AsyncSOCKSProxy") if route.is_socks else httpcore.AsyncHTTPProxy
    pool: httpcore.AsyncConnectionPool = kind(route.proxy, proxy_auth=route.credentials, **settings)
    return pool


def _settings(*, tls: bool, connections: int) -> dict[str, Any]:
    return {
        "ssl_context": _tls_context(*map(os.environ.get, (*_CA_FILES, "SSL_CERT_DIR"))) if tls else None,
        "max_connections": None,
        "max_keepalive_connections": connections,
        "keepalive_expiry": _IDLE_SECONDS,
    }


def _socks(name: str) -> Any:
    try:
        import socksio  # type: ignore[import-not-found,unused-ignore]  # noqa: F401
    except ImportError:
        raise ConfigurationError("A SOCKS proxy needs the package socksio. Install httpx[socks].") from None
    return getattr(httpcore, name)


@lru_cache(maxsize=4)
def _tls_context(*named: str | None) -> ssl.SSLContext:
    """Return the one TLS context of the process for these settings of the environment: building it costs 25 ms."""
    *files, folder = named
    file = next(filter(None, files), None)
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
    pools: dict[tuple[Route, bool], LoopPool] = field(default_factory=dict)


class ThreadsPool:
    """A pool of threads' connections. Closed while exchanges use it, it closes with the last of them."""

    def __init__(self, pool: httpcore.ConnectionPool) -> None:
        self.pool = pool
        self._lock = Lock()
        self._active = 0
        self._closed = False

    def __enter__(self) -> httpcore.ConnectionPool:
        with self._lock:
            self._active += 1
        return self.pool

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._active -= 1
            last = self._closed and not self._active
        if last:
            self.pool.close()

    def close(self) -> None:
        """Close it, now or as soon as nobody uses it."""
        with self._lock:
            self._closed = True
            unused = not self._active
        if unused:
            self.pool.close()


@dataclass(slots=True, eq=False)
class LoopPool:
    """An asyncio pool, and how many exchanges use it."""

    pool: httpcore.AsyncConnectionPool
    active: int = 0

    def has_stranded_connection(self) -> bool:
        """Return whether a connection is busy for no exchange of ours.

        httpcore shields its clean-up from anyio's cancellations, not from asyncio's own. A task that is cancelled in the
        one turn of the loop in which a connection is opened or handed back leaves it there, open and never used again.
        """
        busy = [one for one in self.pool.connections if not one.is_idle() and not one.is_closed()]
        return len(busy) > self.active
