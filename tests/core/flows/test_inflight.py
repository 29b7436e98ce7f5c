"""Single-flight: equal inputs of different calls have one owner, and whoever waits hears, or takes over."""

from __future__ import annotations

import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openrouter_embeddings._flows.inflight import CallShare, InFlightRegistry
from openrouter_embeddings.errors import (
    ConnectionFailedError,
    InsufficientCreditsError,
    InvalidRequestError,
    ProviderUnavailableError,
    RateLimitError,
    ResponseError,
    ServerError,
    TimedOutError,
)

from ...simulation.answers import all_right, right_answer
from ...simulation.world import Cancelled, Loop, World
from .worlds import embed, faultless

KIND = ("query", "auto")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Bell:
    rung = 0

    def wake(self) -> None:
        self.rung += 1


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def registry(clock) -> InFlightRegistry:
    return InFlightRegistry(clock)


def shares(registry: InFlightRegistry, *names: str) -> list[CallShare]:
    return [registry.join(KIND, list(name)) for name in names]


def rows(*numbers: float) -> np.ndarray:
    return np.array([[number, 1.0] for number in numbers], np.float32)


def test_the_first_call_owns_an_input_and_the_others_hear_what_landed(registry):
    first, second = shares(registry, "ab", "bc")
    assert first.claim([0, 1]) == [0, 1]
    assert second.claim([0, 1]) == [1]
    assert second.is_waiting
    assert second.is_waiting_for_others
    bell, landed = Bell(), rows(1.0, 2.0)
    second.notify_when_resolved(bell)
    assert not bell.rung
    first.publish([0, 1], landed)
    landed[:] = 0  # whoever got the result may change it
    assert bell.rung == 1
    assert not second.is_waiting_for_others
    assert second.is_waiting, "what was heard was not taken yet"
    assert second.outcomes()[0].tolist() == [2.0, 1.0]
    assert not second.is_waiting
    assert registry.join(KIND, ["a"]).claim([0]) == [0], "what has landed is in flight no more"


def test_a_call_that_waits_for_several_owners_is_woken_once_all_are_through(registry):
    first, second, third = shares(registry, "a", "b", "ab")
    first.claim([0])
    second.claim([0])
    assert third.claim([0, 1]) == []
    bell = Bell()
    third.notify_when_resolved(bell)
    second.publish([0], rows(2.0))
    assert not bell.rung
    first.abandon([0], {})
    assert bell.rung == 1
    outcomes = third.outcomes()
    assert outcomes[0] is None
    assert outcomes[1].tolist() == [2.0, 1.0]


def test_a_call_that_waits_for_nothing_is_woken_at_once(registry):
    (share,) = shares(registry, "a")
    bell = Bell()
    share.notify_when_resolved(bell)
    assert bell.rung == 1


def test_what_is_abandoned_is_for_those_who_waited_to_send(registry):
    first, second = shares(registry, "a", "a")
    first.claim([0])
    assert second.claim([0]) == []
    first.abandon([0], {})
    assert second.outcomes() == {0: None}
    assert second.claim([0]) == [0]


@pytest.mark.parametrize(
    ("kind", "shared"),
    [
        (RateLimitError, True),
        (ProviderUnavailableError, True),
        (ServerError, True),
        (ConnectionFailedError, True),
        (TimedOutError, True),
        (InvalidRequestError, False),
        (InsufficientCreditsError, False),
        (ResponseError, False),
    ],
)
def test_only_an_error_that_comes_after_all_waiting_is_shared(registry, kind, shared):
    first, second = shares(registry, "a", "a")
    first.claim([0])
    second.claim([0])
    error = kind("no")
    first.abandon([0], {0: error})
    assert second.outcomes() == {0: error if shared else None}


def test_inputs_of_different_kinds_are_told_apart(registry):
    query, document = registry.join(("query", "auto"), ["a"]), registry.join(("document", "auto"), ["a"])
    assert query.claim([0]) == document.claim([0]) == [0]


def test_only_what_others_have_published_is_news(registry):
    own, other = shares(registry, "a", "b")
    own.claim([0])
    own.publish([0], rows(1.0))
    assert not own.has_newer_results()
    other.claim([0])
    other.publish([0], rows(1.0))
    assert own.has_newer_results()


def test_a_call_that_leaves_hears_nothing_more(registry):
    first, second = shares(registry, "a", "a")
    first.claim([0])
    second.claim([0])
    second.leave()
    assert not second.is_waiting
    first.publish([0], rows(1.0))
    assert second.outcomes() == {}


def test_a_call_takes_over_from_an_owner_that_does_not_move_in_time(registry, clock):
    owner, waiting, third = shares(registry, "a", "a", "a")
    owner.claim([0])
    owner.will_move_within(5.0)
    assert waiting.claim([0]) == []
    assert waiting.seconds_until_stall() == 5.0
    assert not waiting.give_up_on_stalled()
    clock.now = 5.1
    assert waiting.seconds_until_stall() == 0.0
    assert third.claim([0]) == [0], "who comes later takes over"
    waiting.give_up_on_stalled()
    assert waiting.is_waiting_for_others, "and those who waited now wait for the new owner"
    owner.publish([0], rows(9.0))
    assert waiting.is_waiting_for_others, "what the old owner says after that is no more than its own"
    third.publish([0], rows(1.0))
    assert waiting.outcomes()[0].tolist() == [1.0, 1.0]


def test_a_call_that_waits_for_an_owner_that_stands_still_sends_the_input_itself(registry, clock):
    owner, waiting = shares(registry, "a", "a")
    owner.claim([0])
    owner.will_move_within(5.0)
    waiting.claim([0])
    clock.now = 6.0
    assert waiting.give_up_on_stalled()
    assert waiting.outcomes() == {0: None}
    assert waiting.claim([0]) == [0]


