"""One limit for all workers of a job, kept in Redis or Valkey."""

from __future__ import annotations

import contextlib
import random
import secrets
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from pyrate_limiter import InMemoryStateStore

from openrouter_embeddings import BudgetExceededError, ConfigurationError, LeaseOutcome, LimiterWarning

from .redis_connection import LONGEST_PAUSE, ProcessLocal, RedisConnection, RedisLostError
from .redis_leases import SharedLimits

_ANSWER_SECONDS = 2.0
_CAREFUL_SECONDS = 2 * LONGEST_PAUSE
"""After trouble. By then every other worker has asked again, and Redis knows of its leases."""
_SHORTEST_HOLD, _LONGEST_HOLD = 0.5, 60.0
_SOONEST, _LATEST = 0.01, 0.25
_LONGEST_DRAIN = 10.0
_ASSUMED_WORKERS = 16

_T = TypeVar("_T")


class RedisLimiter(ProcessLocal):
    """Keeps all workers together within one limit and one budget. It never waits: it says how long to.

    A refusal that one worker meets holds all of them back for as long as it asks, half a second at least and a minute at
    most. A killed worker's leases come back when they end, and count as paid for at their estimate. What was spent is
    kept for 30 days under the name: a job that goes on has the rest of its budget.

    Without Redis each worker keeps to its share of everything, by the number of workers that were last seen; Redis is
    asked again after 1 to 8 seconds, by one request at a time.

    Args:
        url: `redis://`, `rediss://` or `unix://`. Its password is in pickles, as workers need it, and nowhere else.
        name: Limiters of the same name at the same server share; the others' arguments should be the same.
        concurrency: Most requests in flight, or None.
        per_second: Most requests a second, or None.
        tokens_per_minute: Most estimated tokens a minute, or None. A request of more takes as long as they take.
        max_cost: USD that may be spent, or None. It is passed by at most what the requests in flight cost.
        lease_seconds: What a request may take at most, the client's `timeout` and a little; for so long a killed worker's
            leases are missing.
        workers: How many there are, for the share of a worker that has never reached Redis.

    Raises:
        ConfigurationError: An option is wrong.
    """

    _configuration = ("_connection", "_limits", "_expected_workers")

    def __init__(
        self,
        url: str,
        *,
        name: str,
        concurrency: int | None = None,
        per_second: float | None = None,
        tokens_per_minute: float | None = None,
        max_cost: float | None = None,
        lease_seconds: float = 65.0,
        workers: int = _ASSUMED_WORKERS,
    ) -> None:
        if not isinstance(name, str) or not name:
            raise ConfigurationError("name must be a string that is not empty.")
        for option, value in (("concurrency", concurrency), ("workers", workers)):
            if value is not None and not (isinstance(value, int) and value >= 1):
                raise ConfigurationError(f"{option} must be a whole number of at least 1, not {value!r}.")
        numbers = {"per_second": per_second, "tokens_per_minute": tokens_per_minute, "max_cost": max_cost}
        for option, number in {**numbers, "lease_seconds": lease_seconds}.items():
            if number is not None and not 0 < number < float("inf"):
                raise ConfigurationError(f"{option} must be a number above 0, not {number!r}.")
        self._limits = SharedLimits(name=name, concurrency=concurrency, lease_seconds=lease_seconds, **numbers)
        self._expected_workers = workers
        self._connection = RedisConnection(
            url,
            seconds=_ANSWER_SECONDS,
            category=LimiterWarning,
            on_loss="Each worker keeps to its share of the limit until it is.",
        )
        self._start()

    def _fresh(self) -> None:
        self._lock = threading.Lock()
        self._worker = secrets.token_hex(8)
        self._number = 0
        self._held: dict[str, float] = {}
        """The leases that are out, by when they were given."""
        self._over: list[str] = []
        """Leases that Redis does not know to be over."""
        self._unpaid = 0.0
        """USD that Redis does not know to be spent."""
        self._spent = 0.0
        self._workers: int | None = None
        """How many share the limit, as Redis said."""
        self._not_before = 0.0
        self._usual_seconds = 0.2
        self._own_pace = InMemoryStateStore()

    def acquire(self, requests: int, tokens: int, /) -> RedisLease | float:
        """Return a lease for one request in flight, or the seconds after which to ask again.

        Raises:
            BudgetExceededError: The request would pass `max_cost`.
        """
        with self._lock:
            now = time.monotonic()
            if now < self._not_before:
                return self._not_before - now
            self._number += 1
            lease = f"{self._worker}:{self._number}"
            wait = self._wait(lease, requests, tokens, now)  # which may move the moment too
            self._not_before = max(self._not_before, now + wait)
            if now < self._not_before:
                return self._not_before - now
            self._held[lease] = now
            return RedisLease(self, lease, tokens)

    def release(self, lease: RedisLease, outcome: LeaseOutcome) -> None:
        """Take a lease back. One that was given back, or is another process's, is left alone."""
        with self._lock:
            now = time.monotonic()
            since = self._held.pop(lease.name, None)
            if since is None:
                return
            cost, price, hold = outcome.cost or 0.0, None, 0.0
            if outcome.kind == "landed":
                self._usual_seconds += (now - since - self._usual_seconds) / 8
                price = cost / max(1, lease.tokens)
            elif outcome.kind == "refused":
                hold = min(max(outcome.retry_after or 0.0, _SHORTEST_HOLD), _LONGEST_HOLD)
                self._not_before = max(self._not_before, now + hold)
            self._over.append(lease.name)
            self._unpaid += cost
            with contextlib.suppress(RedisLostError):  # told at the next chance
                self._settle(price, hold)

    def spent(self) -> float:
        """Return the USD that all workers have spent; without Redis, as far as this one knows."""
        with self._lock:
            with contextlib.suppress(RedisLostError):
                self._settle()
            return self._spent + self._unpaid

    def close(self) -> None:
        """Close the connections. The next use opens new ones."""
        self._connection.close()

    def __repr__(self) -> str:
        return f"RedisLimiter({self._connection.label!r}, name={self._limits.name!r})"

    # ----------------------------------------------------------------------------------------------- with Redis

    def _wait(self, lease: str, requests: int, tokens: int, now: float) -> float:
        """Return 0 if the request may leave, or the seconds to wait."""
        lost_at = self._connection.lost_at
        careful = lost_at is not None and now - lost_at < _CAREFUL_SECONDS
        if careful and (wait := self._wait_by_share(requests, tokens, now)) > 0.0:
            return wait
        try:
            return self._wait_by_redis(lease, requests, tokens, careful=careful)
        except RedisLostError as lost:
            if lost.was_asked:  # and may have given it
                self._over.append(lease)
            self._check_own_budget()
            return 0.0 if careful else self._wait_by_share(requests, tokens, now)

    def _wait_by_redis(self, lease: str, requests: int, tokens: int, *, careful: bool) -> float:
        if self._over or self._unpaid:
            self._settle()
        answer = self._run(
            self._limits.enter, lease, worker=self._worker, tokens=tokens, held=list(self._held), spent=self._spent
        )
        self._spent = answer.spent
        # After trouble the others may not have asked again yet.
        self._workers = max(answer.workers, self._workers or 1) if careful else answer.workers
        if answer.verdict == "over":
            raise BudgetExceededError(
                f"Stopped before the next request: {answer.spent:.6g} USD spent by all workers, the request would pass"
                f" max_cost={self._limits.max_cost}."
            )
        if answer.verdict == "held":
            return answer.wait
        if answer.verdict == "full":
            return self._until_one_is_free()
        if not self._limits.has_a_pace:
            return 0.0
        wait = self._run(self._limits.pace, requests, tokens, answer.now)
        if wait > 0.0:
            self._over.append(lease)
            self._settle()
        return wait

    def _settle(self, price: float | None = None, hold: float = 0.0) -> None:
        """Tell Redis of the leases that are over and of what they cost."""
        self._spent = self._run(
            self._limits.leave, self._over, spent=self._spent, cost=self._unpaid, price=price, hold=hold
        )
        self._over.clear()
        self._unpaid = 0.0

    def _run(self, work: Callable[..., _T], *arguments: Any, **named: Any) -> _T:
        try:
            return self._connection.run(work, *arguments, **named)
        except RedisLostError as lost:
            if lost.is_first and self._workers is not None:
                # Some workers hold more than their share. Until their requests have ended, nobody begins another.
                drain = min(2 * self._usual_seconds, _LONGEST_DRAIN)
                self._not_before = max(self._not_before, time.monotonic() + drain)
            raise

    def _until_one_is_free(self) -> float:
        # No lease is handed over, so each is free for half of this, divided by the workers that wait. Unevenly, or all
        # workers would ask at the same moments.
        seconds = min(max(self._usual_seconds / 16, _SOONEST), _LATEST)
        return seconds * random.uniform(0.5, 1.5)  # noqa: S311  no secret

    # -------------------------------------------------------------------------------------------- without Redis

    @property
    def _sharing(self) -> int:
        return self._workers or self._expected_workers

    def _wait_by_share(self, requests: int, tokens: int, now: float) -> float:
        """Return 0 if this worker's share lets the request leave, or the seconds to wait."""
        most = self._limits.concurrency
        if most is not None and len(self._held) >= max(1, most // self._sharing):
            return self._until_one_is_free()
        if not self._limits.has_a_pace:
            return 0.0
        return self._limits.pace_by(self._own_pace, requests, tokens, int(now * 1000), workers=self._sharing)

    def _check_own_budget(self) -> None:
        max_cost = self._limits.max_cost
        if max_cost is not None and self._unpaid >= (max_cost - self._spent) / self._sharing:
            raise BudgetExceededError(
                "Stopped before the next request: Redis cannot be reached, and this worker's share of what was left of"
                f" max_cost={max_cost} is spent."
            )


class RedisLease:
    """The right to have one request in flight.

    Args:
        limiter: Whose it is.
        name: Its name in Redis.
        tokens: Estimated tokens of the request.
    """

    __slots__ = ("_limiter", "name", "tokens")

    def __init__(self, limiter: RedisLimiter, name: str, tokens: int) -> None:
        self._limiter, self.name, self.tokens = limiter, name, tokens

    def release(self, outcome: LeaseOutcome, /) -> None:
        """Give it back and tell what became of the request."""
        self._limiter.release(self, outcome)
