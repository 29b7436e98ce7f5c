"""Queries that share requests: each gets its own embedding, and none is harmed by those that it travels with."""

from __future__ import annotations

import asyncio
import os

import numpy as np
import pytest

from openrouter_embeddings import (
    InputTooLongError,
    InsufficientCreditsError,
    InvalidRequestError,
    ProviderUnavailableError,
)
from openrouter_embeddings.client.query_batcher import COALESCING_WINDOW, QueryBatcher

from ...simulation.answers import all_right, answer_with, numbers, refusal, right_answer
from ...simulation.world import Caller, Cancelled, Loop, World


def slow(world, request):
    return 1.0, right_answer(request)


def warm(gateway=slow, **options) -> World:
    """Return a world whose client has had its first answer."""
    world = World(gateway, coalesce_queries=True, **options)
    world.call(world.embed(["900", "901"]))
    world.run()
    world.requests.clear()
    return world


def ask(world: World, texts: list[str], *, every: float = 0.0, loops: list[Loop] | None = None) -> list[Caller]:
    return [
        world.call(world.embed([text], "query"), start=world.now + every * index, loop=loops[index] if loops else None)
        for index, text in enumerate(texts)
    ]


def test_queries_at_the_same_time_share_a_request_and_each_gets_its_own_embedding():
    world = warm()
    callers = ask(world, numbers(20))
    world.run()
    assert [request.inputs for request in world.requests] == [numbers(20)]
    for text, caller in zip(numbers(20), callers, strict=True):
        assert all_right(caller.outcomes[0], [text])
    leader, *others = [caller.outcomes[0].usage for caller in callers]
    assert (leader.requests, leader.shared) == (1, 0)
    assert all((usage.requests, usage.shared, usage.cost) == (0, 1, 0.0) for usage in others)
    assert world.state.usage.shared == 19


def test_equal_queries_of_a_group_are_sent_once():
    world = warm()
    callers = ask(world, ["1", "2", "1", "1"])
    world.run()
    assert [request.inputs for request in world.requests] == [["1", "2"]]
    assert all(all_right(caller.outcomes[0], [text]) for text, caller in zip("1211", callers, strict=True))


def test_a_group_holds_no_more_than_a_request_may():
    world = warm(batch_size=8)
    callers = ask(world, numbers(20))
    world.run()
    assert sorted(len(request.inputs) for request in world.requests) == [4, 8, 8]
    assert all(all_right(caller.outcomes[0], [text]) for text, caller in zip(numbers(20), callers, strict=True))


def test_a_query_waits_for_others_no_longer_than_a_moment():
    world = warm()
    began = world.now
    ask(world, ["1", "2"], every=2 * COALESCING_WINDOW)
    world.run()
    assert [request.sent - began for request in world.requests] == pytest.approx(
        [COALESCING_WINDOW, 3 * COALESCING_WINDOW]
    )


def test_what_is_no_single_text_query_goes_its_own_way():
    world = warm()
    world.call(world.embed(["1"], "document"), start=world.now)
    world.call(world.embed(["2", "3"], "query"), start=world.now)
    world.run()
    assert sorted(request.inputs for request in world.requests) == [["1"], ["2", "3"]]


def test_when_the_leader_is_cancelled_the_others_send_their_own():
    world = warm()
    leader, *others = ask(world, numbers(4))
    world.do_at(world.now + 0.5, lambda: world.cancel(leader.runner))
    world.run()
    assert isinstance(leader.outcomes[0], Cancelled)
    assert all(all_right(caller.outcomes[0], [text]) for text, caller in zip("234", others, strict=True))
    assert world.limiter.in_flight == 0
    assert not any(world.runtime.registry.owners.values())


@pytest.mark.parametrize("moment", [0.001, 0.5], ids=["gathering", "in flight"])
def test_when_the_leaders_loop_stands_still_the_others_go_on_without_it(moment):
    world = warm(timeout=4.0, call_timeout=60.0)
    loops = [Loop() for _ in range(3)]
    _, *others = ask(world, numbers(3), loops=loops)
    world.do_at(world.now + moment, lambda: setattr(loops[0], "stands_still_until", 1e9))
    world.run(until=1e6)
    assert all(all_right(caller.outcomes[0], [text]) for text, caller in zip("23", others, strict=True))


def test_a_leader_that_stands_still_holds_no_call_outside_of_its_group_for_ever():
    world = warm(timeout=4.0)
    loop = Loop()
    ask(world, ["1"], loops=[loop])
    other = world.call(world.embed(["1", "2"], "query"), start=world.now + 0.5)
    world.do_at(world.now + 0.7, lambda: setattr(loop, "stands_still_until", 1e9))
    world.run(until=1e6)
    assert all_right(other.outcomes[0], ["1", "2"])
    assert other.ended[0] <= 120.0


def test_a_query_that_cannot_be_embedded_harms_none_of_those_it_travelled_with():
    def gateway(world, request):
        return 0.1, refusal(400, "bad input") if "3" in request.inputs else right_answer(request)

    world = warm(gateway)
    callers = ask(world, numbers(6))
    world.run()
    for text, caller in zip(numbers(6), callers, strict=True):
        if text != "3":
            assert all_right(caller.outcomes[0], [text])
    error = callers[2].outcomes[0]
    assert isinstance(error, InvalidRequestError)
    assert error.positions == (0,)


def test_a_leader_that_cannot_be_embedded_hands_out_what_has_landed_for_the_others():
    def gateway(world, request):
        return 0.1, refusal(400, "bad input") if "1" in request.inputs else right_answer(request)

    world = warm(gateway)
    leader, *others = ask(world, numbers(6))
    world.run()
    assert isinstance(leader.outcomes[0], InvalidRequestError)
    assert leader.outcomes[0].positions == (0,)
    assert all(all_right(caller.outcomes[0], [text]) for text, caller in zip(numbers(5, 2), others, strict=True))


