"""The limit of many workers, leased out by the second: in virtual time, without any engine."""

from __future__ import annotations

import math
import time
from types import SimpleNamespace
from typing import Any

import pytest

from openrouter_embeddings import BudgetExceededError
from openrouter_embeddings_engines import Limit
from openrouter_embeddings_engines.leases import LEASE_SECONDS, Demand, LeaseDesk, max_min
from openrouter_embeddings_engines.ray_limiter import LeasedLimiter

LANDED = SimpleNamespace(kind="landed", cost=None, retry_after=None)


class World:
    """Workers that always have something to send, with requests of one second, at steps of 10 ms.

    The desk may be gone; a worker may stand still, which is what dying looks like from the desk.
    """

    def __init__(self, limit: Limit, workers: int, *, max_cost: float | None = None, cost: float = 0.0) -> None:
        self.now = 1000.0
        self.limit, self.count, self.max_cost, self.cost = limit, workers, max_cost, cost
        self.new_desk()
        self.is_gone = False
        budget = None if max_cost is None else max_cost / workers
        self.workers = [
            LeasedLimiter(self.ask, limit.share(workers), budget=budget, clock=lambda: self.now, begin=lambda run: None)
            for _ in range(workers)
        ]
        self.in_flight: list[list[tuple[float, Any]]] = [[] for _ in range(workers)]
        self.backlog = [10**9] * workers
        self.asks_at = [0.0] * workers
        """Nobody asks again sooner than it was told to."""
        self.begun = [0] * workers
        self.paused: set[int] = set()
        self.ended: set[int] = set()
        self.peak = 0
        self.spent = 0.0

    def new_desk(self) -> None:
        self.desk = LeaseDesk(self.limit, self.count, self.max_cost, clock=lambda: self.now)

    def ask(self, demand: Demand) -> Any:
        if self.is_gone:
            raise ConnectionError
        return self.desk.lease(demand)

    def run(self, seconds: float) -> None:
        for step in range(round(seconds * 100)):
            self.now += 0.01
            for index, worker in enumerate(self.workers):
                if index not in self.paused:
                    self.turn(index, worker, renews=(step + 3 * index) % 25 == 0)
            self.peak = max(self.peak, sum(map(len, self.in_flight)))

    def turn(self, index: int, worker: LeasedLimiter, *, renews: bool) -> None:
        for ends, lease in [pair for pair in self.in_flight[index] if pair[0] <= self.now]:
            self.in_flight[index].remove((ends, lease))
            self.spent += self.cost
            lease.release(SimpleNamespace(kind="landed", cost=self.cost, retry_after=None))
        while self.backlog[index] and index not in self.ended and self.now >= self.asks_at[index]:
            try:
                answer = worker.acquire(1, 100)
            except BudgetExceededError:
                self.ended.add(index)
                break
            if isinstance(answer, float):
                self.asks_at[index] = self.now + answer
                break
            self.backlog[index] -= 1
            self.begun[index] += 1
            self.in_flight[index].append((self.now + 1.0, answer))
        if renews:
            worker.renew()


def test_what_one_leaves_the_others_share_evenly() -> None:
    assert max_min(12, {"a": 1, "b": math.inf, "c": math.inf, "d": 5}) == {"a": 1, "d": pytest.approx(11 / 3), "b": pytest.approx(11 / 3), "c": pytest.approx(11 / 3)}  # fmt: skip
    assert max_min(12, {"a": 1, "b": 2}) == {"a": 1, "b": 2}
    assert max_min(12, {}) == {}


@pytest.mark.parametrize("workers", [1, 2, 4, 8, 32])
def test_all_together_keep_the_limit_and_use_it(workers: int) -> None:
    world = World(Limit(concurrency=16), workers)
    world.run(5)
    begun = sum(world.begun)
    world.run(20)
    assert world.peak <= 16
    assert sum(world.begun) - begun >= (0.9 if workers <= 16 else 0.8) * 16 * 20
    assert min(world.begun) >= 0.5 * sum(world.begun) / workers  # nobody starves, with more workers than slots either


def test_a_worker_alone_with_work_gets_what_the_others_leave() -> None:
    world = World(Limit(concurrency=16, per_second=100), 8)
    world.backlog[1:] = [0] * 7
    world.run(10)
    assert len(world.in_flight[0]) >= 15
    world.backlog[1] = 10**9
    world.run(5)
    assert len(world.in_flight[1]) >= 7


