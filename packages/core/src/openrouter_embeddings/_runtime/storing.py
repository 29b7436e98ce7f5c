"""How the cache is used: off the loop, where there is one, and with claims that end with the call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from openrouter_embeddings._flows import CLAIM_MARGIN, CachePut, Waker
from openrouter_embeddings.cache import Claimed

from .runtime import Runtime
from .steps import Block, Steps
from .waiting import CancelScope

W = TypeVar("W", bound=Waker)
_DISK_SECONDS = 60.0
"""What a disk may take before the call counts as one that stands still."""


def get(keys: Sequence[bytes], runtime: Runtime, scope: CancelScope) -> Steps[W, Mapping[bytes, bytes]]:
    """Look up keys."""
    scope.will_move_within(_DISK_SECONDS)
    known: Mapping[bytes, bytes] = yield Block(lambda: runtime.cache.get(keys))
    return known


def put(effect: CachePut, runtime: Runtime, scope: CancelScope) -> Steps[W, None]:
    """Keep what has landed, and give up the claims on it."""

    def store() -> None:
        try:
            runtime.cache.put(effect.items)
        finally:
            if effect.kept is not None:
                effect.kept()

    scope.will_move_within(_DISK_SECONDS)
    runtime.claims.forget(effect.items, scope)
    yield Block(store)


def claim(keys: Sequence[bytes], seconds: float, runtime: Runtime, scope: CancelScope) -> Steps[W, Claimed]:
    """Claim keys for an exchange of so many seconds."""
    scope.will_move_within(_DISK_SECONDS)
    claimed: Claimed = yield Block(lambda: runtime.claims.claim(keys, seconds + CLAIM_MARGIN, scope))
    return claimed