@pytest.mark.parametrize("bad", ["1", "3"])
def test_a_query_that_cannot_be_embedded_may_cost_its_own_row_only(bad):
    def gateway(world, request):
        return 0.1, refusal(400, "bad input") if bad in request.inputs else right_answer(request)

    world = warm(gateway, on_error="null", on_empty="null")
    callers = ask(world, [*numbers(4), "", 7])
    world.run()
    for text, caller in zip(numbers(4), callers, strict=False):
        result = caller.outcomes[0]
        if text == bad:
            assert (result.missing_positions, result.errors[0].positions, result.tolist()) == ((0,), (0,), [None])
            assert isinstance(result.errors[0], InvalidRequestError)
        else:
            assert all_right(result, [text])
            assert (dict(result.errors), result.missing_positions) == ({}, ())
    empty, wrong = (caller.outcomes[0] for caller in callers[4:])
    assert (dict(empty.errors), empty.missing_positions) == ({}, (0,))
    assert (list(wrong.errors), wrong.missing_positions) == ([0], (0,))


def test_an_outage_is_waited_out_once_for_the_whole_group():
    world = warm(lambda world, request: (0.1, right_answer(request) if "900" in request.inputs else refusal(503)))
    callers = ask(world, numbers(6))
    world.run()
    leader, *others = [caller.outcomes[0] for caller in callers]
    assert isinstance(leader, ProviderUnavailableError)
    for error in others:
        assert isinstance(error, ProviderUnavailableError)
        assert str(error).startswith("The request that this query shared has failed: ")
        assert error.positions == (0,)
    assert len(world.requests) <= 3


def test_what_ends_every_call_is_told_to_each_as_its_own():
    world = warm(lambda world, request: (0.1, right_answer(request) if "900" in request.inputs else refusal(402)))
    callers = ask(world, numbers(6))
    world.run()
    assert all(isinstance(caller.outcomes[0], InsufficientCreditsError) for caller in callers)


@pytest.mark.parametrize("bad", [False, True], ids=["all land", "one is refused"])
@pytest.mark.parametrize("long", [0, 2], ids=["leader", "follower"])
def test_a_query_that_was_shortened_says_so_and_no_other_does(long, bad):
    def gateway(world, request):
        if any(len(text) > 10 for text in request.inputs):
            return 0.1, refusal(400, "maximum context length exceeded")
        if "b" in request.inputs:
            return 0.1, refusal(400, "bad input")
        rows = [{"index": index, "embedding": [1.0, 2.0]} for index in range(len(request.inputs))]
        return 0.1, answer_with(request, rows)

    world = warm(gateway, on_too_long="truncate")
    given = ["x", "b" if bad else "y", "z"]
    given[long] = "a" * 40
    callers = ask(world, given)
    world.run()
    for index, caller in enumerate(callers):
        if given[index] == "b":
            assert isinstance(caller.outcomes[0], InvalidRequestError)
        else:
            assert caller.outcomes[0].shortened == ((0,) if index == long else ())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_joins_no_group_of_its_parents():
    world = warm()
    batcher = world.state.batcher()
    assert isinstance(batcher, QueryBatcher)
    flow = batcher.embed("1", most=8, seconds=1.0, together=lambda texts: world.state.call(texts, "query"))
    next(flow)
    assert batcher._open is not None
    pid = os.fork()
    if pid == 0:
        os._exit(0 if batcher._open is None else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


# -------------------------------------------------------------------------------------------------- the local gateway


async def gathered(client, queries: list[str], **how) -> list:
    other = client.as_async()
    return await asyncio.gather(*(other.embed_query(text) for text in queries), **how)


def test_forty_queries_twice_need_four_requests_at_most(make, embeddings_gateway):
    client = make(coalesce_queries=True)
    client.embed_query("warm")
    alone = {text: make().embed_query(text).embeddings for text in [f"query {number}" for number in range(40)]}
    embeddings_gateway.reset()
    results = asyncio.run(gathered(client, [*alone, *alone]))
    for text, result in zip([*alone, *alone], results, strict=True):
        assert np.allclose(result.embeddings, alone[text], atol=1e-6)
    assert len(embeddings_gateway.embedding_requests()) <= 4
    assert embeddings_gateway.paid_inputs() == 40
    assert client.usage.requests == 1 + len(embeddings_gateway.embedding_requests())


def test_a_query_that_is_too_long_is_named_to_the_one_who_asked(make):
    client = make(coalesce_queries=True)
    client.embed_query("warm")
    queries = [*(f"query {number}" for number in range(10)), "word " * 10_000]
    *good, bad = asyncio.run(gathered(client, queries, return_exceptions=True))
    assert all(len(result.embeddings) == 1 for result in good)
    assert isinstance(bad, InputTooLongError)
    assert bad.positions == (0,)


def test_a_leader_that_is_cancelled_in_tasks_leaves_the_others_their_answers(make):
    client = make(coalesce_queries=True)
    client.embed_query("warm")

    async def scenario() -> list:
        other = client.as_async()
        tasks = [asyncio.create_task(other.embed_query(f"query {number}")) for number in range(6)]
        await asyncio.sleep(0)
        tasks[0].cancel()
        return await asyncio.gather(*tasks, return_exceptions=True)

    gone, *others = asyncio.run(scenario())
    assert isinstance(gone, asyncio.CancelledError)
    assert all(result.embeddings.shape == (1, 1536) for result in others)
