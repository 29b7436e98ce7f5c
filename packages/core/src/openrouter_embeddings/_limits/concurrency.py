"""How many requests may be in flight: AIMD with a known-good level. Pure: time is an argument.

Additive increase, multiplicative decrease is Chiu and Jain's (1989); slow start is TCP's (RFC 5681), and the known-good
level is the `W_max` of CUBIC (RFC 9438). The limit starts small and doubles per full round until the first refusal.

* The requests that were in flight beside a refused one had been let in. Their number is the *known-good level*; the
  limit returns to it, not to half, and stays there. A refusal below the level halves the limit: the level was wrong.
* Requests can arrive out of order, so the first estimate is too low. When the breaker closes again, the level rises to
  the number of requests that were in flight at the first refusal and were not refused. Where some of these had been
  answered before others came, that is a few too many.
* Probing one above the level may be refused. So a probe waits for `TRY_AFTER_ANSWERS` answers and `TRY_AFTER_SECONDS`:
  at most one request in a hundred is refused for it. If it lands, the limit grows by one, then two, then four a round:
  carefully at first, then fast, as CUBIC does beyond `W_max`.
* A *try* is a request for more than was surely let in: a probe, one above the first estimate, one on the way up, and the
  last one of a level, as a gateway may free the place of an answered request only after the next has come. A refused try
  corrects the level and nothing else. For the last of a level that holds once: a second one soon after is no chance.
"""

from __future__ import annotations

FIRST_LIMIT = 4
TRY_AFTER_ANSWERS = 100
TRY_AFTER_SECONDS = 2.0
TRY_AFTER_SECONDS_MAX = 8.0
UNSURE = 6
"""One in so many requests may have been answered unseen when the first was refused."""
OVERTAKEN_ABOVE = 2
"""With more than so many in flight, the order in which requests left is not that in which they arrived."""


