"""Rate limits and outages in virtual time: how many requests a gateway sees, how soon work goes on, what is lost."""

from __future__ import annotations

import itertools
import os
import random

import pytest

from openrouter_embeddings._protocol import TransportFailure, TransportFault
from openrouter_embeddings.errors import APIError, EmbeddingError

from .answers import Bucket, all_right, capped, numbers, refusal, right_answer
from .world import World

pytestmark = pytest.mark.usefixtures("unmeasured")

WINDOW_BEGINS = 0.4
SEEDS = range(5 if os.environ.get("OPENROUTER_EMBEDDINGS_ENDURANCE") == "full" else 1)
OUTAGES = {
    "503": (0.05, refusal(503)),
    "503 with a time": (0.05, refusal(503, retry_after="1")),
    "529 with a long time": (0.05, refusal(529, retry_after="100")),
    "500": (0.05, refusal(500)),
    "not connected": (0.05, TransportFailure(TransportFault.REFUSED, "ConnectError")),
    "timed out": (60.0, TransportFailure(TransportFault.TIMED_OUT)),
}


def closed_for(length: float, told: str, *, seed: int, status: int = 429):
    """Return a gateway that answers 429 for a while, and tells the truth about it, a lie, or nothing."""
    chance = random.Random(seed).random

    def gateway(world, request):
        left = WINDOW_BEGINS + length - world.now
        if not 0.0 < left <= length:
            return 0.05 + 0.1 * chance(), right_answer(request)
        wait = {"right": str(left), "too short": "1", "absent": ""}[told]
        return 0.02, refusal(status, **({"retry_after": wait} if wait else {}))

    return gateway


def one_call_a_text(world: World, texts: list[str], callers: int, input_type: str = "document"):
    return [
        world.call(*[world.embed([text], input_type) for text in texts[start::callers]]) for start in range(callers)
    ]


@pytest.mark.parametrize("shape", ["32 callers", "one job"])
@pytest.mark.parametrize("told", ["right", "too short", "absent"])
@pytest.mark.parametrize("length", [6.0, 30.0, 120.0])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_closed_window_loses_nothing_and_sees_one_probe_at_a_time(shape, told, length, seed):
    texts = numbers(400)
    wide = 32 if shape == "32 callers" else 64
    world = World(closed_for(length, told, seed=seed), seed=seed, batch_size=1, max_concurrency=wide)
    if shape == "32 callers":
        callers = one_call_a_text(world, texts, 32)
        world.run()
        for at, caller in enumerate(callers):
            wanted = texts[at::32]
            assert all(all_right(one, [text]) for one, text in zip(caller.outcomes, wanted, strict=True))
    else:
        job = world.call(world.embed(texts))
        world.run()
        assert all_right(job.outcomes[0], texts)

    refused = [one for one in world.requests if one.status == 429]
    begun = refused[0].answered
    in_flight = sum(one.sent <= begun < one.answered or one is refused[0] for one in world.requests)
    # What is in flight when the first refusal comes is refused; then one probe goes out per opening, in its turn.
    probes = [one for one in refused if one.sent > begun]
    assert len(refused) - len(probes) <= in_flight <= wide
    assert all(later.sent > earlier.answered for earlier, later in itertools.pairwise(probes))
    opens = WINDOW_BEGINS + length
    resumed = min(one.sent for one in world.requests if one.sent >= opens)
    if told == "right":
        assert not probes
        assert resumed <= opens + 1.0
    else:
        assert len(probes) <= 5 + length / 5
        assert resumed <= opens + 20.0 + 1.0  # the longest back-off


@pytest.mark.parametrize("callers", [1, 32, 1000])
@pytest.mark.parametrize("side", ["query", "document"])
@pytest.mark.parametrize("outage", OUTAGES)
def test_an_outage_is_not_made_worse(outage, side, callers, monkeypatch):
    # Nobody stands still here, and a thousand who look after the queue for hours of virtual time take real time.
    monkeypatch.setattr("openrouter_embeddings._runtime.dispatcher.HEARTBEAT", 600.0)
    world = World(lambda world, request: OUTAGES[outage], batch_size=1)
    calls = numbers(1000)
    done = one_call_a_text(world, calls, callers, side)
    world.run()
    outcomes = [one for caller in done for one in caller.outcomes]
    assert len(outcomes) == 1000
    assert all(isinstance(one, EmbeddingError) for one in outcomes)
    assert len(world.requests) <= 1.1 * len(calls)
    if side == "query":
        assert max(one.partial.usage.requests for one in outcomes) <= 3
    # An outage is waited out once: who meets it later tries once.
    patient = [one for one in outcomes if one.partial.usage.requests > 6]
    assert len(patient) <= callers and len(patient) <= 5


