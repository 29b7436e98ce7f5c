"""What a cache must offer, and how it tells of trouble."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
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


@runtime_checkable
class ClaimingCache(Cache, Protocol):
    """A cache by which clients in several processes tell each other what they are paying for: none pays for it too.

    A claim is a hint and no lock. It must expire, as its owner may be killed, and one that fails to be made must not stop
    work. `put` gives up the claims on what it stores.
    """

    def claim(self, keys: Sequence[bytes], seconds: float, /) -> Collection[bytes]:
        """Return the keys that are now this object's, for so many seconds: not those that another has claimed.

        What is claimed already by this object is claimed anew. It does not matter what is stored.
        """
        ...

    def unclaim(self, keys: Sequence[bytes], /) -> None:
        """Give up what this object has claimed of these."""
        ...