class ConcurrencyLimit:
    """The most requests that may be in flight, by what the gateway has let in.

    Args:
        maximum: Never more than this.
    """

    def __init__(self, maximum: int) -> None:
        self.maximum = maximum
        self._limit = float(min(FIRST_LIMIT, maximum))
        self._known_good = 0
        """0: nothing was refused yet, or more has landed since."""
        self._sure = 0
        """What was surely let in, where no hundred answers have confirmed the level. 0: nothing is known of any."""
        self._landed_above = False
        self._step = 0.0
        """What the next full round adds; 0: it doubles."""
        self._answers = 0
        self._try_at = 0.0
        self._try_after = 0.0
        self._limit_before_refusal = self._limit
        self._landed_in_round = 0
        self._peak_in_round = 0
        self._in_flight_at_refusal = 0
        """0 where that says nothing."""
        self._refused = 0

    @property
    def value(self) -> int:
        """How many requests may be in flight."""
        return max(1, min(self.maximum, int(self._limit)))

    def sent(self, in_flight: int) -> None:
        """Note how much of the limit is used."""
        self._peak_in_round = max(self._peak_in_round, in_flight)

    def is_a_try(self, in_flight_before: int) -> bool:
        """Return whether a request that left beside so many others asked for more than was surely let in."""
        return 0 < self._surely_let_in() <= in_flight_before

    def _surely_let_in(self) -> int:
        return max(1, self._known_good - 1) if self._level_is_confirmed else self._sure

    @property
    def _level_is_confirmed(self) -> bool:
        return self._known_good > 0 and self._answers >= TRY_AFTER_ANSWERS

    def landed(self, now: float, in_flight_before: int) -> None:
        """Note an answer. A round in which at least half of the limit was used may raise it.

        Args:
            now: The time.
            in_flight_before: How many others were in flight when the request left; 0 if that was before the last
                refusal.
        """
        self._landed_above = self._landed_above or in_flight_before >= self._known_good
        self._answers += 1
        self._landed_in_round += 1
        if self._landed_in_round < int(self._limit):
            return
        if self._peak_in_round * 2 >= int(self._limit):
            self._raise(now)
        self._landed_in_round = self._peak_in_round = 0

    def try_refused(self, now: float, in_flight_before: int) -> None:
        """Note that a try was refused: the level was too high an estimate, or the next probe comes later."""
        confirmed = self._level_is_confirmed
        if confirmed:
            self._sure = self._known_good
        if 0 < self._known_good <= in_flight_before:
            self._try_after = min(TRY_AFTER_SECONDS_MAX, self._try_after * 2)
            self._try_at = now + self._try_after
        elif not confirmed:
            self._known_good = in_flight_before
        self._limit = float(self._known_good)
        self._begin_round()

    def refused(self, now: float, in_flight_before: int, *, in_flight_now: int, wait: float) -> bool:
        """Lower the limit after the first refusal of an epoch; return whether it was for the rate of requests instead.

        Args:
            now: The time.
            in_flight_before: How many others were in flight when the refused request left.
            in_flight_now: How many are in flight now, the refused one among them.
            wait: Seconds for which the breaker is open now.
        """
        known = self._known_good
        below_known_good = in_flight_before == 0 or in_flight_before < known
        # A cap that was lowered refuses far below the known-good level, too; only a request that left alone met no cap.
        # Where several have left after it, it may have been overtaken by them.
        for_the_rate = in_flight_before == 0 and in_flight_now <= OVERTAKEN_ABOVE
        self._begin_round()
        self._limit = max(1.0, self._limit / 2) if below_known_good else float(in_flight_before)
        self._know(in_flight_before)
        self._in_flight_at_refusal, self._refused = in_flight_now, 1
        again = bool(known) and in_flight_before == known
        self._try_after = min(TRY_AFTER_SECONDS_MAX, self._try_after * 2) if again else TRY_AFTER_SECONDS
        self._try_at = now + wait + self._try_after
        return for_the_rate

    def refused_again(self, in_flight_before: int) -> None:
        """Note another refusal of the same epoch: fewer were let in than the first one showed."""
        self._refused += 1
        if not self._known_good or in_flight_before >= self._known_good:
            return
        self._know(in_flight_before)
        # If none was let in, nothing is known to be good.
        least = max(1.0, self._limit_before_refusal / 2)
        self._limit = min(self._limit, float(in_flight_before)) if in_flight_before else least

    def unavailable(self, now: float) -> None:
        """Halve the limit after an outage, which says nothing about how many may be in flight."""
        self._begin_round()
        self._in_flight_at_refusal = 0
        self._limit = max(1.0, self._limit / 2)

    def breaker_closed(self) -> None:
        """Correct the limit by what was in flight at the first refusal and was not refused: that many were let in."""
        in_flight, self._in_flight_at_refusal = self._in_flight_at_refusal, 0
        let_in = in_flight - self._refused
        if let_in > self._known_good and let_in >= max(FIRST_LIMIT, self._refused):
            self._known_good = let_in
            self._limit = max(self._limit, float(min(let_in, self.maximum)))
        elif in_flight and not self._known_good:  # nothing is known to have been let in
            self._limit = 1.0

    def _raise(self, now: float) -> None:
        if self._known_good and self._limit < self._known_good:
            self._limit = min(self._limit * 2, float(self._known_good))
        elif self._known_good and not self._landed_above:
            if now >= self._try_at and self._level_is_confirmed:
                self._limit = min(float(self.maximum), self._known_good + 1.0)
                self._step = 1.0
        else:
            if self._sure:  # on the way up from a level: a round has landed
                self._sure = max(self._sure, self._known_good, self._peak_in_round)
            self._known_good = 0
            self._limit = min(float(self.maximum), self._limit + (self._step or self._limit))
            self._step *= 2

    def _know(self, level: int) -> None:
        self._known_good, self._sure = level, level - level // UNSURE

    def _begin_round(self) -> None:
        self._limit_before_refusal = self._limit
        self._landed_above = False
        self._answers = self._landed_in_round = self._peak_in_round = 0
        self._step = 1.0
