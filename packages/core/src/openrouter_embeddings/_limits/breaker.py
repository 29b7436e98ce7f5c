"""A circuit breaker, open for as long as the gateway asked, closed again by one probe. Pure: time is an argument.

The pattern is Michael Nygard's ("Release It!"): closed, open, half-open. How long it stays open is the larger of the
gateway's `Retry-After` and an exponential back-off with full jitter (AWS Architecture Blog, "Exponential Backoff And
Jitter", 2015).

One refusal is one observation: it is believed for two minutes at most. Each further one in a row doubles that, up to a
quarter of an hour.
"""

from __future__ import annotations

BACK_OFF_FIRST = 0.5
BACK_OFF_MAX = 20.0
SPREAD = 0.1
"""Closing is spread by up to a tenth of the wait, so that clients given the same second do not return in step,"""
SPREAD_MAX = 0.5
"""but by no more than this: a tenth of two minutes would be lost time."""
BELIEVED_FIRST = 120.0
BELIEVED_MAX = 900.0


def back_off(failures: int, jitter: float) -> float:
    """Return seconds to wait after so many failures in a row: full jitter, `jitter` in [0, 1)."""
    return jitter * min(BACK_OFF_MAX, BACK_OFF_FIRST * 2.0 ** min(failures, 16))


class CircuitBreaker:
    """Holds every request of a client back while the gateway refuses them."""

    def __init__(self) -> None:
        self.open_until: float | None = None
        """None: closed. Once this time has come, the breaker is half open."""
        self.probing = False
        """Whether the one request that a half-open breaker lets through is in flight."""
        self.opened_by: object = None
        self.refusing_since: float | None = None
        """Since when nothing has landed but refusals have come."""
        self._refusals_in_row = 0

    def is_open(self, now: float) -> bool:
        """Return whether nothing may leave yet."""
        return self.open_until is not None and now < self.open_until

    def open(self, now: float, retry_after: float | None, *, cause: object, first: bool, jitter: float) -> float:
        """Open, or stay open for longer, and return for how many seconds from now.

        Args:
            now: The time.
            retry_after: Seconds that the gateway asked to wait, if it did.
            cause: What to blame.
            first: Whether this is the first refusal since the breaker was closed or half open; others that were in
                flight then are no further observation.
            jitter: A random number in [0, 1).
        """
        asked = min(retry_after or 0.0, BELIEVED_MAX, BELIEVED_FIRST * 2.0 ** min(self._refusals_in_row, 8))
        spread = min(SPREAD * asked, SPREAD_MAX) * jitter
        wait = max(back_off(self._refusals_in_row, jitter), asked + spread)
        self.open_until = max(self.open_until or 0.0, now + wait)
        self.opened_by = cause
        self.refusing_since = now if self.refusing_since is None else self.refusing_since
        self._refusals_in_row += first
        return wait

    def close(self) -> None:
        """Let requests through again."""
        self.open_until = self.refusing_since = None
        self._refusals_in_row = 0
