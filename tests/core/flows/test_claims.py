"""Claims in a cache that two processes share: each text is paid for once, and nobody waits for the dead."""

from __future__ import annotations

from collections import Counter

import pytest

from openrouter_embeddings import MemoryCache, errors

from ...simulation.answers import all_right, numbers, refusal, right_answer
from ...simulation.shared_cache import SharedCache, Store
from ...simulation.world import World


def two(gateway=None, **options) -> tuple[World, World]:
    """Return two processes on one cache."""
    store = Store()
    answer = gateway or (lambda world, request: (1.0, right_answer(request)))
    options = {"batch_size": 4, "max_concurrency": 4, "timeout": 5.0, **options}
    first = World(answer, cache=SharedCache(store), **options)
    second = World(answer, cache=SharedCache(store), timeline=first.timeline, seed=1, **options)
    store.clock = lambda: first.now
    return first, second


def paid(*worlds: World) -> Counter[str]:
    return Counter(text for world in worlds for request in world.requests if request.billed for text in request.inputs)


def owners(world: World) -> list[object]:
    return [names for names in world.runtime.registry.owners.values() if names]


@pytest.mark.parametrize("start", [0.0, 0.5, 1.5])
def test_two_processes_with_the_same_texts_at_once_pay_once(start):
    first, second = two()
    texts = numbers(40)
    callers = [first.call(first.embed(texts)), second.call(second.embed(texts), start=start)]
    first.run()
    assert all(all_right(caller.outcomes[0], texts) for caller in callers)
    assert paid(first, second) == Counter(texts)
    shared = callers[1].outcomes[0].usage
    assert shared.cached + shared.total_tokens == 40
    assert not first.options.cache.store.claims
    assert not owners(first) + owners(second)


def test_the_other_way_round_they_share_the_work():
    first, second = two()
    texts = numbers(40)
    callers = [first.call(first.embed(texts)), second.call(second.embed(texts[::-1]))]
    first.run()
    assert [all_right(callers[0].outcomes[0], texts), all_right(callers[1].outcomes[0], texts[::-1])] == [True, True]
    assert paid(first, second) == Counter(texts)
    assert min(len(first.requests), len(second.requests)) >= 4


def test_what_a_killed_process_had_in_flight_is_sent_when_its_claim_has_expired_and_nothing_else_twice():
    first, second = two(lambda world, request: (3.0, right_answer(request)))
    texts = numbers(40)
    first.call(first.embed(texts))
    survivor = second.call(second.embed(texts), start=0.5)
    first.do_at(4.0, first.die)
    first.run()
    assert all_right(survivor.outcomes[0], texts)
    lost = [text for request in first.requests if request.abandoned for text in request.inputs]
    assert {text for text, count in paid(first, second).items() if count > 1} <= set(lost)
    assert survivor.ended[0] <= 4.0 + 5.0 + 10.0 + 3.0 + 2.0


def test_an_input_that_another_process_fails_at_is_tried_here_as_soon_as_that_call_ends():
    first, second = two(lambda world, request: (1.0, refusal(402) if world is first else right_answer(request)))
    texts = numbers(4)
    failed, other = first.call(first.embed(texts)), second.call(second.embed(texts), start=0.5)
    first.run()
    assert isinstance(failed.outcomes[0], errors.InsufficientCreditsError)
    assert all_right(other.outcomes[0], texts)
    assert other.ended[0] < 4.0


def test_a_cancelled_call_gives_up_its_claims():
    first, second = two()
    texts = numbers(4)
    caller, other = first.call(first.embed(texts)), second.call(second.embed(texts), start=0.2)
    first.do_at(0.5, lambda: first.cancel(caller.runner))
    first.run()
    assert all_right(other.outcomes[0], texts)
    assert other.ended[0] < 3.0


def test_what_is_claimed_for_ever_is_sent_after_the_bound():
    first, second = two(retry_timeout=20.0)
    first.options.cache.claim(["any"], 1e9)
    texts = numbers(4)
    first.runtime.cache.claim(first.embed(texts)().embeds[0].keys, 1e9)
    caller = second.call(second.embed(texts))
    first.run()
    assert all_right(caller.outcomes[0], texts)
    assert 40.0 < caller.ended[0] < 45.0


def test_the_calls_own_time_ends_the_wait():
    first, second = two(call_timeout=3.0)
    texts = numbers(4)
    first.runtime.cache.claim(first.embed(texts)().embeds[0].keys, 1e9)
    caller = second.call(second.embed(texts))
    first.run()
    assert isinstance(caller.outcomes[0], errors.TimedOutError)
    assert caller.ended[0] == pytest.approx(3.0, abs=0.1)
    assert not owners(second)


def test_a_single_query_waits_for_no_other_process():
    first, second = two()
    first.runtime.cache.claim(first.embed(["1"], "query")().embeds[0].keys, 1e9)
    caller = second.call(second.embed(["1"], "query"))
    first.run()
    assert all_right(caller.outcomes[0], ["1"])
    assert caller.ended[0] == pytest.approx(1.0)


def test_calls_of_one_client_that_want_what_another_process_pays_for_look_for_it_once():
    first, second = two()
    texts = numbers(4)
    first.call(first.embed(texts))
    callers = [second.call(second.embed(texts), start=0.1) for _ in range(3)]
    first.run()
    assert all(all_right(caller.outcomes[0], texts) for caller in callers)
    assert not second.requests
    usages = [caller.outcomes[0].usage for caller in callers]
    assert sorted((usage.cached, usage.shared) for usage in usages) == [(0, 4), (0, 4), (4, 0)]


def test_what_is_stored_with_another_width_is_paid_for_without_a_claim():
    first, second = two(dimensions=2)
    texts = numbers(4)
    keys = first.embed(texts)().embeds[0].keys
    first.options.cache.put(dict.fromkeys(keys, b"0123" * 3))
    caller = second.call(second.embed(texts))
    second.run()
    assert all_right(caller.outcomes[0], texts)
    assert len(second.requests) == 1


def test_what_a_cancelled_call_has_landed_is_handed_on_until_it_is_written():
    world = World(lambda world, request: (1.0, right_answer(request)), cache=MemoryCache())
    keys = world.embed(["1"])().embeds[0].keys
    caller = world.call(world.embed(["1"]))
    world.do_at(1.0 - 1e-6, lambda: setattr(world, "disk_seconds", 100.0))
    world.do_at(1.1, lambda: world.cancel(caller.runner))
    later = world.call(world.embed(["1"]), start=1.2)
    world.do_at(1.15, lambda: setattr(world, "disk_seconds", 0.0))
    world.run(until=1.3)
    assert caller.outcomes
    assert not world.options.cache.get(keys), "it is still being written"
    assert all_right(later.outcomes[0], ["1"])
    world.run()
    assert len(world.requests) == 1
    assert world.options.cache.get(keys)
    assert not owners(world)
