"""A cache as a client uses it: opened from what the user gave, and never at the cost of an embedding in hand."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence

from openrouter_embeddings.errors import ConfigurationError

from .protocol import Cache, CacheWarning
from .sqlite import SqliteCache


class GuardedCache:
    """The cache of one client, or none. Trouble with it is reported once, and the work goes on uncached."""

    def __init__(self, cache: Cache | None) -> None:
        self._cache = cache
        self._reported = False

    def get(self, keys: Sequence[bytes]) -> Mapping[bytes, bytes]:
        """Return what is known of these keys."""
        if self._cache is None:
            return {}
        try:
            return self._cache.get(keys)
        except ConfigurationError:
            raise  # not a cache at all: reported before anything is paid for
        except Exception as failed:  # noqa: BLE001  a cache of the user's may raise anything
            self._report("read", failed)
            return {}

    def put(self, items: Mapping[bytes, bytes]) -> None:
        """Keep these."""
        if self._cache is None:
            return
        try:
            self._cache.put(items)
        except Exception as failed:  # noqa: BLE001
            self._report("written", failed)

    def _report(self, what: str, failed: Exception) -> None:
        if not self._reported:
            self._reported = True
            message = f"The cache could not be {what} ({type(failed).__name__}); going on without it."
            warnings.warn(message, CacheWarning, stacklevel=2)


def open_cache(value: Cache | str | os.PathLike[str] | None) -> Cache | None:
    """Return what a user passes as ``cache`` as a cache: a path becomes a `SqliteCache`.

    Raises:
        ConfigurationError: The value is neither.
    """
    if value is None:
        return None
    if isinstance(value, (str, os.PathLike)):
        return SqliteCache(value)
    if not isinstance(value, type) and isinstance(value, Cache):
        return value
    raise ConfigurationError(f"cache must be a path or have get and put, not {type(value).__name__}.")
