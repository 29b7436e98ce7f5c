"""What a client may still spend: retries that may be billed twice, and dollars. Pure: time is an argument."""

from __future__ import annotations

from .signals import Permit

QUOTA_MAX = 100.0
QUOTA_NEEDED = 50.0
QUOTA_MIN = 40.0
"""An outage, however long, leaves so much: a few good answers, or some seconds of peace, and replays are back."""
EARNED_BY_ANSWER = 0.1
EARNED_BY_SECOND = 1.0
QUIET_SECONDS = 120.0


class RetryQuota:
    """Keeps retries from making an outage worse: gRPC's retry throttling (proposal A6), refilled by time too.

    A failure costs one token, an answer earns a tenth of one; at half of the tokens or less there is no replay. As long
    as answers come, or once nothing has failed for two minutes, each second earns a token: what an outage has drained
    must not fail the first mishap after it.
    """

    def __init__(self) -> None:
        self._tokens = QUOTA_MAX
        self._earning_since = 0.0

    def failed(self, now: float) -> None:
        """Note a failure."""
        self._earn(now)
        self._tokens = max(QUOTA_MIN, self._tokens - 1.0)
        self._earning_since = now + QUIET_SECONDS

    def landed(self, now: float) -> None:
        """Note an answer."""
        self._earn(now)
        self._tokens = min(QUOTA_MAX, self._tokens + EARNED_BY_ANSWER)
        self._earning_since = now

    def allows(self, now: float) -> bool:
        """Return whether one more attempt at something that failed would not feed an outage."""
        self._earn(now)
        return self._tokens > QUOTA_NEEDED

    def _earn(self, now: float) -> None:
        if now > self._earning_since:
            self._tokens = min(QUOTA_MAX, self._tokens + EARNED_BY_SECOND * (now - self._earning_since))
            self._earning_since = now


class CostBudget:
    """Holds back what would pass `max_cost`, by the highest price per token seen so far.

    Args:
        max_cost: USD that may be spent, or None.
    """

    def __init__(self, max_cost: float | None) -> None:
        self.max_cost = max_cost
        self.spent = 0.0
        self._reserved = 0.0
        self._reservations = 0
        self._max_price_seen = 0.0
        self._price_known = False

    @property
    def needs_a_price(self) -> bool:
        """Whether one request alone must first find out what it costs."""
        return self.max_cost is not None and not self._price_known

    def reserve(self, tokens: int) -> float | None:
        """Set aside what so many tokens may cost, and return it; None if that would pass the budget."""
        if self.max_cost is None:
            return 0.0
        needed = self._max_price_seen * tokens
        if self.spent >= self.max_cost or self.spent + self._reserved + needed > self.max_cost:
            return None
        self._reserved += needed
        self._reservations += 1
        return needed

    def may_fit_later(self, tokens: int) -> bool:
        """Return whether what is in flight may turn out cheap enough for so many tokens."""
        if self.max_cost is None:
            return True
        return self._reserved > 0.0 and self.spent + self._max_price_seen * tokens <= self.max_cost

    def free(self, permit: Permit) -> None:
        """Give back what was set aside for a request."""
        if self.max_cost is None:
            return
        self._reservations -= 1
        # Sums of floats leave a rest. With nothing in flight there is none, or requests would wait for it for ever.
        self._reserved = max(0.0, self._reserved - permit.reserved_cost) if self._reservations else 0.0

    def pay(self, cost: float, tokens: int) -> None:
        """Note what a request has cost."""
        self.spent += cost
        self._price_known = True
        if tokens:
            self._max_price_seen = max(self._max_price_seen, cost / tokens)

    def forget_reserved(self) -> None:
        """Start with nothing in flight."""
        self._reserved, self._reservations = 0.0, 0
