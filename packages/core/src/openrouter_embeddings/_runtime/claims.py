"""Which call of a client holds which claim in the cache: one that ends gives up its own, not what another has claimed since."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from openrouter_embeddings.cache import Claimed, GuardedCache

from .waiting import CancelScope


class Claims:
    """The claims of one client's calls. To the cache they have one owner.

    Args:
        cache: Where claims are made.
    """

    def __init__(self, cache: GuardedCache) -> None:
        self._cache = cache
        self._holders: dict[bytes, CancelScope] = {}

    def claim(self, keys: Sequence[bytes], seconds: float, scope: CancelScope) -> Claimed:
        """Claim keys for a call, and look them up. Those that a call claims after its end are given up at once."""
        scope.claimed.update(keys)
        self._holders.update(dict.fromkeys(keys, scope))  # first: the call that had them may be ending
        claimed = self._cache.claim(keys, seconds)
        self.forget([key for key in keys if key not in claimed.own], scope)
        if scope.cancelled:
            self._give_up(keys, scope)  # these alone: others of the call may be in flight, and land
        return claimed

    def release(self, scope: CancelScope) -> None:
        """Give up what a call holds."""
        self._give_up(list(scope.claimed), scope)

    def _give_up(self, keys: Collection[bytes], scope: CancelScope) -> None:
        held = self.forget(keys, scope)
        if held:
            self._cache.unclaim(held)

    def forget(self, keys: Collection[bytes], scope: CancelScope) -> list[bytes]:
        """Leave claims to the cache, which gives up what it stores. Return those that the call held until now."""
        scope.claimed.difference_update(keys)
        held = [key for key in keys if self._holders.get(key) is scope]
        for key in held:
            del self._holders[key]
        return held
