"""A cache that several processes share, with claims by the simulated clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(slots=True)
class Store:
    """What is stored, and who has claimed what until when."""

    rows: dict[bytes, bytes] = field(default_factory=dict)
    claims: dict[bytes, tuple[SharedCache, float]] = field(default_factory=dict)
    clock: Callable[[], float] = lambda: 0.0


class SharedCache:
    """The store as one process sees it."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def get(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        return {key: self.store.rows[key] for key in keys if key in self.store.rows}

    def put(self, items: Mapping[bytes, bytes]) -> None:
        self.store.rows.update(items)
        self.unclaim(list(items))

    def claim(self, keys: Sequence[bytes], seconds: float) -> list[bytes]:
        now = self.store.clock()
        own = [key for key in keys if self._may_claim(key, now)]
        self.store.claims |= dict.fromkeys(own, (self, now + seconds))
        return own

    def unclaim(self, keys: Sequence[bytes]) -> None:
        for key in keys:
            if key in self.store.claims and self.store.claims[key][0] is self:
                del self.store.claims[key]

    def claimed(self) -> list[bytes]:
        """Return what this process has claimed and neither stored nor given up."""
        return [key for key, (owner, _) in self.store.claims.items() if owner is self]

    def _may_claim(self, key: bytes, now: float) -> bool:
        owner, until = self.store.claims.get(key, (self, 0.0))
        return owner is self or until < now
