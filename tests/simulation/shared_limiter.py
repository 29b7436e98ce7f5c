"""A limiter that several simulated clients share: a cap, a rate, or both, fair to all that ask."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from typing import Any

from openrouter_embeddings import BudgetExceededError, LeaseOutcome

LEASE_SECONDS = 300.0
"""After so long a lease that nobody has released counts no more."""
_TURN_SECONDS = 2.0
"""For so long after its time a client that was told to wait keeps its turn."""


class SharedLimiter:
    """What all its `Share`s count on.

    Args:
        clock: Seconds.
        cap: Most leases out, or None.
        rate: Most leases a second, or None.
        chance: Random numbers, for a limiter that raises now and then.
        raises: How often it does, from 0 to 1.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        *,
        cap: int | None = None,
        rate: float | None = None,
        chance: random.Random | None = None,
        raises: float = 0.0,
    ) -> None:
        self.clock, self.cap, self.rate = clock, cap, rate
        self.raises = raises
        self.asked = 0
        self.given = 0
        self.outcomes: list[LeaseOutcome] = []
        self.released_twice = 0
        self._chance = chance or random.Random(0)
        self._out: dict[Lease, float] = {}
        self._next_at = 0.0
        self._turns: dict[Share, float] = {}

    @property
    def out(self) -> int:
        """How many leases are out."""
        return len(self._out)

    @property
    def kinds(self) -> Counter[str]:
        """How often each outcome was told."""
        return Counter(outcome.kind for outcome in self.outcomes)

    def acquire(self, share: Share) -> Any:
        now = self.clock()
        self.asked += 1
        if self._chance.random() < self.raises:
            raise BudgetExceededError("The budget that all share is spent.")
        self._out = {lease: since for lease, since in self._out.items() if now - since < LEASE_SECONDS}
        self._turns = {other: until for other, until in self._turns.items() if until > now}
        wait = max(self._wait_for_the_cap(share), self._wait_for_the_rate(share, now))
        if wait > 0.0:
            self._turns[share] = now + wait + _TURN_SECONDS
            return wait
        self._turns.pop(share, None)
        if self.rate is not None:
            self._next_at = max(now, self._next_at) + 1.0 / self.rate
        lease = Lease(self, share)
        self._out[lease] = now
        self.given += 1
        return lease

    def _wait_for_the_cap(self, share: Share) -> float:
        """Who has a fair part of the leases goes behind those who wait."""
        others = self._turns.keys() - {share}
        parts = len(others | {share} | {lease.share for lease in self._out})
        mine = sum(lease.share is share for lease in self._out)
        is_full = self.cap is not None and (self.out >= self.cap or (others and mine >= max(1, self.cap // parts)))
        return 0.02 if is_full else 0.0

    def _wait_for_the_rate(self, share: Share, now: float) -> float:
        """Each takes its turn."""
        if self.rate is None:
            return 0.0
        return max(0.0, self._next_at - now) + [*self._turns, share].index(share) / self.rate

    def release(self, lease: Lease, outcome: LeaseOutcome) -> None:
        self.released_twice += lease.is_released
        lease.is_released = True
        self._out.pop(lease, None)
        self.outcomes.append(outcome)


class Lease:
    """One lease."""

    def __init__(self, limiter: SharedLimiter, share: Share) -> None:
        self._limiter = limiter
        self.share = share
        self.is_released = False

    def release(self, outcome: LeaseOutcome) -> None:
        self._limiter.release(self, outcome)


class Share:
    """The limiter as one client has it."""

    def __init__(self, limiter: SharedLimiter) -> None:
        self._limiter = limiter

    def acquire(self, requests: int, tokens: int) -> Any:
        assert requests == 1
        assert tokens > 0
        return self._limiter.acquire(self)
