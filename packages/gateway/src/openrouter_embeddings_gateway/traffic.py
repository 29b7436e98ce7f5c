"""How many requests are let in: at once, and in a second."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from .errors import Refused, classic
from .settings import Settings


class Traffic:
    """Lets embedding requests in: at most `cap` at once, and `rate` a second by a token bucket of size `burst`."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._inside = 0
        self.limit(settings)

    def limit(self, settings: Settings) -> None:
        """Apply other limits; the bucket is full again, and requests that are inside stay counted."""
        self._cap, self._rate = settings.cap, settings.rate
        self._burst = float(settings.burst or max(1, int(settings.rate or 0)))
        self._tokens, self._filled = self._burst, self._clock()

    def enter(self) -> None:
        """Let a request in, or refuse it with 429 and the time to wait. Whoever is let in must `leave`."""
        if self._cap is not None and self._inside >= self._cap:
            raise _too_many(f"at most {self._cap} requests at once", 1)
        if self._rate is not None:
            self._take_token(self._rate)
        self._inside += 1

    def leave(self) -> None:
        """Make room."""
        self._inside -= 1

    def _take_token(self, rate: float) -> None:
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._filled) * rate)
        self._filled = now
        missing = 1 - self._tokens
        if missing > 1e-9:  # what rounding leaves is no reason to refuse
            raise _too_many(f"at most {rate:g} requests a second", max(1, math.ceil(missing / rate)))
        self._tokens -= 1


def _too_many(limit: str, seconds: int) -> Refused:
    return Refused(429, classic(429, f"Rate limit exceeded: {limit}"), {"Retry-After": str(seconds)})
