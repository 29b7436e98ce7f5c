"""The state of one call: what has landed, from wherever it came, and what the caller hears of the rest."""

from __future__ import annotations

import numpy as np
import pytest

from openrouter_embeddings import InputError, MemoryCache, errors
from openrouter_embeddings._flows.batches import Batch, BatchQueue
from openrouter_embeddings._flows.call import EmbedCall
from openrouter_embeddings._flows.inflight import InFlightRegistry
from openrouter_embeddings._protocol import BatchResult
from openrouter_embeddings.usage import Usage

from ...simulation.answers import all_right, numbers, right_answer
from ...simulation.world import World
from .worlds import call_of, embed


def rows_of(*texts: str, width: int = 2) -> np.ndarray:
    return np.array([[float(text), *[1.0] * (width - 1)] for text in texts], np.float32)


def land(call: EmbedCall, *members: int, width: int = 2) -> None:
    texts = [call.inputs.items[member] for member in members]
    result = BatchResult(rows_of(*texts, width=width), Usage(prompt_tokens=len(members)), priced=True)
    call.record(Batch(members, len(members)), result)


def cached(call: EmbedCall, *members: int, width: int = 2) -> dict[bytes, bytes]:
    texts = [call.inputs.items[member] for member in members]
    return {call.keys[member]: row.tobytes() for member, row in zip(members, rows_of(*texts, width=width), strict=True)}


# ------------------------------------------------------------------------------------------------------------- inputs


def test_equal_inputs_are_one_and_every_position_gets_its_embedding():
    call = call_of(["1", "2", "1", "1"])
    assert call.unresolved() == [0, 1]
    assert call.outcome.usage == Usage(deduplicated=2)
    assert call.inputs.positions([0]) == [0, 2, 3]
    land(call, 1, 0)
    assert call.result().embeddings[:, 0].tolist() == [1.0, 2.0, 1.0, 1.0]


def test_a_prefix_stands_before_each_text_of_a_batch():
    call = call_of(["1", "2", "3"], document_prefix="p: ")
    assert call.wire_inputs(Batch([2, 0], 2)) == ["p: 3", "p: 1"]
    assert call_of(["1"]).wire_inputs(Batch([0], 1)) == ["1"]


def test_texts_that_may_be_too_long_are_set_apart_only_where_they_are_to_be_shortened():
    texts = ["1", "9" * 60_000]
    assert call_of(texts, on_too_long="truncate").probably_too_long([0, 1]) == {1}
    assert call_of(texts).probably_too_long([0, 1]) == set()
    assert call_of(texts, on_too_long="truncate", model="new/model").probably_too_long([0, 1]) == set()


# -------------------------------------------------------------------------------------------------------- empty inputs


def test_empty_texts_are_never_sent_and_get_zeros_as_wide_as_the_rest():
    call = call_of(["", "1", ""], on_empty="zero")
    assert call.unresolved() == [1]
    land(call, 1)
    assert call.result().embeddings.tolist() == [[0.0, 0.0], [1.0, 1.0], [0.0, 0.0]]


@pytest.mark.parametrize(
    ("model", "options", "width"),
    [("new/model", {"dimensions": 5}, 5), ("openai/text-embedding-3-small", {}, 1536)],
)
def test_without_any_answer_zeros_are_as_wide_as_was_asked_for_or_as_the_profile_says(model, options, width):
    assert call_of([""], model=model, on_empty="zero", **options).result().dimensions == width


def test_the_width_that_was_learnt_before_holds_for_zeros_too():
    call = call_of([""], model="new/model", on_empty="zero")
    call.learned.accepts_width(7)
    assert call.result().dimensions == 7


def test_empty_texts_alone_have_no_width_where_nothing_is_known():
    with pytest.raises(InputError, match="Set dimensions") as caught:
        call_of(["", ""], model="new/model", on_empty="zero").result()
    assert caught.value.positions == (0, 1)


# ------------------------------------------------------------------------------------------------------------- workers


