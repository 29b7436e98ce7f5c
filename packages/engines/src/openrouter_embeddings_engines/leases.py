"""Who of many workers may do how much for the next second: arithmetic, without any engine."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from .limit import Limit

LEASE_SECONDS = 1.0
_GRACE = 2 * LEASE_SECONDS
"""For so long after a lease its slots stay taken."""
_ROUNDING = 1.0 + 1e-6
"""A sum of dollars is not exact: a lease for one request must be enough for it."""
_SETTLING = 2 * LEASE_SECONDS
"""For so long after its start a desk gives nobody more than a share: others may still live on theirs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What a worker says when it asks for its next lease.

    Attributes:
        worker: Who asks.
        in_flight: Requests it has in flight.
        slots: Requests it wants in flight; infinite where it was held up.
        rates: Requests and tokens a second that it wants, likewise.
        spent: USD that each worker has spent, as far as this one knows.
        reserved: USD that its requests in flight may cost.
        next_cost: USD that its next request may cost; 0.0 where it has none or no price is known.
        pace: USD that it spends in the time of a lease.
        hold: Seconds for which a refusal asked everybody to wait.
    """

    worker: str
    in_flight: int = 0
    slots: float = 0.0
    rates: tuple[float, float] = (0.0, 0.0)
    spent: Mapping[str, float] = field(default_factory=dict)
    reserved: float = 0.0
    next_cost: float = 0.0
    pace: float = 0.0
    hold: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What a worker may do for the next `LEASE_SECONDS`.

    Attributes:
        slots: Most requests in flight.
        rates: Requests and tokens a second; None where there is no limit.
        budget: USD that it may have spent and reserved in all; None: no limit.
        budget_alone: The same without a desk: its share of what nobody holds comes on top.
        is_spent: The budget of all is at its end: waiting for more is in vain.
        spent: USD that each worker has spent.
        hold: Seconds for which nobody sends.
    """

    slots: int
    rates: tuple[float | None, float | None] = (None, None)
    budget: float | None = None
    budget_alone: float | None = None
    is_spent: bool = False
    spent: Mapping[str, float] = field(default_factory=dict)
    hold: float = 0.0


@dataclass(slots=True)
class _Holder:
    demand: Demand
    expires: float
    used: float
    """Slots times seconds so far: who has used the least comes first where there are fewer slots than workers."""
    slots: int = 0
    rates: tuple[float, float] = (0.0, 0.0)
    allowance: float = 0.0
    asked: float = 0.0

    @property
    def occupied(self) -> float:
        return max(self.slots, self.demand.in_flight)

    @property
    def reserved(self) -> float:
        return self.demand.reserved + self.allowance


