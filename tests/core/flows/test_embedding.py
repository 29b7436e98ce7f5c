"""A whole call: what is sent and how often, what is learnt on the way, and what is left when it fails."""

from __future__ import annotations

import math

import pytest

from openrouter_embeddings import MemoryCache, errors
from openrouter_embeddings._protocol import Response, TransportFailure, TransportFault

from ...simulation.answers import all_right, answer_with, numbers, refusal, right_answer, right_rows
from ...simulation.world import Loop, World
from .worlds import embed, faultless, sizes


def at_most(count: int, answer: Response):
    """Return a gateway that refuses larger batches."""

    def gateway(world, request):
        return 0.01, answer if len(request.inputs) > count else right_answer(request)

    return gateway


def test_one_text_that_is_too_long_costs_few_requests_and_harms_no_later_call():
    def gateway(world, request):
        return 0.01, refusal(413, "too large") if "500" in request.inputs else right_answer(request)

    world = World(gateway, batch_size=64)
    with pytest.raises(errors.InputTooLongError) as caught:
        embed(world, numbers(1000))
    assert caught.value.positions == (499,)
    assert len(caught.value.partial.positions_done) == 999
    assert len(world.requests) <= 16 + 2 * 7
    assert world.state.learned.limits() == world.state.learned._initial
    before = len(world.requests)
    embed(world, numbers(1000, 2000))
    assert len(world.requests) - before == 16, "as many as a fresh client's"


@pytest.mark.parametrize("stray", [1, 4])
def test_stray_refusals_for_size_make_batches_smaller_for_a_while_only(stray):
    left = [stray]

    def gateway(world, request):
        if len(request.inputs) > 1 and left[0]:
            left[0] -= 1
            return 0.01, refusal(413, "too large")
        return 0.01, right_answer(request)

    world = World(gateway, batch_size=64, max_concurrency=1)
    embed(world, ["9999"])
    assert all_right(embed(world, numbers(640)), numbers(640))
    assert embed(world, numbers(6400, 10_000)).dimensions == 2
    assert sizes(world)[-5:-1] == [64] * 4


def test_a_batch_too_large_is_split_and_the_limit_is_learnt():
    world = World(at_most(50, refusal(400, "too many inputs")), batch_size=256, max_concurrency=1)
    assert all_right(embed(world, numbers(256)), numbers(256))
    assert [len(request.inputs) for request in world.requests if request.status != 200] == [256, 128, 64]
    assert world.state.learned.max_inputs == 32


def test_a_limit_that_the_refusal_names_is_kept_at_once():
    world = World(at_most(50, refusal(400, "at most 50 items are allowed")), batch_size=256, max_concurrency=1)
    assert all_right(embed(world, numbers(256)), numbers(256))
    assert sizes(world) == [256, 50, 50, 50, 50, 50, 6]


def test_base64_refused_is_asked_for_as_floats_and_not_again():
    def gateway(world, request):
        refused = request.encoding == "base64"
        return 0.01, refusal(400, "base64 is not supported") if refused else right_answer(request)

    world = World(gateway, batch_size=1, max_concurrency=1)
    assert all_right(embed(world, numbers(3)), numbers(3))
    assert [request.encoding for request in world.requests] == ["base64", "float", "float", "float"]


def test_after_402_nothing_more_is_asked_for_and_what_landed_rides_on_the_error():
    def gateway(world, request):
        return 0.01, right_answer(request) if len(world.requests) <= 2 else refusal(402)

    world = World(gateway, batch_size=1, max_concurrency=1)
    with pytest.raises(errors.InsufficientCreditsError) as caught:
        embed(world, numbers(5))
    partial = caught.value.partial
    assert partial.positions_done == (0, 1)
    assert set(partial.positions_failed) == {2, 3, 4}
    assert len(world.requests) == 3
    assert str(caught.value).endswith(
        "2 of 5 embeddings landed and are in .partial. Pass resume=error.partial to embed only the rest."
    )
    assert repr(partial).startswith("Partial(done=2, failed=3, usage=Usage(")


