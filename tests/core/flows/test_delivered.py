"""What a batch's answers hold: in which encoding, how wide, at what cost; and how what has landed is kept."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from openrouter_embeddings import MemoryCache, errors
from openrouter_embeddings._flows.batches import Batch, SizeTest
from openrouter_embeddings._flows.delivery import BatchRequest
from openrouter_embeddings._flows.effects import CachePut, Send, Sleep
from openrouter_embeddings._flows.inflight import InFlightRegistry
from openrouter_embeddings._protocol import Response

from ...simulation.answers import answer_with, numbers, refusal, right_answer, right_rows
from .worlds import Delivery, call_of, delivery, request_of


def wide(effect: Send, width: int) -> Response:
    request = request_of(effect)
    return answer_with(request, [{"index": index, "embedding": [2.0] * width} for index in range(len(request.inputs))])


# ------------------------------------------------------------------------------------------------------- encoding


def test_base64_refused_in_words_is_asked_for_as_floats_at_once():
    sent = delivery()
    assert isinstance(sent.answer(refusal(400, "base64 is not supported")), Send)
    assert request_of(sent.effect).encoding == "float"
    assert sent.answer() is None
    assert sent.call.learned.encoding == "float"


def test_an_empty_answer_to_base64_is_asked_for_as_floats_and_teaches_nothing_yet():
    sent = delivery()
    sent.answer(Response(200, {}, b'{"data":[]}'))
    assert request_of(sent.effect).encoding == "float"
    assert sent.answer() is None
    assert sent.call.learned.encoding_to_ask_for() == "base64"


@pytest.mark.parametrize("asked", ["base64", "float"])
def test_an_encoding_that_the_user_chose_is_not_changed(asked):
    sent = delivery(encoding_format=asked, max_replays=0)
    assert request_of(sent.effect).encoding == asked
    with pytest.raises(errors.ResponseError, match="held no embeddings for 1 input"):
        sent.answer(Response(200, {}, b'{"data":[]}'))


# ---------------------------------------------------------------------------------------------------- what an answer holds


def test_another_width_than_the_answers_before_is_replayed_and_then_believed():
    call = call_of(["1"])
    call.learned.accepts_width(3)
    sent = Delivery(call)
    assert isinstance(sent.answer(), Sleep)
    assert isinstance(sent.go_on(), Send)
    assert sent.answer() is None
    assert call.learned.dimensions == 2


def test_one_call_holds_embeddings_of_one_width_whatever_comes_twice():
    call = call_of(numbers(2), batch_size=1, max_replays=2)
    Delivery(call, Batch([0], 1)).answer()
    sent = Delivery(call, Batch([1], 1))
    for _ in range(2):
        sent.answer(wide(sent.effect, 3))
        sent.go_on()
    with pytest.raises(errors.ResponseError, match="have 3 dimensions where"):
        sent.answer(wide(sent.effect, 3))


def test_a_wider_answer_is_cut_and_scaled_only_where_the_user_and_the_family_allow_it():
    cut = delivery(dimensions=1024, dimensions_fallback=True)
    assert cut.answer(wide(cut.effect, 1536)) is None
    row = cut.call.result().embeddings[0]
    assert row.shape == (1024,)
    assert np.linalg.norm(row) == pytest.approx(1.0, rel=1e-6)
    refused = delivery(dimensions=1024, max_replays=0)
    with pytest.raises(errors.ResponseError, match=r"1536 dimensions where 1024 were asked for.*dimensions_fallback"):
        refused.answer(wide(refused.effect, 1536))


def test_what_the_gateway_answers_from_its_own_cache_is_counted_and_says_nothing_about_prices():
    sent = delivery(max_cost=1.0)
    right = json.loads(right_answer(request_of(sent.effect)).body)
    free = Response(200, {"x-openrouter-cache-status": "HIT"}, json.dumps(right | {"usage": {}}).encode())
    feedback = sent.effect.read(free, 60.0)[1]
    assert (feedback.cost, feedback.tokens, feedback.is_priced) == (0.0, 0, False)
    assert sent.answer(free) is None
    assert (sent.call.outcome.usage.server_cached, sent.call.outcome.usage.cost) == (1, 0.0)


def test_a_gateway_that_names_no_cost_cannot_keep_max_cost_and_what_landed_is_kept():
    sent = delivery(max_cost=1.0)
    rows = right_rows(request_of(sent.effect))
    with pytest.raises(errors.BudgetExceededError, match="The answer named no cost"):
        sent.answer(Response(200, {}, json.dumps({"data": rows}).encode()))
    assert not sent.call.unresolved()


# --------------------------------------------------------------------------------------------------------- keeping it


def test_those_who_wait_hear_what_landed_before_a_slow_disk_does():
    registry = InFlightRegistry(lambda: 0.0)
    owner, waiting = (call_of(numbers(2), cache=MemoryCache(), registry=registry) for _ in range(2))
    owner.share.claim([0, 1])
    waiting.share.claim([0, 1])
    put = Delivery(owner).answer()
    assert isinstance(put, CachePut)
    assert set(put.items) == set(owner.keys)
    assert not waiting.share.is_waiting_for_others


def test_what_landed_is_kept_though_the_call_ends_while_it_is_written_down():
    sent = delivery(3, cache=MemoryCache())
    assert isinstance(sent.answer(), CachePut)
    sent.flow.close()
    assert not sent.call.unresolved()
    assert sent.call.outcome.usage.prompt_tokens == 3


def test_the_cache_gets_what_was_received_and_the_caller_what_was_asked_for():
    sent = delivery(cache=MemoryCache(), normalize=True)
    put = sent.answer()
    assert np.frombuffer(next(iter(put.items.values())), "<f4").tolist() == [1.0, 1.0]
    assert np.linalg.norm(sent.call.result().embeddings[0]) == pytest.approx(1.0)


def test_a_size_is_learnt_when_both_halves_of_what_was_refused_have_landed():
    call, test = call_of(numbers(8)), SizeTest(8, 8, by_tokens=False)
    left, right = Batch(range(8), 8).halves(test)
    Delivery(call, left).answer()
    assert call.learned.max_inputs > 8
    Delivery(call, replace(right, members=[4, 5, 6, 7])).answer()
    assert call.learned.max_inputs == 4


def test_an_exchange_that_spent_its_permit_leaves_a_request_that_can_be_built_again():
    request = BatchRequest(call_of(["1"]), Batch([0], 1))
    assert request.build() == request.build()
    assert request.attempts == 2
