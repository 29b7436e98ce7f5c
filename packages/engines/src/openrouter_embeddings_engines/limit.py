"""What all workers of a job may do together, what is one worker's share of it, and a limiter that keeps a rate."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from threading import Lock
from typing import Self
from urllib.parse import urlsplit

from openrouter_embeddings import ConfigurationError, LeaseOutcome

_SLACK = 0.05
"""Seconds that a request may leave early to make good that those before it left late: timers are not exact."""


def is_redis(address: str) -> bool:
    """Return whether an address is Redis's."""
    return urlsplit(address).scheme in {"redis", "rediss", "unix"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """What all workers of a job may do together.

    Attributes:
        concurrency: Most requests in flight.
        per_second: Most requests a second, or None.
        tokens_per_minute: Most estimated tokens a minute, or None.
        at: A `redis://` address, or `"$NAME"`: the variable that holds one on each worker. There the workers keep one limit,
            and one `max_cost`, together. None: each worker keeps its share.

    Raises:
        ConfigurationError: A number is not above 0, or `at` is no address.
    """

    concurrency: int = 16
    per_second: float | None = None
    tokens_per_minute: float | None = None
    at: str | None = field(default=None, repr=False)  # it may hold a password

    def __post_init__(self) -> None:
        if self.at is not None and not (isinstance(self.at, str) and (is_redis(self.at) or self.at[:1] == "$")):
            raise ConfigurationError("at takes a redis:// address, or '$NAME' for the variable that holds one.")
        for limit in fields(self)[:-1]:
            value = getattr(self, limit.name)
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            is_right = value is None and limit.default is None
            if not is_right and not (is_number and 0 < value < float("inf")):
                raise ConfigurationError(f"{limit.name} takes a number above 0, not {value!r}.")
        if not isinstance(self.concurrency, int):
            raise ConfigurationError(f"concurrency takes a whole number, not {self.concurrency!r}.")

    def share(self, workers: int) -> Self:
        """Return what each of so many workers may do: its part of everything, and at least one request in flight.

        More workers than `concurrency` are together above it: then a limiter that they share keeps it.
        """
        if not isinstance(workers, int) or workers < 1:
            raise ConfigurationError(f"workers takes a whole number of at least 1, not {workers!r}.")
        return type(self)(
            concurrency=max(1, self.concurrency // workers),
            per_second=None if self.per_second is None else self.per_second / workers,
            tokens_per_minute=None if self.tokens_per_minute is None else self.tokens_per_minute / workers,
        )

    def limiter(self, clock: Callable[[], float] = time.monotonic) -> RateLimiter | None:
        """Return what keeps the rates in this process, or None where there is none to keep."""
        if self.per_second is None and self.tokens_per_minute is None:
            return None
        per_minute = self.tokens_per_minute
        return RateLimiter(
            per_second=self.per_second, tokens_per_second=None if per_minute is None else per_minute / 60, clock=clock
        )


class RateLimiter:
    """Lets requests leave evenly: GCRA, the leaky bucket as a meter (ITU-T I.371), on requests and on tokens. Never waits.

    A refusal holds everybody back for as long as it names.

    Args:
        per_second: Requests a second, or None.
        tokens_per_second: Estimated tokens a second, or None.
        clock: Seconds, ever growing.
    """

    def __init__(
        self,
        *,
        per_second: float | None = None,
        tokens_per_second: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rates = (per_second, tokens_per_second)
        self._due = [0.0, 0.0]
        """When the next request, and the next token, would leave at an even pace."""
        self._closed_until = 0.0
        self._clock = clock
        self._lock = Lock()

    def acquire(self, requests: int, tokens: int, /) -> RateLease | float:
        """Return a lease, or the seconds after which to ask again."""
        with self._lock:
            now = self._clock()
            wait = max(*(due - _SLACK - now for due in self._due), self._closed_until - now)
            if wait > 0.0:
                return wait
            for index, (rate, amount) in enumerate(zip(self._rates, (requests, tokens), strict=True)):
                if rate is not None:
                    self._due[index] = max(self._due[index], now) + amount / rate
            return RateLease(self)

    def change(self, per_second: float | None, tokens_per_second: float | None) -> None:
        """Let requests leave at other rates from now on."""
        with self._lock:
            self._rates = (per_second, tokens_per_second)

    def hold(self, seconds: float) -> None:
        """Let nothing leave for so long."""
        with self._lock:
            self._closed_until = max(self._closed_until, self._clock() + seconds)


class RateLease:
    """Leave to send one request."""

    def __init__(self, limiter: RateLimiter) -> None:
        self._limiter = limiter

    def release(self, outcome: LeaseOutcome, /) -> None:
        """Take what came of the request: a refusal holds the others back."""
        if outcome.kind == "refused" and outcome.retry_after:
            self._limiter.hold(outcome.retry_after)
