"""A limiter that several clients share, in virtual time: what it costs, whom it holds up, what comes back."""

from __future__ import annotations

import itertools

import pytest

from .answers import Bucket, all_right, capped, numbers, right_answer
from .shared_limiter import Share, SharedLimiter
from .world import Answer, Request, Timeline, World


def beside_each_other(count: int, gateway, *, cap=None, rate=None, **options):
    """Return so many clients of one gateway, and the limiter that they share."""
    timeline = Timeline()
    limiter = SharedLimiter(lambda: timeline.now, cap=cap, rate=rate)
    worlds = [
        World(gateway, seed=seed, timeline=timeline, limiter=Share(limiter), batch_size=1, **options)
        for seed in range(count)
    ]
    return worlds, limiter


def jobs(worlds: list[World], total: int):
    """Let the clients share a number of texts; return each client's call and its texts."""
    texts = numbers(total)
    shares = [texts[start :: len(worlds)] for start in range(len(worlds))]
    return [(world.call(world.embed(share)), share) for world, share in zip(worlds, shares, strict=True)]


@pytest.mark.parametrize("count", [1, 2, 4, 8])
def test_a_cap_that_clients_share_is_used_up_and_never_passed(count):
    """16 at once, a tenth of a second each: who knows the cap needs 5 s for 800 requests."""
    worlds, limiter = beside_each_other(count, capped(lambda now: 16), cap=16, max_concurrency=16)
    done = jobs(worlds, 800)
    worlds[0].run()
    for caller, texts in done:
        assert all_right(caller.outcomes[0], texts)
    assert not [request for world in worlds for request in world.requests if request.status == 429]
    assert max(caller.ended[0] for caller, _ in done) <= 1.15 * 5.0 + 0.5
    assert limiter.kinds == {"landed": 800}
    assert limiter.out == limiter.released_twice == 0


@pytest.mark.parametrize("count", [1, 2, 4, 8])
def test_a_rate_that_clients_share_is_used_up_and_never_passed(count):
    """20 a second: who knows the rate needs 20 s for 400 requests."""
    worlds, limiter = beside_each_other(count, Bucket(20.0, 1.01, "1"), rate=20.0, max_concurrency=16)
    done = jobs(worlds, 400)
    worlds[0].run()
    for caller, texts in done:
        assert all_right(caller.outcomes[0], texts)
    assert not [request for world in worlds for request in world.requests if request.status == 429]
    ends = [caller.ended[0] for caller, _ in done]
    assert max(ends) <= 1.15 * 20.0
    assert min(ends) >= 0.5 * max(ends), "a client was preferred"
    assert limiter.out == limiter.released_twice == 0
    assert limiter.asked <= 3 * limiter.given


def at_once(world: World, request: Request) -> Answer:
    return 0.1, right_answer(request)


@pytest.mark.parametrize("wide", [1, 2, 16])
def test_a_query_overtakes_the_bulk_work_that_the_limiter_holds_back(wide):
    """One lease in ten seconds: the query gets the next one, though a hundred documents wait for it."""
    worlds, _ = beside_each_other(1, at_once, rate=0.1, max_concurrency=wide)
    (world,) = worlds
    bulk = world.call(world.embed(numbers(100)))
    query = world.call(world.embed(["1000"], "query"), start=35.0)
    world.run()
    assert all_right(query.outcomes[0], ["1000"])
    assert query.ended[0] == pytest.approx(40.0 + 0.1, abs=0.1)
    assert all_right(bulk.outcomes[0], numbers(100))


class Generous:
    """A limiter that gives every request a lease."""

    def __init__(self) -> None:
        self.out = 0

    def acquire(self, requests: int, tokens: int):
        self.out += 1
        return self

    def release(self, outcome) -> None:
        self.out -= 1


@pytest.mark.parametrize("wide", [2, 16])
def test_a_permit_is_held_for_minutes_while_a_lease_is_awaited_and_holds_up_no_query(wide):
    """An answer of the limiter's takes ten minutes: documents wait for it, and queries that are answered at once do not."""
    limiter = Generous()
    world = World(at_once, limiter=limiter, batch_size=1, max_concurrency=wide)
    slow = itertools.chain([600.0], itertools.repeat(0.0))
    world._begin = lambda call: world.do_at(world.now + next(slow), call.run)  # type: ignore[method-assign]
    bulk = world.call(world.embed(numbers(10)))
    queries = [world.call(world.embed([str(1000 + start)], "query"), start=float(start)) for start in range(1, 500, 7)]
    in_flight: list[int] = []
    world.timeline.checks.append(lambda: in_flight.append(world.limiter.in_flight if 1.0 < world.now < 600.0 else 1))
    world.run()
    assert min(in_flight) == 1, "the permit was revoked"
    assert max(query.ended[0] - query.began[0] for query in queries) < 1.2, "the first waits until the pilot is over"
    assert max(query.ended[0] - query.began[0] for query in queries[1:]) == pytest.approx(0.1, abs=0.05)
    assert all_right(bulk.outcomes[0], numbers(10))
    assert 600.0 <= bulk.ended[0] < 610.0
    assert limiter.out == 0
