"""Keeps vectors that are paid for: keys, the protocol, and the two caches that come with the package.

A cache maps a 32-byte key to little-endian float32 bytes. Texts are never stored; embeddings can leak their text all the
same, so a cache file deserves the care the texts themselves do.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeAlias, runtime_checkable

from ._cache_file import CacheWarning
from ._fork import Lock
from ._sqlite_cache import SqliteCache
from .errors import ConfigurationError

__all__ = ["KEY_FORMAT", "Cache", "CacheWarning", "Keyer", "MemoryCache", "SqliteCache", "cache_key", "open_cache"]

Fact: TypeAlias = str | int | bytes | None

KEY_FORMAT = 1
"""Part of every key: a change of what is hashed must raise it, so that old rows become misses."""


@runtime_checkable
class Cache(Protocol):
    """What a cache of your own must offer. A ``close()`` method is called where there is one."""

    def get(self, keys: Sequence[bytes], /) -> Mapping[bytes, bytes]:
        """Returns the stored values; a key that is not stored is absent."""
        ...

    def put(self, items: Mapping[bytes, bytes], /) -> None:
        """Stores all items durably before it returns."""
        ...


def _tagged(value: Fact) -> bytes:
    """Writes one value so that no two values, nor two sequences of values, give the same bytes."""
    if value is None:
        return b"n"
    if isinstance(value, bool):
        tag, body = b"t", b"1" if value else b"0"
    elif isinstance(value, int):
        tag, body = b"i", str(value).encode("ascii")
    elif isinstance(value, str):
        tag, body = b"s", value.encode("utf-8", "surrogatepass")
    else:
        tag, body = b"b", bytes(value)
    return tag + len(body).to_bytes(8, "big") + body


class Keyer:
    """Makes the keys of many texts that share their facts: the facts are hashed once.

    Args:
        facts: Everything besides the text that changes the numbers, in a fixed order.
        secret: Makes the keys HMAC-SHA-256, so that nobody without it can guess short texts from a cache file.
    """

    __slots__ = ("_state",)

    def __init__(self, facts: Sequence[Fact], *, secret: bytes | None = None) -> None:
        # The branches are typed apart by hashlib and hmac, but both offer update, copy and digest.
        state: Any = hashlib.sha256() if secret is None else hmac.new(secret, digestmod="sha256")
        state.update(_tagged("openrouter-embeddings") + _tagged(KEY_FORMAT))
        for fact in facts:
            state.update(_tagged(fact))
        self._state = state

    def key(self, text: bytes) -> bytes:
        """Returns the 32-byte key of one text."""
        state = self._state.copy()
        # A tag no fact has: facts and text cannot run into each other.
        state.update(b"x" + len(text).to_bytes(8, "big"))
        state.update(text)
        digest: bytes = state.digest()
        return digest


def cache_key(facts: Sequence[Fact], text: bytes, *, secret: bytes | None) -> bytes:
    """Returns the key of one text under the given facts; see `Keyer` for many texts."""
    return Keyer(facts, secret=secret).key(text)


class MemoryCache:
    """Keeps vectors in this process.

    Args:
        max_bytes: Where given, the rows used longest ago are dropped beyond it. Every dropped row is paid for again.
    """

    def __init__(self, max_bytes: int | None = None) -> None:
        if max_bytes is not None and max_bytes <= 0:
            raise ConfigurationError(f"max_bytes must be positive, not {max_bytes}.")
        self._max_bytes = max_bytes
        self._rows: OrderedDict[bytes, bytes] = OrderedDict()
        self._bytes = 0
        self._lock = Lock()

    def get(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """Returns the stored values; a key that is not stored is absent."""
        with self._lock:
            found = {key: self._rows[key] for key in keys if key in self._rows}
            if self._max_bytes is not None:
                for key in found:
                    self._rows.move_to_end(key)
        return found

    def put(self, items: Mapping[bytes, bytes]) -> None:
        """Stores all items."""
        with self._lock:
            for key, value in items.items():
                old = self._rows.pop(key, None)
                if old is not None:
                    self._bytes -= len(key) + len(old)
                self._rows[key] = bytes(value)
                self._bytes += len(key) + len(value)
            while self._max_bytes is not None and self._bytes > self._max_bytes:
                key, value = self._rows.popitem(last=False)
                self._bytes -= len(key) + len(value)

    def size(self) -> int:
        """Returns the bytes held, keys included."""
        return self._bytes

    def __len__(self) -> int:
        return len(self._rows)

    def __bool__(self) -> bool:
        return True  # an empty cache is still a cache

    def __repr__(self) -> str:
        return f"MemoryCache(max_bytes={self._max_bytes})"

    def __reduce__(self) -> tuple[type[MemoryCache], tuple[int | None]]:
        return MemoryCache, (self._max_bytes,)  # configuration only: rows stay where they are


def open_cache(value: Cache | str | os.PathLike[str] | None) -> Cache | None:
    """Turns what a user passes as ``cache`` into a cache: a path becomes a `SqliteCache`.

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