class LeaseDesk:
    """Divides a limit among workers by what they want: max-min fair, never more than the limit in all.

    A lease that is not renewed ends by itself. What its holder might have spent by then counts as spent until it says
    otherwise. A desk that begins anew, after a crash, learns from the workers what was spent.

    Args:
        limit: What all may do together.
        workers: How many there are: their share of the limit is what each has while the desk settles.
        max_cost: USD that all may spend together, or None.
        clock: Seconds, ever growing.
    """

    def __init__(
        self,
        limit: Limit,
        workers: int,
        max_cost: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limit = limit
        self._share = limit.share(workers)
        self._workers = workers
        self._max_cost = max_cost
        self._clock = clock
        self._settled = clock() + _SETTLING
        self._closed_until = 0.0
        self._holders: dict[str, _Holder] = {}
        self._spent: dict[str, float] = {}
        self._forfeited: dict[str, float] = {}

    def lease(self, demand: Demand) -> Grant:
        """Return what a worker may do until it asks again, for `LEASE_SECONDS` at most."""
        now = self._clock()
        self._forget_expired(now)
        self._closed_until = max(self._closed_until, now + demand.hold)
        for worker, spent in demand.spent.items():
            self._spent[worker] = max(spent, self._spent.get(worker, 0.0))
        holder = self._holder(demand, now)
        is_settling = now < self._settled
        holder.slots = self._slots(holder, is_settling=is_settling)
        holder.rates = self._rates(holder, is_settling=is_settling)
        limits = _per_second(self._limit)
        grant = Grant(
            slots=holder.slots,
            rates=(holder.rates[0] if limits[0] else None, holder.rates[1] if limits[1] else None),
            hold=max(0.0, self._closed_until - now),
        )
        return grant if self._max_cost is None else self._with_budget(grant, holder, self._max_cost)

    def _holder(self, demand: Demand, now: float) -> _Holder:
        holder = self._holders.get(demand.worker)
        if holder is None:
            least = min((other.used for other in self._holders.values()), default=0.0)
            holder = self._holders[demand.worker] = _Holder(demand, now, used=least, asked=now)
        holder.used += holder.occupied * (now - holder.asked)
        holder.demand, holder.asked, holder.expires = demand, now, now + LEASE_SECONDS
        self._forfeited.pop(demand.worker, None)
        return holder

    def _forget_expired(self, now: float) -> None:
        """End what was not renewed. Requests of a worker that is slow, or dead, may be in flight for a while yet."""
        for worker, holder in list(self._holders.items()):
            if holder.expires + _GRACE <= now:
                self._forfeited[worker] = self._holders.pop(worker).reserved
            elif holder.expires <= now:
                holder.rates = (0.0, 0.0)
                holder.demand = replace(holder.demand, slots=0.0, rates=(0.0, 0.0))

    def _slots(self, holder: _Holder, *, is_settling: bool) -> int:
        others = [other for other in self._holders.values() if other is not holder]
        free = max(0, self._limit.concurrency - int(sum(other.occupied for other in others)))
        if is_settling:
            return min(free, self._share.concurrency)
        return min(free, self._fair_slots()[holder.demand.worker])

    def _fair_slots(self) -> dict[str, int]:
        """Return whole slots; those left over go to the ones that want more and have used the least."""
        wants = {worker: holder.demand.slots for worker, holder in self._holders.items()}
        fair = {worker: int(slots) for worker, slots in max_min(self._limit.concurrency, wants).items()}
        left = self._limit.concurrency - sum(fair.values())
        for worker in sorted(fair, key=lambda worker: self._holders[worker].used):
            if left > 0 and wants[worker] > fair[worker]:
                fair[worker] += 1
                left -= 1
        return fair

    def _rates(self, holder: _Holder, *, is_settling: bool) -> tuple[float, float]:
        rates = []
        shares = _per_second(self._share)
        for index, limit in enumerate(_per_second(self._limit)):
            wants = {worker: other.demand.rates[index] for worker, other in self._holders.items()}
            fair = max_min(limit, wants)[holder.demand.worker]
            free = limit - sum(other.rates[index] for other in self._holders.values() if other is not holder)
            rates.append(max(0.0, min(free, shares[index] if is_settling else fair)))
        return rates[0], rates[1]

    def _with_budget(self, grant: Grant, holder: _Holder, max_cost: float) -> Grant:
        demand = holder.demand
        elsewhere = sum(other.reserved for other in self._holders.values() if other is not holder)
        free = max_cost - sum(self._spent.values()) - sum(self._forfeited.values()) - elsewhere - demand.reserved
        wants_none = demand.slots <= 0.0
        # Little more than a lease needs: what a worker that dies had leased is lost to the others.
        wanted = (
            0.0
            if wants_none
            else max(_ROUNDING * demand.next_cost, min(2 * demand.pace, free / (2 * len(self._holders))))
        )
        holder.allowance = max(0.0, min(free, wanted))
        own = self._spent.get(demand.worker, 0.0) + demand.reserved
        return Grant(
            slots=grant.slots,
            rates=grant.rates,
            budget=own + holder.allowance,
            budget_alone=own + holder.allowance + max(0.0, free - holder.allowance) / self._workers,
            is_spent=free < demand.next_cost and free + elsewhere + demand.reserved < max(demand.next_cost, 1e-12),
            spent=dict(self._spent),
            hold=grant.hold,
        )


def max_min(capacity: float, wants: Mapping[str, float]) -> dict[str, float]:
    """Return the max-min fair division: nobody gets more than wanted, and what one leaves the others share evenly."""
    shares: dict[str, float] = {}
    for worker in sorted(wants, key=lambda worker: wants[worker]):
        shares[worker] = min(wants[worker], capacity / (len(wants) - len(shares)))
        capacity -= shares[worker]
    return shares


def _per_second(limit: Limit) -> tuple[float, float]:
    return limit.per_second or 0.0, (limit.tokens_per_minute or 0.0) / 60
