"""Keeps embeddings that are paid for: float32 bytes by a hash of everything that makes them, never a text."""

from .keys import KEY_FORMAT, Keyer
from .memory import MemoryCache
from .opening import GuardedCache, open_cache
from .protocol import Cache, CacheWarning
from .sqlite import SqliteCache

__all__ = [
    "KEY_FORMAT",
    "Cache",
    "CacheWarning",
    "GuardedCache",
    "Keyer",
    "MemoryCache",
    "SqliteCache",
    "open_cache",
]
