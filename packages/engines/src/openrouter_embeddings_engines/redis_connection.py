"""A connection to Redis or Valkey that belongs to one process, keeps its password to itself and may be lost."""

from __future__ import annotations

import contextlib
import os
import threading
import time
import warnings
import weakref
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar
from urllib.parse import urlsplit

from openrouter_embeddings import ConfigurationError

try:
    from redis import Redis, RedisError
    from redis.backoff import NoBackoff
    from redis.retry import Retry
except ImportError as missing:
    raise ImportError("Redis needs an extra: pip install 'openrouter-embeddings-engines[redis]'.") from missing

_SCHEMES = ("redis", "rediss", "unix")
_FIRST_PAUSE, LONGEST_PAUSE = 1.0, 8.0
_CONNECT_SECONDS = 2.0

_P = ParamSpec("_P")
_T = TypeVar("_T")


class RedisLostError(Exception):
    """Redis did not do its work, or did not lately and is not asked again yet.

    Attributes:
        was_asked: Whether it was asked, and so may have done it all the same.
        is_first: Whether all was well before.
    """

    def __init__(self, *, was_asked: bool, is_first: bool) -> None:
        self.was_asked, self.is_first = was_asked, is_first


class ProcessLocal:
    """An object whose live parts are made anew when it is unpickled, and in a forked child."""

    _configuration: tuple[str, ...] = ()
    """The attributes that a pickle carries."""

    def _start(self) -> None:
        self._fresh()
        _known.add(self)

    def _fresh(self) -> None:
        """Make the parts that belong to one process."""
        raise NotImplementedError

    def __getstate__(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self._configuration}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._start()


_known: weakref.WeakSet[ProcessLocal] = weakref.WeakSet()


def _after_fork() -> None:
    for known in list(_known):
        known._fresh()  # noqa: SLF001  a method for this function alone


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class RedisConnection(ProcessLocal):
    """Asks Redis, and after trouble pauses for 1 to 8 seconds before it asks again.

    Args:
        url: `redis://`, `rediss://` (TLS) or `unix://`, as redis-py takes it; one server, not a cluster.
        seconds: What the server may take to answer.
        category: Of the warning that tells the first trouble.
        on_loss: Ends that warning: what happens without Redis.

    Attributes:
        label: The URL without user, password and options.
        failures: How often something was not done.
        lost_at: When trouble was met last, by the monotonic clock; None: never.

    Raises:
        ConfigurationError: The URL is none of Redis.
    """

    _configuration = ("label", "_url", "_seconds", "_category", "_on_loss")

    def __init__(self, url: str, *, seconds: float, category: type[Warning], on_loss: str) -> None:
        self.label = _without_secrets(url)
        self._url, self._seconds, self._category, self._on_loss = url, seconds, category, on_loss
        with _hiding_the_url():
            self._connect().close()
        self._start()

    def _fresh(self) -> None:
        self.failures = 0
        self.lost_at: float | None = None
        self._warned = False
        self._pause = _FIRST_PAUSE
        self._paused_until = 0.0
        self._redis: Redis | None = None
        self._lock = threading.Lock()

    def run(self, work: Callable[Concatenate[Redis, _P], _T], *arguments: _P.args, **named: _P.kwargs) -> _T:
        """Return what `work` gives, called with a client of redis-py's and what else is given.

        Raises:
            RedisLostError: It failed, or an earlier one did and the pause is not over.
        """
        with self._lock:
            now = time.monotonic()
            if now < self._paused_until:
                self.failures += 1
                raise RedisLostError(was_asked=False, is_first=False)
            is_first = not self._paused_until
            if not is_first:  # the one who tries again; the others go on without
                self._paused_until = now + self._pause
            if self._redis is None:
                self._redis = self._connect()
            redis = self._redis
        try:
            result = work(redis, *arguments, **named)
        except (RedisError, OSError) as error:
            self._lose(error)
            raise RedisLostError(was_asked=True, is_first=is_first) from None  # redis-py may quote what it was sent
        with self._lock:
            self._paused_until, self._pause = 0.0, _FIRST_PAUSE
        return result

    def close(self) -> None:
        """Close the connections. The next use opens new ones."""
        with self._lock:
            redis, self._redis = self._redis, None
        if redis is not None:
            redis.close()

    def __repr__(self) -> str:
        return f"RedisConnection({self.label!r})"

    def _connect(self) -> Redis:
        # One more try at once: a connection that was idle may have been closed by the other side.
        return Redis.from_url(
            self._url,
            socket_timeout=self._seconds,
            socket_connect_timeout=_CONNECT_SECONDS,
            retry=Retry(NoBackoff(), 1),
        )

    def _lose(self, error: Exception) -> None:
        with self._lock:
            self.failures += 1
            self.lost_at = time.monotonic()
            self._paused_until = self.lost_at + self._pause
            self._pause = min(2 * self._pause, LONGEST_PAUSE)
            warned, self._warned = self._warned, True
        if not warned:  # outside the lock: a warning may run code of the user's
            message = f"Redis at {self.label} is not working ({type(error).__name__}). {self._on_loss}"
            warnings.warn(message, self._category, stacklevel=6)


def _without_secrets(url: object) -> str:
    """Return the part of a URL that may be shown."""
    if not isinstance(url, str):
        raise ConfigurationError(f"The URL of Redis must be a string, not {type(url).__name__}.")
    with _hiding_the_url():
        parts = urlsplit(url)
        if parts.scheme not in _SCHEMES:
            raise ValueError
        host = parts.hostname or "localhost" * (parts.scheme != "unix")
        port = "" if parts.port is None else f":{parts.port}"
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{port}{parts.path}"


@contextlib.contextmanager
def _hiding_the_url() -> Any:
    """Turn complaints about a URL, which quote it, into one that does not."""
    try:
        yield
    except (ValueError, RedisError, TypeError):
        message = "The URL of Redis cannot be read: write redis://user:password@host:6379/0, rediss:// or unix://."
        raise ConfigurationError(message) from None