def test_a_402_is_met_once_by_calls_that_wait_side_by_side():
    world = World(lambda world, request: (1.0, refusal(402)), max_concurrency=1)
    callers = [world.call(world.embed([text]), start=0.01 * index) for index, text in enumerate(numbers(10))]
    world.run()
    assert all(isinstance(caller.outcomes[0], errors.InsufficientCreditsError) for caller in callers)
    assert len(world.requests) == 1


def test_resume_pays_only_for_the_rest():
    texts = ["1", "2", "2", "3"]

    def gateway(world, request):
        return 0.01, right_answer(request) if len(world.requests) == 1 else refusal(401)

    with pytest.raises(errors.AuthenticationError) as caught:
        embed(World(gateway, batch_size=1, max_concurrency=1), texts)
    again = World(faultless)
    assert all_right(embed(again, texts, resume=caught.value.partial), texts)
    assert [request.inputs for request in again.requests] == [["2", "3"]]


def test_an_odd_first_answer_fails_its_call_at_most_and_no_later_one():
    def gateway(world, request):
        if len(world.requests) == 1:
            rows = [{"index": index, "embedding": [1.0, 2.0, 3.0]} for index in range(len(request.inputs))]
            return 0.01, answer_with(request, rows)
        return 0.01, right_answer(request)

    world = World(gateway, batch_size=1, max_concurrency=1, cache=MemoryCache())
    with pytest.raises(errors.ResponseError, match="have 2 dimensions where 3 were expected"):
        embed(world, numbers(3))
    for start in (10, 20, 1):
        assert all_right(embed(world, numbers(3, start)), numbers(3, start)), "the odd one in the cache is not used"


def test_a_restart_of_four_seconds_loses_nothing_and_costs_few_requests():
    def gateway(world, request):
        if 1.0 <= world.now < 5.0:
            return 0.001, TransportFailure(TransportFault.REFUSED)
        return 0.05, right_answer(request)

    world = World(gateway, batch_size=1, max_concurrency=16)
    assert all_right(embed(world, numbers(1000)), numbers(1000))
    assert len(world.requests) <= 1050


def test_an_address_at_which_nobody_ever_listened_is_given_up_after_ten_seconds():
    world = World(lambda world, request: (0.001, TransportFailure(TransportFault.REFUSED)))
    caller = world.call(world.embed(["1"]))
    world.run()
    assert isinstance(caller.outcomes[0], errors.ConnectionFailedError)
    assert 5.0 <= caller.ended[0] <= 30.0


# ------------------------------------------------------------------------------------------------- time, and other calls


def test_a_call_ends_when_its_own_time_is_over_waiting_included():
    world = World(lambda world, request: (3600.0, right_answer(request)), call_timeout=5.0, batch_size=1)
    callers = [world.call(world.embed([text])) for text in numbers(20)]
    world.run()
    assert all(isinstance(caller.outcomes[0], errors.TimedOutError) for caller in callers)
    assert all(caller.ended[0] <= 5.1 for caller in callers)


def test_twelve_queries_at_a_gateway_that_never_answers_end_within_half_a_minute_each():
    world = World(lambda world, request: (math.inf, right_answer(request)), timeout=60.0)
    callers = [world.call(world.embed([text], "query")) for text in numbers(12)]
    world.run(until=1e6)
    assert all(isinstance(caller.outcomes[0], errors.TimedOutError) for caller in callers)
    assert max(caller.ended[0] for caller in callers) <= 30.1


def test_that_one_calls_time_is_over_is_no_concern_of_those_who_waited_for_it():
    """The first call began earlier, so its time is over first: what it had in flight is sent again by the other."""
    slow = [True]

    def gateway(world, request):
        return (3600.0 if slow.pop() else 0.1) if slow else 0.1, right_answer(request)

    world = World(gateway, call_timeout=5.0)
    first, second = world.call(world.embed(["1"])), world.call(world.embed(["1"]), start=3.0)
    world.run()
    assert isinstance(first.outcomes[0], errors.TimedOutError)
    assert all_right(second.outcomes[0], ["1"])