@pytest.mark.parametrize("workers", [1, 4, 8, 16])
def test_the_rate_is_kept_by_all_together(workers: int) -> None:
    world = World(Limit(concurrency=100, per_second=20, tokens_per_minute=60 * 20 * 100), workers)
    world.run(5)
    begun = sum(world.begun)
    world.run(20)
    assert 0.9 * 400 <= sum(world.begun) - begun <= 1.05 * 400


def test_without_a_desk_each_does_its_share_and_takes_leases_again_once_it_is_back() -> None:
    world = World(Limit(concurrency=16, per_second=64), 4)
    world.backlog[2:] = [0, 0]
    world.run(5)
    assert len(world.in_flight[0]) >= 7
    world.is_gone = True
    world.run(4)
    assert [len(flights) for flights in world.in_flight] == [4, 4, 0, 0]
    world.new_desk()
    world.is_gone = False
    world.run(6)
    assert [len(flights) for flights in world.in_flight] == [8, 8, 0, 0]
    assert world.peak <= 16


def test_a_worker_that_stands_still_loses_its_lease() -> None:
    world = World(Limit(concurrency=16), 2)
    world.run(5)
    world.paused.add(0)
    world.in_flight[0].clear()  # its requests died with it
    world.run(LEASE_SECONDS + 2.5)
    assert len(world.in_flight[1]) == 16


def test_a_desk_that_never_answers_leaves_the_share() -> None:
    world = World(Limit(concurrency=16), 4)
    world.is_gone = True
    world.run(2)
    assert [len(flights) for flights in world.in_flight] == [4] * 4


def test_a_refusal_holds_everybody_back() -> None:
    world = World(Limit(concurrency=16), 2)
    world.run(3)
    _, lease = world.in_flight[0].pop()
    lease.release(SimpleNamespace(kind="refused", cost=None, retry_after=3.0))
    world.run(0.5)
    begun = sum(world.begun)
    world.run(2)
    assert sum(world.begun) == begun
    world.run(2)
    assert sum(world.begun) > begun


@pytest.mark.parametrize("workers", [1, 4])
def test_together_they_spend_the_budget_and_not_more(workers: int) -> None:
    world = World(Limit(concurrency=16), workers, max_cost=1.0, cost=0.01)
    world.run(60)
    assert world.ended == set(range(workers))
    assert 0.98 <= world.spent <= 1.0 + 1e-9


def test_a_new_desk_learns_what_was_spent() -> None:
    world = World(Limit(concurrency=8), 4, max_cost=1.0, cost=0.01)
    world.run(5)
    world.is_gone = True
    world.run(2)
    world.new_desk()
    world.is_gone = False
    world.run(60)
    assert 0.9 <= world.spent <= 1.0 + 1e-9


def test_what_a_dead_worker_had_leased_counts_as_spent() -> None:
    world = World(Limit(concurrency=4), 2, max_cost=1.0, cost=0.01)
    world.run(6)
    world.paused.add(0)
    in_flight = len(world.in_flight[0])
    world.run(60)
    assert 0.85 <= world.spent + 0.01 * in_flight <= 1.0 + 1e-9


def test_a_worker_that_leaves_gives_everything_back() -> None:
    world = World(Limit(concurrency=4), 2, max_cost=1.0, cost=0.01)
    world.run(6)
    world.backlog[0] = 0
    world.run(2)
    world.workers[0].close()
    world.workers[0].renew()
    world.paused.add(0)
    world.run(60)
    assert 0.98 <= world.spent <= 1.0 + 1e-9


def test_one_thread_renews_as_long_as_there_is_something_to_do() -> None:
    begun: list[Any] = []
    desk = LeaseDesk(Limit(concurrency=2), 1)
    limiter = LeasedLimiter(desk.lease, Limit(concurrency=2), begin=begun.append)
    assert isinstance(limiter.acquire(1, 1), float)
    limiter.acquire(1, 1)
    assert len(begun) == 1
    limiter.renew()
    lease = limiter.acquire(1, 1)
    assert not isinstance(lease, float)
    lease.release(LANDED)


def test_a_closed_limiter_asks_no_more_until_the_next_request() -> None:
    desk = LeaseDesk(Limit(concurrency=2), 1)
    asked: list[Demand] = []

    def ask(demand: Demand) -> Any:
        asked.append(demand)
        return desk.lease(demand)

    limiter = LeasedLimiter(ask, Limit(concurrency=2))
    limiter.acquire(1, 1)
    limiter.close()
    count = len(asked)
    limiter.close()
    assert len(asked) == count >= 1
    while isinstance(lease := limiter.acquire(1, 1), float):
        time.sleep(lease)
    lease.release(LANDED)
    limiter.close()
    assert len(asked) > count
