"""One client's traffic: may a request leave now, and what does its answer teach? Pure: no clock, no randomness.

Four parts decide together: `CircuitBreaker` (nothing leaves for a while), `ConcurrencyLimit` (how many at once),
`Pacer` (how fast one after another) and `CostBudget` (for how much). A permit that is not released in time is revoked, so
a stalled thread or event loop holds up no other.

A 429 opens the breaker even where it looks like a cap on concurrency: only sending more would show whether there is
capacity, and `Retry-After` asks us not to. The exception is a try for more than was surely let in: its refusal only
answers the try, so that request alone waits. A 503 or 529 beside others in flight is read likewise, as proxies answer
so above their caps (nginx's `limit_conn`); to a request that left alone it is an outage and no limit: it halves the
concurrency once and teaches nothing else.
"""

from __future__ import annotations

from .breaker import CircuitBreaker
from .budgets import CostBudget, RetryQuota
from .concurrency import ConcurrencyLimit
from .pacer import Pacer
from .signals import Feedback, Load, OverBudget, Permit, Wait


class TrafficLimiter:
    """The state of one client's traffic. Not thread-safe by itself: the dispatcher holds a lock around each call.

    Args:
        maximum: Most requests in flight.
        max_cost: USD that may be spent, or None.
        pilot_seconds: For how long a client that has no answer yet keeps to one request, which finds out how to ask.
        encoding_known: Whether there is nothing to find out.
    """

    def __init__(
        self, *, maximum: int, max_cost: float | None = None, pilot_seconds: float = 2.0, encoding_known: bool = False
    ) -> None:
        self.concurrency = ConcurrencyLimit(maximum)
        self.pacer = Pacer()
        self.breaker = CircuitBreaker()
        self.budget = CostBudget(max_cost)
        self.retry_quota = RetryQuota()
        self._active: set[Permit] = set()
        self._pilot_seconds = pilot_seconds
        self._pilot_ends: float | None = None
        self._piloting = not encoding_known
        self._last_release = 0.0
        self._had_to_wait = False
        """Whether a request had to wait since the last one left."""
        self._epoch = 0
        self._burst = 0
        """The first epoch of the requests that may have been refused together with the one that ended the last."""

    @property
    def in_flight(self) -> int:
        """How many permits are out."""
        return len(self._active)

    def acquire(self, now: float, tokens: int, *, seconds: float, leaves: bool = True) -> Permit | Wait | OverBudget:
        """Return a permit for so many seconds, or what to wait for.

        Args:
            now: The time.
            tokens: Estimated tokens of the request.
            seconds: For how long the permit is good.
            leaves: Whether the request leaves at once; if not, `leave` says when it does.
        """
        wait = self.obstacle(now)
        if wait is not None:
            self._had_to_wait = True
            return wait
        reserved = self.budget.reserve(tokens)
        if reserved is None:
            return Wait() if self.budget.may_fit_later(tokens) else OverBudget()
        permit = Permit(
            epoch=self._epoch,
            probe=self.breaker.open_until is not None,
            in_flight_before=len(self._active),
            tokens=tokens,
            reserved_cost=reserved,
            expires_at=now + seconds,
        )
        self.breaker.probing = permit.probe
        self._active.add(permit)
        if self._piloting and self._pilot_ends is None:
            self._pilot_ends = now + self._pilot_seconds
        if leaves:
            self.leave(permit, now)
        return permit

    def leave(self, permit: Permit, now: float) -> bool:
        """Note that a request leaves; return False if it may not, because its permit was revoked or the breaker opened."""
        may_pass = self.breaker.open_until is None or (permit.probe and not self.breaker.is_open(now))
        if not permit.active or not may_pass:
            return False
        if len(self._active) == 1 and not self._had_to_wait:
            self.pacer.skip_idle(now - self._last_release)
        self.pacer.sent(now)
        self._had_to_wait = False
        permit.epoch, permit.in_flight_before = self._epoch, len(self._active) - 1
        self.concurrency.sent(len(self._active))
        return True

    def obstacle(self, now: float) -> Wait | None:
        """Return what keeps the next request from leaving, or None."""
        if self.breaker.open_until is not None:
            if self.breaker.is_open(now):
                return Wait(self.breaker.open_until)
            if self.breaker.probing:
                return Wait()
        if len(self._active) >= self.limit(now):
            pilot = self._piloting and self._pilot_ends is not None and now < self._pilot_ends
            return Wait(self._pilot_ends, paced=True) if pilot else Wait()
        not_before = self.pacer.not_before(now)
        return None if not_before is None else Wait(not_before, paced=True)

    def limit(self, now: float) -> int:
        """Return how many requests may be in flight now."""
        pilot = self._piloting and (self._pilot_ends is None or now < self._pilot_ends)
        return 1 if pilot or self.budget.needs_a_price else self.concurrency.value

    def release(self, permit: Permit, feedback: Feedback, *, now: float, jitter: float) -> bool:
        """Take a permit back with what the answer says; return whether the refused request alone has to wait."""
        if not self.cancel(permit):
            return False
        self._last_release = now
        if feedback.cost is not None and feedback.is_priced:
            self.budget.pay(feedback.cost, permit.tokens)
        if feedback.load is Load.LANDED:
            self._landed(permit, now)
        elif feedback.load in {Load.REFUSED, Load.UNAVAILABLE} and self._was_a_try(permit):
            self.concurrency.try_refused(now, permit.in_flight_before)
            if permit.epoch == self._epoch:
                self._begin_epoch(permit)  # requests sent beside the refused one prove nothing about the level
            return True
        elif feedback.load in {Load.REFUSED, Load.UNAVAILABLE}:
            self._refused(permit, feedback, now, jitter)
        elif feedback.load is Load.FAILED:
            self.retry_quota.failed(now)
            self._end_pilot()
        return False

    def cancel(self, permit: Permit) -> bool:
        """Take a permit back unused, or after a cancellation; return whether it was still valid."""
        if not permit.active:
            return False
        permit.active = False
        self._active.discard(permit)
        self.budget.free(permit)
        if permit.probe:
            self.breaker.probing = False
        return True

    def take_back_expired(self, now: float) -> None:
        """Revoke every permit whose time is over: its holder has stalled."""
        for permit in [permit for permit in self._active if permit.expires_at <= now]:
            self.cancel(permit)

    def next_expiry(self) -> float | None:
        """Return when the next permit expires."""
        return min((permit.expires_at for permit in self._active), default=None)

    def forget_in_flight(self) -> None:
        """Start with nothing in flight: in a forked child, all of it belongs to the parent."""
        for permit in self._active:
            permit.active = False
        self._active.clear()
        self.budget.forget_reserved()
        self.breaker.probing = False

    def _end_pilot(self) -> None:
        self._piloting = False

    def _landed(self, permit: Permit, now: float) -> None:
        self._end_pilot()
        self.retry_quota.landed(now)
        current = permit.epoch == self._epoch
        if current:
            # Only an answer to what was sent after the refusal proves that the gateway takes requests again.
            if self.breaker.open_until is not None:
                self.breaker.close()
                self.concurrency.breaker_closed()
            self.pacer.landed()
        self.concurrency.landed(now, permit.in_flight_before if current else 0)

    def _was_a_try(self, permit: Permit) -> bool:
        alone = self.breaker.open_until is None and not permit.probe and permit.epoch >= self._burst
        return alone and self.concurrency.is_a_try(permit.in_flight_before)

    def _refused(self, permit: Permit, feedback: Feedback, now: float, jitter: float) -> None:
        # What is refused beside a try, though it asked for less, shows that it was no matter of the try.
        first = permit.epoch == self._epoch or (permit.epoch >= self._burst and self.breaker.open_until is None)
        wait = self.breaker.open(now, feedback.retry_after, cause=feedback.cause, first=first, jitter=jitter)
        may_be_a_cap = feedback.load is Load.REFUSED or permit.in_flight_before > 0
        for_load = may_be_a_cap and not permit.probe
        if not first:  # one epoch lowers the limit once, however many requests were refused in it
            if for_load and permit.epoch >= self._burst:
                self.concurrency.refused_again(permit.in_flight_before)
            return
        self._begin_epoch(permit)
        if not for_load:
            self.concurrency.unavailable(now)
            return
        for_the_rate = self.concurrency.refused(
            now, permit.in_flight_before, in_flight_now=len(self._active) + 1, wait=wait
        )
        self.pacer.refused(now, for_the_rate=for_the_rate, wait=wait)

    def _begin_epoch(self, permit: Permit) -> None:
        self._epoch += 1
        self._burst = permit.epoch
