"""The cache that lives as long as its process."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence

from openrouter_embeddings._fork import Lock
from openrouter_embeddings.errors import ConfigurationError


class MemoryCache:
    """Keeps embeddings in this process.

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
        """Return the stored values; a key that is not stored is absent."""
        with self._lock:
            found = {key: self._rows[key] for key in keys if key in self._rows}
            if self._max_bytes is not None:
                for key in found:
                    self._rows.move_to_end(key)
        return found

    def put(self, items: Mapping[bytes, bytes]) -> None:
        """Store all items."""
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
        """Return the bytes held, keys included."""
        return self._bytes

    def __len__(self) -> int:
        return len(self._rows)

    def __bool__(self) -> bool:
        return True  # an empty cache is still a cache

    def __repr__(self) -> str:
        return f"MemoryCache(max_bytes={self._max_bytes})"

    def __reduce__(self) -> tuple[type[MemoryCache], tuple[int | None]]:
        return MemoryCache, (self._max_bytes,)  # configuration only: rows stay where they are