@pytest.mark.parametrize("status", [401, 402, 403])
@pytest.mark.parametrize("wide", [1, 16, 64])
def test_after_a_fatal_answer_only_what_is_in_flight_still_lands(status, wide):
    chance = random.Random(status).random
    asked = iter(range(1000))

    def gateway(world, request):
        if next(asked) >= 500:
            return 0.02 + 0.05 * chance(), refusal(status)
        return 0.02 + 0.2 * chance(), right_answer(request)

    world = World(gateway, batch_size=1, max_concurrency=wide)
    caller = world.call(world.embed(numbers(1000)))
    world.run()
    (error,) = caller.outcomes
    assert isinstance(error, APIError)
    assert error.status == status
    refused_at = min(one.answered for one in world.requests if one.status == status)
    assert not [one for one in world.requests if one.sent > refused_at]
    assert sum(one.status == status for one in world.requests) <= wide
    # Nothing answered is thrown away, and nobody is left behind after the error is raised.
    assert len(error.partial.positions_done) == sum(one.status == 200 for one in world.requests) == 500
    assert max(one.answered for one in world.requests) <= caller.ended[0]


@pytest.mark.parametrize("told", ["right", "too short", "absent"])
@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("seed", SEEDS)
def test_after_a_window_the_work_soon_goes_at_full_speed(told, status, seed):
    """A 503 to some of the requests in flight may be a proxy's cap on connections; one to all of them is no cap."""
    world = World(closed_for(30.0, told, seed=seed, status=status), seed=seed, batch_size=1, max_concurrency=16)
    job = world.call(world.embed(numbers(1600)))
    world.run()
    assert all_right(job.outcomes[0], numbers(1600))
    first = min(one.answered for one in world.requests if one.sent >= WINDOW_BEGINS + 30.0)
    # 16 at once and a tenth of a second each is 160 a second; getting there may take two seconds.
    landed = sum(first + 2.0 <= one.answered < first + 4.0 for one in world.requests)
    assert landed >= 0.8 * 2.0 * 160


@pytest.mark.parametrize("wide", [16, 20, 64])
@pytest.mark.parametrize("told", ["1", ""])
@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_cap_on_concurrency_costs_little_time_and_few_refusals(wide, told, status, seed):
    """At most 20 at once: a client that knows the cap needs 4 s for 800 requests. nginx says 503 (`limit_conn`)."""
    world = World(capped(lambda now: 20, told, status=status), seed=seed, batch_size=1, max_concurrency=wide)
    caller = world.call(world.embed(numbers(800)))
    world.run()
    assert all_right(caller.outcomes[0], numbers(800))
    assert caller.ended[0] <= 4.0 * 1.5
    # Doubling meets the cap once, with 12 more than it takes.
    assert sum(one.status == status for one in world.requests) <= (0 if wide <= 20 else 14)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_short_job_meets_a_cap_once(seed):
    """79 requests need 0.4 s, and what is refused has to wait for the second it was told."""
    world = World(capped(lambda now: 20), seed=seed, batch_size=1, max_concurrency=64)
    caller = world.call(world.embed(numbers(79)))
    world.run()
    assert all_right(caller.outcomes[0], numbers(79))
    assert caller.ended[0] <= 1.0 + 2 * 0.4 + 0.1
    assert sum(one.status == 429 for one in world.requests) <= 12


@pytest.mark.parametrize(("before", "after"), [(20, 40), (40, 20), (20, 5)])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_cap_that_changes_is_found(before, after, seed):
    world = World(capped(lambda now: before if now < 20.0 else after), seed=seed, batch_size=1, max_concurrency=64)
    caller = world.call(world.embed(numbers(12_000)))
    world.run()
    assert all_right(caller.outcomes[0], numbers(12_000))
    ideal = 20.0 + (12_000 - before * 200) / (after * 10)
    assert caller.ended[0] <= 1.5 * ideal
    assert sum(one.status == 429 for one in world.requests) <= 80


