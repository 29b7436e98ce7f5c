"""How fast requests may follow each other: a pacer, as the leaky bucket and GCRA know it. Pure: time is an argument.

There is no interval until one is needed. A gateway that counts requests per time refuses again soon after the breaker
closed, however few are in flight. What landed from one refusal to the next, the closed time included, is the rate that
it takes: from then on requests leave that far apart. The first estimate is believed for a second at most, each further
one for twice the last.

After so many answers without a refusal requests leave a little closer together; if that is refused, the next try comes
after twice as many. A minute without a refusal halves the interval. One that no longer slows anything is dropped.
"""

from __future__ import annotations

IGNORE_ABOVE = 256
"""When more than this lands between two refusals, waiting the refusals out is cheap enough."""
SPEED_UP = 0.8
ANSWERS_MIN = 8
ANSWERS_MAX = 64
INTERVAL_MIN = 0.01
INTERVAL_FIRST_MAX = 1.0
INTERVAL_MAX = 60.0
FORGET_SECONDS = 60.0


class Pacer:
    """The least time between two requests, learnt from refusals."""

    def __init__(self) -> None:
        self.interval = 0.0
        """Seconds; 0: no pace."""
        self._next_at = 0.0
        self._refused_at: float | None = None
        self._confirmed_at = 0.0
        """When the interval was last set, raised or halved."""
        self._landed = 0
        """Answers to what was sent since the last refusal."""
        self._landed_at_pace = 0
        self._answers_needed = ANSWERS_MIN

    def not_before(self, now: float) -> float | None:
        """Return when the next request may leave, or None if it may now."""
        return self._next_at if self.interval and now < self._next_at else None

    def sent(self, now: float) -> None:
        """Note that a request leaves."""
        if self.interval and now - self._confirmed_at >= FORGET_SECONDS:
            self._shorten(0.5 ** ((now - self._confirmed_at) // FORGET_SECONDS))
            self._confirmed_at = now
        self._next_at = now + self.interval

    def skip_idle(self, seconds: float) -> None:
        """Leave out a time without requests: it says nothing about the rate that the gateway takes."""
        if self._refused_at is not None:
            self._refused_at += seconds

    def landed(self) -> None:
        """Note an answer to what was sent since the last refusal."""
        self._landed += 1
        if not self.interval:
            return
        self._landed_at_pace += 1
        if self._landed_at_pace >= self._answers_needed:
            self._shorten(SPEED_UP)

    def refused(self, now: float, *, for_the_rate: bool, wait: float) -> None:
        """Note the first refusal of an epoch: slow down if it was for the rate. Nothing leaves for `wait` seconds."""
        if not self._landed:
            self._refused_at = now if self._refused_at is None else self._refused_at
            return
        if for_the_rate:
            self._slow_down(now)
            self._confirmed_at = now + wait
        self._refused_at, self._landed, self._landed_at_pace = now, 0, 0

    def _slow_down(self, now: float) -> None:
        believed = max(INTERVAL_FIRST_MAX, 2 * self.interval)
        if self.interval:
            self.interval /= SPEED_UP
            self._answers_needed = min(ANSWERS_MAX, self._answers_needed * 2)
        if self._refused_at is not None and self._landed <= IGNORE_ABOVE:
            # A bucket's filling hides up to one request either way: half of one in our favour keeps the estimate honest.
            estimate = (now - self._refused_at) / (self._landed + 0.5)
            self.interval = max(self.interval, min(believed, estimate))
        self.interval = min(self.interval, INTERVAL_MAX)

    def _shorten(self, factor: float) -> None:
        self.interval *= factor
        self._landed_at_pace = 0
        if self.interval < INTERVAL_MIN:
            self.interval, self._answers_needed = 0.0, ANSWERS_MIN