def test_the_longest_promise_of_a_calls_workers_holds(registry, clock):
    owner, waiting = shares(registry, "a", "a")
    owner.claim([0])
    owner.will_move_within(60.0)
    owner.will_move_within(5.0)
    waiting.claim([0])
    assert waiting.seconds_until_stall() == 60.0


def test_a_follower_waits_for_one_input_of_a_group(registry):
    (group,) = shares(registry, "ab")
    group.claim([0, 1])
    follower = group.follower(1)
    group.publish([0, 1], rows(1.0, 2.0))
    assert follower.outcomes()[0].tolist() == [2.0, 1.0]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4), st.sampled_from(["claim", "publish", "abandon"]))))
def test_an_input_has_one_owner_and_nobody_is_forgotten(steps):
    registry = InFlightRegistry(lambda: 0.0)
    calls = [registry.join(KIND, list("abcde")) for _ in range(4)]
    owned: list[set[int]] = [set() for _ in calls]
    for caller, member, step in steps:
        call = calls[caller]
        if step == "claim" and member not in owned[caller] and member not in call._waiting_for.values():
            owned[caller] |= set(call.claim([member]))
        elif step == "publish" and member in owned[caller]:
            call.publish([member], rows(float(member)))
            owned[caller].discard(member)
        elif step == "abandon" and member in owned[caller]:
            call.abandon([member], {})
            owned[caller].discard(member)
        assert sum(map(len, owned)) == len(set().union(*owned)), "an input has two owners"
    for call, members in zip(calls, owned, strict=True):
        call.abandon(sorted(members), {})
    for call in calls:
        assert not call.is_waiting_for_others, "somebody is never told"
        assert all(row is None or row[0] == member for member, row in call.outcomes().items())
    assert registry.owners[KIND] == {}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_in_a_forked_child_nothing_of_the_parents_is_in_flight(registry):
    (parents,) = shares(registry, "a")
    parents.claim([0])
    pid = os.fork()
    if pid == 0:
        os._exit(0 if registry.join(KIND, ["a"]).claim([0]) == [0] else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


# ------------------------------------------------------------------------------------------------- whole calls, together


def test_equal_inputs_of_calls_at_the_same_time_are_sent_once():
    world = World(lambda world, request: (1.0, right_answer(request)), batch_size=1)
    embed(world, ["9"])
    callers = [world.call(world.embed(["1", "2"]), start=world.now) for _ in range(8)]
    world.run()
    assert all(all_right(caller.outcomes[0], ["1", "2"]) for caller in callers)
    assert sorted(text for request in world.requests[1:] for text in request.inputs) == ["1", "2"]
    assert world.state.usage.shared == 14
    assert sum(caller.outcomes[0].usage.shared for caller in callers) == 14


def test_a_call_whose_loop_stands_still_for_ever_holds_no_other():
    world = World(lambda world, request: (1.0, right_answer(request)), batch_size=1, timeout=10.0)
    loop = Loop()
    world.call(world.embed(["1", "2"]), loop=loop)
    other = world.call(world.embed(["1", "2", "3"]), start=0.5)

    def stand_still() -> None:
        loop.stands_still_until = 1e9

    world.do_at(0.7, stand_still)
    world.run(until=1e6)
    assert all_right(other.outcomes[0], ["1", "2", "3"])
    assert other.ended[0] <= 10.0 + 30.0


def test_when_the_owner_is_cancelled_one_of_the_others_takes_over():
    world = World(lambda world, request: (1.0, right_answer(request)))
    embed(world, ["9"])
    first, *others = [world.call(world.embed(["1"]), start=world.now + 0.1 * index) for index in range(5)]
    world.do_at(world.now + 0.6, lambda: world.cancel(first.runner))
    world.run()
    assert isinstance(first.outcomes[0], Cancelled)
    assert all(all_right(other.outcomes[0], ["1"]) for other in others)
    assert len(world.requests) == 1 + 2
    assert world.state.usage.shared == 3


def test_each_text_is_paid_for_once_with_a_cache_whoever_asks():
    from openrouter_embeddings import MemoryCache

    world = World(faultless, cache=MemoryCache(), batch_size=4, max_concurrency=4)
    texts = [str(number % 50) for number in range(1, 101)]
    callers = [world.call(world.embed(texts[start : start + 60]), start=0.003 * start) for start in range(0, 40, 5)]
    world.run()
    for start, caller in zip(range(0, 40, 5), callers, strict=True):
        assert all_right(caller.outcomes[0], texts[start : start + 60])
    assert sorted(text for request in world.requests for text in request.inputs) == sorted(set(texts))


def test_what_landed_and_is_not_in_the_cache_yet_is_handed_to_calls_that_claim_it():
    """Between the answer and the cache an input is neither in flight nor kept: it was paid for twice."""
    registry = InFlightRegistry(lambda: 0.0)
    first, second = registry.join("kind", ["a"]), registry.join("kind", ["a"])
    assert first.claim([0]) == [0]
    first.publish([0], np.ones((1, 2), dtype=np.float32), until_kept=True)
    assert second.claim([0]) == []
    assert second.outcomes()[0].tolist() == [1.0, 1.0]
    third = registry.join("kind", ["a"])
    assert not third.has_newer_results()
    first.abandon([0], {})
    assert third.claim([0]) == [], "it is being written still, though its call is gone"
    first.kept([0])
    assert third.has_newer_results(), "the cache has it from now on"
    assert third.claim([0]) == [0]
