"""One limit for all workers of a Ray job: a named actor leases it out by the second, and each worker spends its lease."""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import Callable
from threading import Event, Lock, Thread
from typing import Any

from openrouter_embeddings import BudgetExceededError

from .leases import LEASE_SECONDS, Demand, Grant, LeaseDesk
from .limit import Limit, RateLimiter
from .spec import JobSpec

_PERIOD = LEASE_SECONDS / 4
_POLL = 0.005
_WANTING = 2 * _PERIOD
"""For so long after it was held up a worker wants more: one with few requests a second is not held up in each period."""
_PATIENCE = 3 * LEASE_SECONDS
"""For so long a desk without an answer may be slow; then it counts as lost."""
_IDLE = 10 * LEASE_SECONDS
_LEAVING = 1.0
"""Seconds in which a thread that was told to stop is through, as a rule."""


def start_desk(job: JobSpec, workers: int) -> Any:
    """Return the actor that leases out the limit of a job: the one that is there, or a new one.

    It takes no CPU, is restarted where it dies, and ends with the driver.
    """
    import ray

    desk = ray.remote(num_cpus=0, max_restarts=-1)(LeaseDesk)
    name = f"openrouter-embeddings-limiter-{job.digest[:16]}-{workers}"
    return desk.options(name=name, get_if_exists=True).remote(job.limit, workers, job.max_cost)


def leased_limiter(job: JobSpec, workers: int, desk: Any) -> LeasedLimiter:
    """Return the limiter of one worker, which asks the actor for its leases."""
    import ray

    def ask(demand: Demand) -> Grant:
        grant: Grant = ray.get(desk.lease.remote(demand), timeout=_PATIENCE)
        return grant

    budget = None if job.max_cost is None else job.max_cost / workers
    return LeasedLimiter(ask, job.limit.share(workers), budget=budget)