@pytest.mark.parametrize("shape", ["one job", "a call each"])
@pytest.mark.parametrize("wide", [1, 4, 16, 64])
@pytest.mark.parametrize("told", ["1", "exact", ""])
@pytest.mark.parametrize(("count", "refused"), [(20, 7), (100, 10), (400, 20)])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_limit_on_the_rate_costs_little_time_and_few_refusals(shape, wide, told, count, refused, seed):
    """Two requests a second, two at once to begin with: who knows the limit needs 49.1 s for 100."""
    world = World(Bucket(2.0, 2.0, told), seed=seed, batch_size=1, max_concurrency=wide)
    texts = numbers(count)
    if shape == "one job":
        caller = world.call(world.embed(texts))
        world.run()
        assert all_right(caller.outcomes[0], texts)
    else:
        callers = one_call_a_text(world, texts, count)
        world.run()
        assert all(all_right(caller.outcomes[0], [text]) for caller, text in zip(callers, texts, strict=True))
    assert world.requests[-1].answered <= 1.5 * ((count - 2) / 2.0 + 0.1)
    assert sum(one.status == 429 for one in world.requests) <= refused


@pytest.mark.parametrize(("rate", "burst"), [(10.0, 10.0), (1 / 3, 1.0), (100.0, 10.0)])
@pytest.mark.parametrize("told", ["1", "exact", ""])
def test_other_rates_are_found_too(rate, burst, told):
    world = World(Bucket(rate, burst, told), batch_size=1, max_concurrency=64, retry_timeout=900.0)
    caller = world.call(world.embed(numbers(200)))
    world.run()
    assert all_right(caller.outcomes[0], numbers(200))
    assert caller.ended[0] <= 1.5 * (200 - burst) / rate + 2.0
    assert sum(one.status == 429 for one in world.requests) <= 0.13 * 200


def test_a_limit_that_is_lifted_is_forgotten():
    slow = Bucket(2.0, 2.0, "1")
    world = World(
        lambda world, request: slow(world, request) if world.now < 20.0 else (0.1, right_answer(request)),
        batch_size=1,
        max_concurrency=16,
    )
    caller = world.call(world.embed(numbers(3000)))
    world.run()
    assert all_right(caller.outcomes[0], numbers(3000))
    # It takes 19 s at full speed; the way there from two a second may take as long again, and twice.
    assert caller.ended[0] <= 20.0 + 3 * 19.0


@pytest.mark.parametrize("jump", [-3600.0, 3600.0])
def test_a_jump_of_the_wall_clock_during_a_pause_changes_no_wait(jump):
    def moments(by: float) -> list[float]:
        world = World(closed_for(30.0, "right", seed=1), seed=1, batch_size=1)

        def put_the_clock_right() -> None:
            world.wall += by

        world.do_at(10.0, put_the_clock_right)
        world.call(world.embed(numbers(100)))
        world.run()
        return [one.sent for one in world.requests]

    undisturbed = moments(0.0)
    assert undisturbed[-1] > WINDOW_BEGINS + 30.0
    assert moments(jump) == undisturbed


def test_the_same_seed_tells_the_same_story():
    def story(seed: int):
        world = World(closed_for(6.0, "absent", seed=1), seed=seed, batch_size=1)
        world.call(world.embed(numbers(200)))
        world.run()
        return [(request.sent, request.inputs, request.status) for request in world.requests]

    assert story(1) == story(1)
    assert story(1) != story(2)


@pytest.mark.parametrize("status", [429, 503])
def test_an_outage_long_after_a_cap_is_met_as_the_first_one_is(status):
    """A cap of 20 for 20 seconds, none then: what was once refused makes no later refusal a try."""
    held = capped(lambda now: 20 if now < 20.0 else 1000)

    def gateway(world, request):
        return (0.01, refusal(status, "busy")) if 40.0 <= world.now < 50.0 else held(world, request)

    world = World(gateway, seed=0, batch_size=1, max_concurrency=64, retry_timeout=60.0)
    caller = world.call(world.embed(numbers(20_000)))
    world.run()
    assert all_right(caller.outcomes[0], numbers(20_000))
    assert sum(40.0 <= request.sent < 50.0 for request in world.requests) <= 64 + 8
    assert caller.ended[0] <= 72.0
