"""The search for culprits: nobody is blamed who was not refused alone, and nobody else is harmed."""

from __future__ import annotations

import numpy as np
import pytest

from openrouter_embeddings import errors
from openrouter_embeddings._flows.batches import Batch, BatchQueue
from openrouter_embeddings._flows.isolate import isolate_culprits
from openrouter_embeddings._protocol import ErrorBody, diagnose_error

from ...simulation.answers import all_right, numbers, refusal, right_answer
from ...simulation.world import World
from .worlds import embed, play, sizes

REFUSED = diagnose_error(ErrorBody(400, "no"), {}, now=0.0, count=8, base64=False)


def refusing(*bad: str, status: int = 400, message: str = "bad input"):
    """Return a gateway that refuses what holds one of these texts."""

    def gateway(world, request):
        return 0.01, refusal(status, message) if set(bad) & set(request.inputs) else right_answer(request)

    return gateway


def once(count: int, status: int = 400, message: str = "Provider returned error", after: int = 0):
    """Return a gateway that refuses so many requests of more than one input, whatever they hold."""
    left = [after + count]

    def gateway(world, request):
        if len(request.inputs) > 1 and left[0] > 0:
            left[0] -= 1
            if left[0] < count:
                return 0.01, refusal(status, message)
        return 0.01, right_answer(request)

    return gateway


def refused_alone(world: World) -> set[str]:
    return {request.inputs[0] for request in world.requests if len(request.inputs) == 1 and request.status != 200}


def test_what_was_refused_beside_an_input_that_lands_later_is_sent_alone_before_it_is_blamed():
    """Three refusals in passing: of all three, of the first alone, of the other two together."""
    left = [3]

    def gateway(world, request):
        left[0] -= 1
        return 0.01, refusal(400, "no") if left[0] >= 0 else right_answer(request)

    world = World(gateway, batch_size=3)
    with pytest.raises(errors.InvalidRequestError) as caught:
        embed(world, numbers(3))
    assert set(caught.value.partial.positions_failed) == {0}
    assert [request.inputs for request in world.requests[-2:]] == [["3"], ["2"]]


@pytest.mark.parametrize(
    "bad", [{1}, {100}, {37}, {1, 2}, {50, 51}, {1, 64, 100}, set(range(1, 100)), set(range(3, 9))], ids=str
)
def test_the_culprits_are_named_each_refused_alone_and_everything_else_is_kept(bad: set[int]):
    world = World(refusing(*map(str, bad)), batch_size=100)
    with pytest.raises(errors.InvalidRequestError) as caught:
        embed(world, numbers(100))
    partial = caught.value.partial
    assert {position + 1 for position in partial.positions_failed} == bad
    assert caught.value.positions == tuple(sorted(number - 1 for number in bad))
    assert {int(text) for text in refused_alone(world)} == bad
    done = [position for position in range(100) if position + 1 not in bad]
    assert partial.positions_done == tuple(done)
    assert partial.embeddings[done, 0].tolist() == [position + 1.0 for position in done]
    assert np.isnan(partial.embeddings[[number - 1 for number in bad]]).all()
    if len(bad) == 1:
        assert len(world.requests) <= 1 + 12, "one bad input in a batch of 100 costs at most 12 requests more"


@pytest.mark.parametrize("after", range(4))
def test_a_refusal_in_passing_blames_nobody_and_teaches_nothing(after):
    world = World(once(1, after=after), batch_size=64)
    embed(world, ["900"])
    assert all_right(embed(world, numbers(512)), numbers(512))
    assert world.state.learned.max_inputs == 64
    before = len(world.requests)
    assert all_right(embed(world, numbers(512, 1000)), numbers(512, 1000))
    assert len(world.requests) - before == 8, "the next call is as a fresh client's"


def test_a_limit_that_no_refusal_names_is_found_when_it_shows_twice_and_nobody_is_blamed():
    """A server with `max_length=32` on its list says only that the request is bad."""

    def gateway(world, request):
        too_many = len(request.inputs) > 32
        return 0.01, refusal(400, "Validation error") if too_many else right_answer(request)

    world = World(gateway, batch_size=64, max_concurrency=1)
    embed(world, ["9000"])
    assert all_right(embed(world, numbers(2000)), numbers(2000))
    assert refused_alone(world) == set()
    assert world.state.learned.max_inputs == 32
    refused = sum(request.status == 400 for request in world.requests)
    assert refused <= 4


def test_where_every_input_is_refused_the_request_is_at_fault_not_each_input():
    world = World(lambda world, request: (0.01, refusal(400, "no such thing")), batch_size=256)
    with pytest.raises(errors.InvalidRequestError) as caught:
        embed(world, numbers(256))
    assert len(caught.value.positions) == 256
    assert len(world.requests) < 16


def test_a_different_error_in_the_middle_of_the_search_ends_the_call():
    def gateway(world, request):
        return 0.01, refusal(400 if len(request.inputs) == 8 else 402)

    with pytest.raises(errors.InsufficientCreditsError):
        embed(World(gateway), numbers(8))


def test_one_input_that_was_refused_is_its_own_culprit_without_another_request():
    world = World(refusing("1"))
    with pytest.raises(errors.InvalidRequestError) as caught:
        embed(world, ["1"])
    assert caught.value.positions == (0,)
    assert len(world.requests) == 1


def test_a_part_that_is_refused_for_its_size_meanwhile_is_cut_by_what_is_known_then():
    seen = []

    def gateway(world, request):
        if len(request.inputs) > 1:
            seen.append(len(request.inputs))
        if len(request.inputs) == 7:
            return 0.01, refusal(400, "at most 2 items in one batch")
        return 0.01, refusal(400, "bad input") if "1" in request.inputs else right_answer(request)

    world = World(gateway, batch_size=8)
    embed(world, ["900"])
    with pytest.raises(errors.InvalidRequestError) as caught:
        embed(world, numbers(8))
    assert caught.value.positions == (0,)
    assert len(caught.value.partial.positions_done) == 7


def test_the_search_only_finds_and_lands_it_neither_fails_nor_shortens():
    world = World(refusing("3", "6"), batch_size=8)
    embed(world, ["900"])
    call = world.state.call(numbers(8), "document")
    call.queue = BatchQueue((), call.inputs.sizes, call.learned)
    culprits = play(world, isolate_culprits(call, Batch(range(8), 8), REFUSED))
    assert sorted(culprits) == [2, 5]
    assert call.failures == {}
    assert call.unresolved() == [2, 5]
    assert max(sizes(world)) < 8, "the batch itself is not sent again"
