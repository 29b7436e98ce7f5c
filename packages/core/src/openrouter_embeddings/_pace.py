"""How fast requests may follow each other. Pure: time is an argument.

There is no pace until one is needed. A gateway that counts requests per time refuses again soon after it opened,
whatever the width. What landed from one refusal to the next, the closed time included, is the rate that it takes:
from then on requests leave that far apart. After so many without a refusal they leave a little closer together; if
that is refused, the next try comes after twice as many. A pace that no longer slows anything is none.
"""

from __future__ import annotations

MANY = 256
"""When more than this lands between two refusals, waiting the refusals out is cheap enough."""
FASTER = 0.8
HOLD_LEAST = 8
HOLD_MOST = 64
GAP_LEAST = 0.01
GAP_FIRST_MOST = 1.0
"""One refusal makes the gap no longer than this, the time told or twice what it was: it may have been for no rate."""
GAP_MOST = 60.0


class Pace:
    """The least time between two requests, learnt from refusals."""

    def __init__(self) -> None:
        self.gap = 0.0
        self._next_at = 0.0
        self._refused_at: float | None = None
        self._landed = 0
        """Answers to what was asked since the last refusal."""
        self._landed_at_pace = 0
        self._hold = HOLD_LEAST

    def not_before(self, now: float) -> float | None:
        """Return when the next request may leave, or None if it may now."""
        return self._next_at if self.gap and now < self._next_at else None

    def took(self, now: float) -> None:
        """Note that a request leaves."""
        self._next_at = now + self.gap

    def idle(self, seconds: float) -> None:
        """Note that nobody wanted anything for a while: that says nothing about what the gateway takes."""
        if self._refused_at is not None:
            self._refused_at += seconds

    def landed(self) -> None:
        """Note an answer to what was asked since the last refusal."""
        self._landed += 1
        if not self.gap:
            return
        self._landed_at_pace += 1
        if self._landed_at_pace >= self._hold:
            self.gap *= FASTER
            self._landed_at_pace = 0
            if self.gap < GAP_LEAST:
                self.gap, self._hold = 0.0, HOLD_LEAST

    def refused(self, now: float, wait: float, *, for_rate: bool) -> None:
        """Note the first refusal of a window: slow down if it was for the rate."""
        if not self._landed:
            self._refused_at = now if self._refused_at is None else self._refused_at
            return
        if for_rate:
            self._slow_down(now, max(GAP_FIRST_MOST, wait, self.gap * 2))
        self._refused_at, self._landed, self._landed_at_pace = now, 0, 0

    def _slow_down(self, now: float, most: float) -> None:
        if self.gap:
            self.gap /= FASTER
            self._hold = min(HOLD_MOST, self._hold * 2)
        if self._refused_at is not None and self._landed <= MANY:
            # A bucket's filling hides up to one request either way; half of one in our favour keeps the guess honest.
            self.gap = max(self.gap, min(most, (now - self._refused_at) / (self._landed + 0.5)))
        self.gap = min(self.gap, GAP_MOST)
