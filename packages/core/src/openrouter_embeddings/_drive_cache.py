"""A cache as flows see it: it may forget, it may fail, but it never costs an embedding that is in hand."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence

from .cache import Cache, CacheWarning
from .errors import ConfigurationError


class Store:
    """The cache of one client, or none. Trouble with it is told once, and the work goes on uncached."""

    def __init__(self, cache: Cache | None) -> None:
        self._cache = cache
        self._told = False

    def get(self, keys: Sequence[bytes]) -> Mapping[bytes, bytes]:
        """Return what is known of these keys."""
        if self._cache is None:
            return {}
        try:
            return self._cache.get(keys)
        except ConfigurationError:
            raise  # not a cache at all: said before anything is paid for
        except Exception as failed:
            self._tell("read", failed)
            return {}

    def put(self, items: Mapping[bytes, bytes]) -> None:
        """Keep these."""
        if self._cache is None:
            return
        try:
            self._cache.put(items)
        except Exception as failed:
            self._tell("written", failed)

    def _tell(self, what: str, failed: Exception) -> None:
        if not self._told:
            self._told = True
            message = f"The cache could not be {what} ({type(failed).__name__}); going on without it."
            warnings.warn(message, CacheWarning, stacklevel=2)