def test_a_call_has_a_worker_for_each_permit_and_one_that_waits():
    call = call_of(numbers(9), batch_size=1, max_concurrency=3)
    call.workers.begin(lambda: "a worker")  # type: ignore[arg-type,return-value]
    call.queue = BatchQueue(range(9), call.inputs.sizes, call.learned)
    call.workers.wait()
    assert call.next_worker() == "a worker", "its request leaves, and nobody waits"
    call.workers.wait()
    call.workers.wait()
    assert call.next_worker() is None, "another one waits for the next permit"
    assert call.next_worker() == "a worker"
    call.workers.wait()
    assert call.next_worker() is None, "there are as many as may be in flight"
    call.workers.end()
    call.workers.wait()
    assert call.next_worker() == "a worker"


def test_no_worker_is_added_where_nothing_is_left_to_send():
    call = call_of(numbers(2))
    call.workers.begin(lambda: "a worker")  # type: ignore[arg-type,return-value]
    call.workers.wait()
    assert call.next_worker() is None


# ----------------------------------------------------------------------------------------------------- from the cache


def test_what_is_cached_is_counted_and_not_asked_for():
    call = call_of(numbers(3), cache=MemoryCache())
    call.take_cached([0, 1, 2], cached(call, 0, 2))
    assert call.unresolved() == [1]
    assert call.outcome.usage.cached == 2
    land(call, 1)
    assert call.result().embeddings[:, 0].tolist() == [1.0, 2.0, 3.0]


@pytest.mark.parametrize("known", ["asked for", "landed", "learnt"])
def test_a_cached_row_of_another_width_than_is_expected_is_not_taken(known):
    call = call_of(numbers(3), cache=MemoryCache(), dimensions=2 if known == "asked for" else None)
    if known == "landed":
        land(call, 2)
    elif known == "learnt":
        call.learned.accepts_width(2)
    call.take_cached([0, 1], {**cached(call, 0, width=3), **cached(call, 1)})
    assert 0 in call.unresolved()
    assert call.outcome.usage.cached == 1


def test_where_no_width_is_known_the_first_cached_row_says_it():
    call = call_of(numbers(3), cache=MemoryCache())
    call.take_cached([0, 1, 2], {**cached(call, 0), **cached(call, 1, width=3), call.keys[2]: b""})
    assert call.unresolved() == [1, 2]


def test_what_is_cached_is_published_to_those_who_wait_for_it():
    registry = InFlightRegistry(lambda: 0.0)
    call, other = (call_of(["1"], cache=MemoryCache(), registry=registry) for _ in range(2))
    call.share.claim([0])
    other.share.claim([0])
    call.take_cached([0], cached(call, 0))
    assert other.adopt_shared(other.share.outcomes()) == []
    assert other.result().embeddings[0].tolist() == [1.0, 1.0]


# ------------------------------------------------------------------------------------------------- from other calls


def test_what_others_have_landed_is_taken_and_what_they_gave_up_is_left_to_send():
    call = call_of(numbers(3))
    assert call.adopt_shared({0: rows_of("1")[0], 2: None}) == [2]
    assert call.outcome.usage.shared == 1
    assert call.unresolved() == [1, 2]


def test_an_embedding_of_another_width_is_not_taken_from_another_call():
    call = call_of(numbers(2))
    land(call, 0)
    assert call.adopt_shared({1: rows_of("2", width=3)[0]}) == [1]


def test_a_failure_that_is_shared_names_the_callers_own_positions():
    call = call_of(["1", "2", "1"])
    call.adopt_shared({0: errors.RateLimitError("Rate limited.", positions=[7])})
    error = call.cause_to_raise()
    assert isinstance(error, errors.RateLimitError)
    assert error.positions == (0, 2)
    assert str(error) == "Another call had an equal input in flight, and it failed: Rate limited."


