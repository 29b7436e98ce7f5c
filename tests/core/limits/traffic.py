"""A limiter and what it is told, for tests that play both the callers and the gateway."""

from __future__ import annotations

from openrouter_embeddings._limits import Feedback, Load, Permit, TrafficLimiter

LANDED = Feedback(Load.LANDED)
FAILED = Feedback(Load.FAILED)


def refused(retry_after: float | None = None, cause: object = None) -> Feedback:
    return Feedback(Load.REFUSED, retry_after=retry_after, cause=cause)


def unavailable(retry_after: float | None = None) -> Feedback:
    return Feedback(Load.UNAVAILABLE, retry_after=retry_after)


def ready(maximum: int = 16, max_cost: float | None = None) -> TrafficLimiter:
    """Return a limiter of a client that knows how to ask."""
    return TrafficLimiter(maximum=maximum, max_cost=max_cost, encoding_known=True)


def acquire(limiter: TrafficLimiter, now: float = 0.0, tokens: int = 1, seconds: float = 1000.0) -> Permit:
    permit = limiter.acquire(now, tokens, seconds=seconds)
    assert isinstance(permit, Permit)
    return permit


def release(limiter: TrafficLimiter, permit: Permit, feedback: Feedback = LANDED, now: float = 0.0) -> bool:
    return limiter.release(permit, feedback, now=now, jitter=0.0)


def alone(limiter: TrafficLimiter, now: float, feedback: Feedback = LANDED) -> None:
    """Send one request, and let it be answered in no time."""
    release(limiter, acquire(limiter, now), feedback, now)


def fill(limiter: TrafficLimiter, now: float = 0.0) -> list[Permit]:
    """Send as many requests as may be in flight."""
    return [acquire(limiter, now) for _ in range(limiter.limit(now))]


def land_a_round(limiter: TrafficLimiter, now: float = 0.0) -> None:
    for permit in fill(limiter, now):
        release(limiter, permit, LANDED, now)


def a_round(limiter: TrafficLimiter, now: float, let_in: int) -> int:
    """Fill the limit; refuse what is more than the gateway lets in, and close the breaker again. Return how many."""
    permits = fill(limiter, now)
    for index, permit in enumerate(permits):
        release(limiter, permit, LANDED if index < let_in else refused(1.0), now)
    if limiter.breaker.open_until is not None:
        alone(limiter, limiter.breaker.open_until)
    return max(0, len(permits) - let_in)