def test_a_failure_that_waiting_did_not_cure_is_shared():
    world = World(lambda world, request: (0.1, refusal(503)), retry_timeout=5.0)
    callers = [world.call(world.embed(["1", "1"][:count]), start=0.01 * count) for count in (1, 2, 2)]
    world.run()
    first, *others = [caller.outcomes[0] for caller in callers]
    assert isinstance(first, errors.ProviderUnavailableError)
    for other in others:
        assert isinstance(other, errors.ProviderUnavailableError)
        assert str(other).startswith("Another call had an equal input in flight, and it failed: No provider")
        assert other.positions == (0, 1)
    assert world.state.usage.requests == first.partial.usage.requests


def test_what_another_call_has_landed_meanwhile_is_taken_from_the_cache():
    world = World(
        lambda world, request: (1.0, right_answer(request)), cache=MemoryCache(), max_concurrency=1, batch_size=1
    )
    first = world.call(world.embed(["1", "2", "3"]))
    second = world.call(world.embed(["3", "2", "1"]), start=0.1)
    world.run()
    assert all_right(first.outcomes[0], ["1", "2", "3"])
    assert all_right(second.outcomes[0], ["3", "2", "1"])
    assert len(world.requests) == 3


@pytest.mark.parametrize("many", [2, 25])
def test_a_call_runs_no_more_workers_than_it_has_permits_and_one_that_waits(many):
    world = World(lambda world, request: (1.0, right_answer(request)), batch_size=1, max_concurrency=16)
    started: list[object] = []
    start = world.start
    world.start = lambda process, loop, **how: (started.append(process), start(process, loop, **how))[1]  # type: ignore[method-assign]
    for caller in range(many):
        world.call(world.embed(numbers(20, 1000 * caller + 1)))
    world.run(until=2.5)
    assert len(started) <= 2 * many + 16


# -------------------------------------------------------------------------------------------- exceptions that are not ours


@pytest.mark.parametrize("batch_size", [1, 100])
def test_an_exception_of_the_users_callback_is_theirs_and_what_landed_is_on_it(batch_size):
    def tell(done, of):
        if done >= 3:
            raise ZeroDivisionError("theirs")

    world = World(faultless, batch_size=batch_size, max_concurrency=1)
    with pytest.raises(ZeroDivisionError, match="theirs") as caught:
        embed(world, numbers(5), on_progress=tell)
    assert len(caught.value.partial.positions_done) >= 3
    again = embed(world, numbers(5), resume=caught.value.partial)
    assert all_right(again, numbers(5))


def test_a_mistake_of_ours_is_not_dressed_as_an_embedding_error():
    def gateway(world, request):
        raise ZeroDivisionError

    world = World(gateway)
    with pytest.raises(ZeroDivisionError):
        embed(world, ["1"])
    assert world.limiter.in_flight == 0
    assert not any(world.runtime.registry.owners.values())


def test_another_width_in_the_middle_of_a_call_is_broken():
    def gateway(world, request):
        if request.inputs == ["1"]:
            return 0.01, right_answer(request)
        return 0.01, answer_with(request, [{**right_rows(request)[0], "embedding": [1.0, 2.0, 3.0]}])

    world = World(gateway, batch_size=1, max_concurrency=1)
    with pytest.raises(errors.ResponseError, match="have 3 dimensions where 2 were expected"):
        embed(world, numbers(2))


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("cannot embed 'a private sentence about nobody'", ""),
        ("Bearer abc sk-or-v1-0123 is bad", "It says: '[key] [key] is bad'."),
    ],
)
def test_a_message_that_repeats_an_input_or_a_key_is_not_shown(message, shown):
    world = World(lambda world, request: (0.01, refusal(400, message)))
    with pytest.raises(errors.InvalidRequestError) as caught:
        embed(world, ["a private sentence about nobody"])
    assert "private" not in str(caught.value)
    assert "sk-or" not in str(caught.value)
    assert shown in str(caught.value)


def test_a_call_that_waits_for_one_that_stands_still_takes_its_inputs_over():
    world = World(lambda world, request: (1.0, right_answer(request)), timeout=10.0, call_timeout=60.0)
    loop = Loop()
    world.call(world.embed(["1"]), loop=loop)
    world.do_at(0.5, lambda: setattr(loop, "stands_still_until", 1e9))
    other = world.call(world.embed(["1"]), start=0.2)
    world.run(until=1e6)
    assert all_right(other.outcomes[0], ["1"])