def test_inputs_that_others_give_up_out_of_turn_get_their_own_embeddings():
    """Four calls have one input each in flight and are cancelled out of turn: a fifth sends what they leave to it."""
    world = World(lambda world, request: (1.0, right_answer(request)), max_concurrency=8)
    embed(world, ["9"])
    owners = [world.call(world.embed([text]), start=world.now) for text in numbers(4)]
    waiting = world.call(world.embed(numbers(4)), start=world.now + 0.1)
    for turn, owner in enumerate([0, 2, 1, 3], start=2):
        world.do_at(world.now + 0.1 * turn, lambda owner=owner: world.cancel(owners[owner].runner))
    world.run()
    assert all_right(waiting.outcomes[0], numbers(4))
    assert world.requests[-1].inputs == numbers(4)


# -------------------------------------------------------------------------------------------------------------- ends


def test_progress_counts_the_callers_inputs():
    told: list[tuple[int, int]] = []
    call = call_of(["1", "2", "1"], on_progress=lambda done, of: told.append((done, of)))
    land(call, 0)
    call.report_done([0])
    land(call, 1)
    call.report_done([1])
    assert told == [(2, 3), (3, 3)]


def test_what_has_landed_and_is_not_stored_yet_is_not_told_of():
    """A process that is killed there pays for it again: whoever was told would miss it."""
    told: list[tuple[int, int]] = []
    call = call_of(["1", "2", "3"], on_progress=lambda done, of: told.append((done, of)))
    land(call, 0)
    land(call, 1, 2)
    call.report_done([1, 2])
    assert told == [(2, 3)]


def test_the_first_report_of_a_resumed_call_counts_what_was_paid_for_before():
    texts = ["1", "2", "3", "1"]
    before = call_of(texts)
    land(before, 0)
    told: list[tuple[int, int]] = []
    partial = before.partial(errors.InsufficientCreditsError("the end"))
    call = call_of(texts, resume=partial, on_progress=lambda done, of: told.append((done, of)))
    assert told == []
    land(call, 2)
    call.report_done([2])
    assert told == [(3, 4)]


def test_a_partial_result_forgets_no_input_and_blames_each_for_its_own_cause():
    call = call_of(["1", "2", "1", "3"])
    land(call, 0)
    own, end = errors.InvalidRequestError("this one"), errors.InsufficientCreditsError("the end")
    call.fail([1], own)
    partial = call.partial(end)
    assert partial.positions_done == (0, 2)
    assert partial.positions_failed == {1: own, 3: end}
    assert partial.embeddings[[0, 2], 0].tolist() == [1.0, 1.0]
    assert np.isnan(partial.embeddings[[1, 3]]).all()


def test_an_error_says_what_landed_and_how_to_go_on():
    call = call_of(["1", "2", "1"])
    error = call.with_partial(errors.InsufficientCreditsError("No credit."))
    assert str(error) == "No credit."
    land(call, 0)
    error = call.with_partial(errors.InsufficientCreditsError("No credit."))
    assert str(error) == (
        "No credit. 2 of 3 embeddings landed and are in .partial. Pass resume=error.partial to embed only the rest."
    )


def test_an_error_of_inputs_names_all_that_have_failed():
    call = call_of(numbers(4))
    failed = [errors.InvalidRequestError("no", positions=[position]) for position in (1, 3)]
    for member, error in zip((1, 3), failed, strict=True):
        call.fail([member], error)
    assert call.with_partial(failed[0]).positions == (1, 3)
    assert failed[0].positions == (1,), "the cause itself stays as it is"


@pytest.mark.parametrize(
    "other",
    [
        {"texts": ["1", "3"]},
        {"texts": ["2", "1"]},
        {"model": "openai/text-embedding-3-large"},
        {"input_type": "query", "query_input_type": "q"},
        {"document_prefix": "p: "},
        {"dimensions": 8},
    ],
    ids=["text", "order", "model", "input_type", "prefix", "width"],
)
def test_the_fingerprint_is_that_of_the_inputs_the_model_the_marking_and_the_width(other):
    own = call_of(["1", "2"]).fingerprint()
    assert own == call_of(["1", "2"], max_concurrency=1, cache=MemoryCache(), user="u").fingerprint()
    assert call_of(**{"texts": ["1", "2"], **other}).fingerprint() != own