class LeasedLimiter:
    """A limiter that spends the leases of a desk. Never waits; where the desk is lost, it does its share and no more.

    Args:
        ask: Gives the next lease. What it raises means that the desk is lost for now.
        share: What this worker may do without a desk.
        budget: USD that it may spend if it has never reached one, or None.
        clock: Seconds, ever growing.
        begin: Begins a function in the background, as a thread does.
    """

    def __init__(
        self,
        ask: Callable[[Demand], Grant],
        share: Limit,
        *,
        budget: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        begin: Callable[[Callable[[], None]], object] = lambda run: Thread(target=run, daemon=True).start(),
    ) -> None:
        self.name = uuid.uuid4().hex
        self._ask = ask
        self._clock = clock
        self._begin = begin
        self._lock = Lock()
        self._woken = Event()
        self._runs = self._is_closed = False
        self._ended = Event()
        per_minute = share.tokens_per_minute
        share_rates = (share.per_second, None if per_minute is None else per_minute / 60)
        self._alone = Grant(slots=share.concurrency, rates=share_rates, budget=budget)
        self._grant = Grant(slots=0)
        self._is_lost = False
        self._expires = self._asked = self._last_used = clock()
        self._demanded = Demand(worker=self.name)
        self._rate = RateLimiter(clock=clock)
        self._in_flight = self._peak = 0
        self._left = [0.0, 0.0, 0.0]
        """Requests, tokens and USD that left since the last lease was asked for."""
        self._lacked_slots = self._lacked_rate = -math.inf
        """When a request was held up last."""
        self._spent = self._reserved = self._price = self._next_cost = self._hold = 0.0
        self._knows_price = False

    def acquire(self, requests: int, tokens: int, /) -> HeldLease | float:
        """Return a lease, or the seconds after which to ask again."""
        with self._lock:
            now = self._last_used = self._clock()
            self._is_closed = False
            self._run_beside()
            grant = self._grant_at(now)
            if grant is None or self._in_flight >= grant.slots:
                self._lacked_slots = now
                self._hurry()
                return _POLL
            cost = self._price * tokens
            if not self._affords(grant, cost):
                self._hurry()
                return _POLL
            self._rate.change(*grant.rates)
            answer = _PERIOD if 0.0 in grant.rates else self._rate.acquire(requests, tokens)
            if isinstance(answer, float):
                self._lacked_rate = now
                self._hurry()
                return min(answer, _PERIOD)
            self._in_flight += 1
            self._peak = max(self._peak, self._in_flight)
            self._left = [total + part for total, part in zip(self._left, (requests, tokens, cost), strict=True)]
            self._reserved += cost
            return HeldLease(self, cost, tokens)

    def release(self, lease: HeldLease, outcome: Any) -> None:
        """Take a lease back and note what came of its request."""
        with self._lock:
            self._in_flight -= 1
            self._reserved = max(0.0, self._reserved - lease.cost)
            if outcome.kind == "landed":
                self._knows_price = True
            if outcome.cost is not None:
                self._spent += outcome.cost
                self._price = max(self._price, outcome.cost / max(1, lease.tokens))
            elif outcome.kind == "failed":
                self._spent += lease.cost  # it may have been billed, and nobody knows
            if outcome.kind == "refused" and outcome.retry_after:
                self._hold = max(self._hold, outcome.retry_after)
                self._rate.hold(outcome.retry_after)
                self._woken.set()

    def renew(self) -> None:
        """Ask for the next lease. Without an answer the old one ends in its time, and from then on the share holds."""
        with self._lock:
            asked = self._clock()
            demand = self._demanded = self._demand(asked)
            self._asked, self._peak, self._left = asked, self._in_flight, [0.0, 0.0, 0.0]
            self._next_cost = self._hold = 0.0
        try:
            grant = self._ask(demand)
        except Exception:  # noqa: BLE001  whatever keeps the desk from answering: leases end, shares hold
            with self._lock:
                self._hold = max(self._hold, demand.hold)
                self._is_lost = True
            return
        with self._lock:
            # From the asking on: the desk counts from a later moment, so it never thinks a lease over that still runs.
            self._grant, self._expires, self._is_lost = grant, asked + LEASE_SECONDS, False
            if grant.hold > 0.0:
                self._rate.hold(grant.hold)

    def close(self) -> None:
        """Ask for nothing more, until the next request: a process must not end within Ray."""
        with self._lock:
            self._is_closed = True
            runs = self._runs
        self._woken.set()
        if runs:
            self._ended.wait(_LEAVING)

    def _grant_at(self, now: float) -> Grant | None:
        """Return what holds now. Between a lease and the share there is a pause, until the lease has ended everywhere."""
        if now < self._expires:
            return self._grant
        if not self._is_lost and now < self._expires + _PATIENCE:
            return None
        alone = self._alone
        if self._grant.budget_alone is None:
            return alone
        return Grant(slots=alone.slots, rates=alone.rates, budget=self._grant.budget_alone, is_spent=True)

    def _affords(self, grant: Grant, cost: float) -> bool:
        """Return whether a request fits the budget. While no price is known, one request is in flight at a time."""
        if grant.budget is None:
            return True
        left = grant.budget - self._spent - self._reserved
        if (
            (left >= cost * (1.0 - 1e-9) and left > 1e-12)
            if self._knows_price
            else (left > 1e-12 and not self._in_flight)
        ):
            return True
        self._next_cost = max(self._next_cost, cost, 1e-12)
        if grant.is_spent and not self._in_flight:
            raise BudgetExceededError("The next request would pass max_cost, which all workers share.")
        return False

    def _demand(self, now: float) -> Demand:
        seconds = max(now - self._asked, 0.01)
        lacks_slots, lacks_rate = now - self._lacked_slots <= _WANTING, now - self._lacked_rate <= _WANTING
        lacks = lacks_slots or lacks_rate or self._next_cost > 0.0
        spent = {**self._grant.spent, self.name: self._spent}
        paces = [left / seconds for left in self._left]
        if self._is_closed:
            return Demand(worker=self.name, in_flight=self._in_flight, spent=spent, reserved=self._reserved)
        return Demand(
            worker=self.name,
            in_flight=self._in_flight,
            slots=math.inf if lacks_slots else max(self._peak, 1.0 if lacks else 0.0),
            rates=(math.inf, math.inf) if lacks else (1.25 * paces[0], 1.25 * paces[1]),
            spent=spent,
            reserved=self._reserved,
            next_cost=self._next_cost,
            pace=LEASE_SECONDS * paces[2],
            hold=self._hold,
        )

    def _hurry(self) -> None:
        """Ask for the next lease at once, unless the last one was asked for with the same need."""
        if not (self._demanded.next_cost or math.inf in (self._demanded.slots, *self._demanded.rates)):
            self._woken.set()

    def _run_beside(self) -> None:
        if not self._runs:
            self._runs = True
            self._ended.clear()
            self._begin(self._run)

    def _run(self) -> None:
        """Renew the lease as long as it is used. What is not wanted any more goes back with the last demand."""
        while True:
            self._woken.clear()
            self.renew()
            with self._lock:
                is_idle = not self._in_flight and self._clock() - self._last_used > _IDLE
                if is_idle or self._is_closed:
                    self._runs = False
                    self._ended.set()
                    return
            self._woken.wait(_PERIOD)


class HeldLease:
    """The right to have one request in flight.

    Args:
        limiter: Whose it is.
        cost: USD set aside for the request.
        tokens: Its estimated tokens.
    """

    def __init__(self, limiter: LeasedLimiter, cost: float, tokens: int) -> None:
        self._limiter = limiter
        self.cost = cost
        self.tokens = tokens

    def release(self, outcome: Any, /) -> None:
        """Give it back, with what came of the request."""
        self._limiter.release(self, outcome)
