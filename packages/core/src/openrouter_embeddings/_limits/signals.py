"""What the limiter receives, and what it hands out."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Load(Enum):
    """What an answer says about the gateway's load."""

    LANDED = "landed"
    REFUSED = "too much: open the breaker, and slow down"
    UNAVAILABLE = "an outage: open the breaker"
    FAILED = "a failure: spend from the retry quota"
    NEUTRAL = "nothing about load"


@dataclass(frozen=True, slots=True)
class Feedback:
    """What one answer tells the limiter.

    Attributes:
        load: What it says about the gateway's load.
        retry_after: Seconds that the gateway asked to wait.
        cost: USD that it was billed with, or None if the answer did not say.
        tokens: Tokens that it was billed with, likewise.
        is_priced: Whether the cost tells what the next request may cost. What the gateway had kept was free.
        cause: What to blame for a breaker that this opens.
        ends_calls: Whether every request that waits now would meet the same answer: a bad key, no credit.
    """

    load: Load
    retry_after: float | None = None
    cost: float | None = None
    tokens: int | None = None
    is_priced: bool = True
    cause: object = None
    ends_calls: bool = False


@dataclass(slots=True, eq=False)
class Permit:
    """The right to have one request in flight, until it is released or expires.

    Attributes:
        epoch: How often the breaker had opened when the request left.
        probe: Whether it is the one request that may close a half-open breaker.
        in_flight_before: How many other requests were in flight then.
        tokens: Estimated tokens of the request.
        reserved_cost: USD set aside for it.
        expires_at: When the permit is taken back from a holder that stands still.
        active: False once it was released or taken back.
    """

    epoch: int
    probe: bool
    in_flight_before: int
    tokens: int
    reserved_cost: float
    expires_at: float
    active: bool = True


@dataclass(frozen=True, slots=True)
class Wait:
    """No permit now.

    Attributes:
        until: The time at which to try again; None: once a permit is released.
        paced: Whether our own pace is what holds the request back, not the gateway.
    """

    until: float | None = None
    paced: bool = False

    @property
    def refused(self) -> bool:
        """Whether the open breaker is what holds the request back."""
        return self.until is not None and not self.paced


class OverBudget:
    """The request would pass `max_cost`."""
