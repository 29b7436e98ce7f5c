"""How many requests may be in flight. Pure: time is an argument.

The width starts small and doubles per full round. A refusal says how many requests were in flight beside the refused
one, and these were let in: that number is the *ceiling*, known to be good. The width goes back to it, not to half, and
stays there; a refusal of a width below it halves, for then the ceiling was wrong. Requests overtake each other on their
way, one on a new connection most of all, so the ceiling is first too low: once the gate is open again, all that was in
flight at the first refusal and was not refused counts as let in.

One step above the ceiling is a question that may cost a closed gate, so it is asked only after ten times as long
without a refusal, and half as often each time the answer is no. When one has landed above it, the ceiling is forgotten.
"""

from __future__ import annotations

FIRST_WIDTH = 4
HOLD_PER_WAIT = 10.0
"""Asking again costs at most a tenth of the time,"""
HOLD_LEAST = 1.0
HOLD_FIRST_MOST = 10.0
"""but a gate that was closed for minutes, and not because of the width, must not keep it down for long."""
HOLD_MOST = 160.0


class Width:
    """The most that may be in flight by what the gateway has let in."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.value = float(min(FIRST_WIDTH, most))
        self._ceiling = 0
        """0: none known."""
        self._landed_above = False
        self._hold = 0.0
        self._held_until = 0.0
        self._before = self.value
        self._refused_ever = False
        self._landed_in_round = 0
        self._peak_in_round = 0
        self._flown = 0
        """How many were in flight when the first of them was refused; 0 where that says nothing."""
        self._refused = 0

    def places(self) -> int:
        """Return how many requests may be in flight."""
        return max(1, min(self.most, int(self.value)))

    def entered(self, in_flight: int) -> None:
        """Note how much of the width is used."""
        self._peak_in_round = max(self._peak_in_round, in_flight)

    def landed(self, now: float, beside: int) -> None:
        """Note an answer. A round in which at least half was used may widen.

        Args:
            now: The time.
            beside: How many others were in flight when the request left; 0 if that was before the last refusal.
        """
        self._landed_above = self._landed_above or beside >= self._ceiling
        self._landed_in_round += 1
        if self._landed_in_round < int(self.value):
            return
        if self._peak_in_round * 2 >= int(self.value):
            self._widen(now)
        self._landed_in_round = self._peak_in_round = 0

    def _widen(self, now: float) -> None:
        doubled = self.value * 2
        if self._ceiling and self.value < self._ceiling:
            self.value = min(doubled, float(self._ceiling))
        elif self._ceiling and not self._landed_above:
            if now >= self._held_until:
                self.value = min(float(self.most), self._ceiling + 1.0)
        else:
            self._ceiling = 0
            self.value = min(float(self.most), self.value + 1 if self._refused_ever else doubled)

    def halve(self) -> None:
        """Narrow after a refusal that says nothing about how many may be in flight."""
        self._begin_again()
        self._flown = 0
        self.value = max(1.0, self.value / 2)

    def refused(self, beside: int, *, flown: int, wait: float, now: float) -> bool:
        """Narrow after the first refusal of a window; return whether it was for the rate, not for the width.

        Args:
            beside: How many others were in flight when the refused request left.
            flown: How many are in flight now, the refused one among them.
            wait: Seconds for which the gate is closed now.
            now: The time.
        """
        known = self._ceiling
        for_rate = beside == 0 or beside * 2 < known
        if beside == 0 or beside < known:
            self.halve()
        else:
            self._begin_again()
            self.value = float(beside)
        self._ceiling = beside
        self._flown, self._refused = flown, 1
        least = min(HOLD_FIRST_MOST, max(HOLD_LEAST, HOLD_PER_WAIT * wait))
        self._hold = min(HOLD_MOST, self._hold * 2) if known and beside == known else least
        self._held_until = now + wait + self._hold
        return for_rate

    def also_refused(self, beside: int) -> None:
        """Note another refusal of the same window: fewer were let in than the first one said."""
        self._refused += 1
        if not self._ceiling or beside >= self._ceiling:
            return
        self._ceiling = beside
        # If none was let in, nothing is known to be good.
        self.value = min(self.value, float(beside)) if beside else max(1.0, self._before / 2)

    def reopened(self) -> None:
        """Note that the gate is open again: what was in flight and has not been refused was let in."""
        let_in, self._flown = self._flown - self._refused, 0
        if let_in > self._ceiling and let_in >= max(FIRST_WIDTH, self._refused):
            self._ceiling = let_in
            self.value = max(self.value, float(min(let_in, self.most)))

    def _begin_again(self) -> None:
        self._refused_ever = True
        self._before = self.value
        self._landed_above = False
        self._landed_in_round = self._peak_in_round = 0
