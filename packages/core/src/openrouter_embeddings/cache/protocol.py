"""What a cache must offer, and how it tells of trouble."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable


class CacheWarning(UserWarning):
    """The cache cannot do its work; embedding goes on without it."""


@runtime_checkable
class Cache(Protocol):
    """What a cache of your own must offer. A ``close()`` method is called where there is one."""

    def get(self, keys: Sequence[bytes], /) -> Mapping[bytes, bytes]:
        """Return the stored values; a key that is not stored is absent."""
        ...

    def put(self, items: Mapping[bytes, bytes], /) -> None:
        """Store all items durably before it returns."""
        ...
