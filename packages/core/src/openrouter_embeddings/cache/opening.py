"""A cache as a client uses it: opened from what the user gave, and never at the cost of an embedding in hand."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from openrouter_embeddings._warn import warn
from openrouter_embeddings.errors import ConfigurationError

from .protocol import Cache, CacheWarning, ClaimingCache
from .sqlite import SqliteCache


class Claimed(NamedTuple):
    """What came of claiming keys: those that are ours to pay for, and what is stored by now of all of them."""

    own: frozenset[bytes]
    known: Mapping[bytes, bytes]


class GuardedCache:
    """The cache of one client, or none. Trouble with it is reported once, and the work goes on uncached."""

    def __init__(self, cache: Cache | None) -> None:
        self._cache = cache
        self._claiming = cache if isinstance(cache, ClaimingCache) else None
        self._reported = False

    @property
    def takes_claims(self) -> bool:
        """Whether other processes can be told what is being paid for."""
        return self._claiming is not None

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

    def claim(self, keys: Sequence[bytes], seconds: float) -> Claimed:
        """Claim keys, and look them up: what has been stored just before it was claimed is not to be paid for again."""
        own = frozenset(keys)
        if self._claiming is None:
            return Claimed(own, {})
        try:
            own &= frozenset(self._claiming.claim(keys, seconds))
        except Exception as failed:  # noqa: BLE001
            self._report("claimed", failed)
            return Claimed(own, {})
        known = self.get(keys)
        stored = [key for key in known if key in own]
        if stored:
            self.unclaim(stored)
        return Claimed(own.difference(stored), known)

    def unclaim(self, keys: Sequence[bytes]) -> None:
        """Give up claims."""
        if self._claiming is None:
            return
        try:
            self._claiming.unclaim(keys)
        except Exception as failed:  # noqa: BLE001
            self._report("claimed", failed)

    def _report(self, what: str, failed: Exception) -> None:
        if not self._reported:
            self._reported = True
            message = f"The cache could not be {what} ({type(failed).__name__}); going on without it."
            warn(message, CacheWarning)


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
