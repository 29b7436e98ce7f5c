"""Keeps embeddings that are paid for: float32 bytes by a hash of everything that makes them, never a text."""

from .keys import KEY_FORMAT, Keyer
from .memory import MemoryCache
from .opening import Claimed, GuardedCache, open_cache
from .protocol import Cache, CacheWarning, ClaimingCache
from .sqlite import SqliteCache

__all__ = [
    "KEY_FORMAT",
    "Cache",
    "CacheWarning",
    "Claimed",
    "ClaimingCache",
    "GuardedCache",
    "Keyer",
    "MemoryCache",
    "SqliteCache",
    "open_cache",
]
