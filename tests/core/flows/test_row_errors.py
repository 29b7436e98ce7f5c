"""`on_error="null"`: an input that cannot be embedded costs its own row, and what ends a job is raised still."""

from __future__ import annotations

import numpy as np
import pytest

from openrouter_embeddings import Content, ImagePart, InputError, InvalidRequestError, MemoryCache, errors

from ...simulation.answers import answer_with, numbers, refusal, right_answer, vector
from ...simulation.world import World
from .worlds import call_of, embed, faultless

VISION = "nvidia/llama-nemotron-embed-vl-1b-v2:free"
ENDS = [
    (401, errors.AuthenticationError),
    (402, errors.InsufficientCreditsError),
    (403, errors.PermissionDeniedError),
    (503, errors.ProviderUnavailableError),
]


def refusing(*bad: str):
    """Return a gateway that refuses some texts."""

    def gateway(world, request):
        refused = set(bad) & set(request.inputs)
        return 0.01, refusal(400, "an input was refused") if refused else right_answer(request)

    return gateway


def test_each_input_that_cannot_be_embedded_costs_its_own_row_and_no_other():
    texts = ["1", "2", "", "3", 7, "2", "4\ud800", None, "1", [1], "5"]
    world = World(refusing("2"), on_error="null", batch_size=3)
    result = embed(world, texts)
    assert list(result.errors) == [1, 2, 4, 5, 6, 7, 9]
    assert result.missing_positions == (1, 2, 4, 5, 6, 7, 9)
    assert {type(result.errors[at]) for at in (2, 4, 6, 7, 9)} == {InputError}
    assert result.errors[1] is result.errors[5], "the same text failed once"
    assert isinstance(result.errors[1], InvalidRequestError)
    assert result.errors[1].positions == (1, 5)
    assert result.errors[9].positions == (9,)
    rows = result.tolist()
    assert [rows[at] for at in (0, 3, 8, 10)] == [vector(text) for text in "1315"]
    assert [rows[at] for at in result.missing_positions] == [None] * 7
    assert np.isnan(result.embeddings[result.missing]).all()
    assert result.usage.deduplicated == 2
    paid = [text for request in world.requests if request.billed for text in request.inputs]
    assert sorted(paid) == ["1", "3", "5"]


def test_a_hundred_bad_texts_in_ten_thousand_cost_a_hundred_rows_and_nothing_is_paid_twice():
    texts = numbers(10_000)
    bad = set(texts[::100])
    world = World(refusing(*bad), on_error="null", batch_size=256)
    result = embed(world, texts)
    assert {texts[position] for position in result.errors} == bad
    assert result.missing.sum() == 100
    good = [(row, text) for row, text in zip(result.tolist(), texts, strict=True) if text not in bad]
    assert all(row == vector(text) for row, text in good)
    paid = [text for request in world.requests if request.billed for text in request.inputs]
    assert len(paid) == len(set(paid)) == 9_900


def test_without_a_failure_nothing_is_missing():
    result = embed(World(faultless, on_error="null"), numbers(9))
    assert (dict(result.errors), result.missing_positions, result.missing.any()) == ({}, (), False)


def test_where_every_input_fails_the_rows_are_as_wide_as_is_known():
    assert embed(World(refusing("1"), on_error="null", dimensions=2), ["1"]).embeddings.shape == (1, 2)
    result = call_of([7, ""], model="new/model", on_error="null").result()
    assert (result.embeddings.shape, list(result.errors), result.tolist()) == ((2, 0), [0, 1], [None, None])
    assert call_of([], on_error="null").result().embeddings.shape == (0, 0)


def test_nothing_is_sent_where_no_input_can_be():
    world = World(faultless, on_error="null")
    assert list(embed(world, [7, "", None]).errors) == [0, 1, 2]
    assert world.requests == []


@pytest.mark.parametrize(("status", "kind"), ENDS)
def test_what_ends_a_job_is_raised_with_what_landed_and_each_row_keeps_its_own_cause(status, kind):
    def gateway(world, request):
        return 0.01, right_answer(request) if "1" in request.inputs else refusal(status)

    world = World(gateway, on_error="null", batch_size=1, max_concurrency=1, retry_timeout=1.0, max_retries=0)
    with pytest.raises(kind) as caught:
        embed(world, ["1", 7, "2", "3"])
    partial = caught.value.partial
    assert partial.positions_done == (0,)
    assert sorted(partial.positions_failed) == [1, 2, 3]
    assert isinstance(partial.positions_failed[1], InputError)
    assert isinstance(partial.positions_failed[3], kind)
    assert partial.fingerprint == call_of(["1", 7, "2", "3"], on_error="null").fingerprint()


def test_the_budget_and_the_calls_time_end_a_job_too():
    with pytest.raises(errors.BudgetExceededError):
        embed(World(faultless, on_error="null", batch_size=1, max_concurrency=1, max_cost=1e-6), numbers(9))
    late = World(lambda world, request: (30.0, right_answer(request)), on_error="null", call_timeout=1.0)
    with pytest.raises(errors.TimedOutError):
        embed(late, ["1"])


def test_a_request_that_is_at_fault_itself_is_no_matter_of_rows():
    world = World(lambda world, request: (0.01, refusal(400, "no such parameter")), on_error="null")
    with pytest.raises(InvalidRequestError):
        embed(world, numbers(20))


def test_an_outage_that_another_call_has_met_is_raised():
    world = World(lambda world, request: (1.0, refusal(503)), on_error="null", retry_timeout=0.0, max_retries=0)
    first = world.call(world.embed(["1"]))
    second = world.call(world.embed([7, "1"]), start=0.5)
    world.run()
    assert isinstance(first.outcomes[0], errors.ProviderUnavailableError)
    error = second.outcomes[0]
    assert isinstance(error, errors.ProviderUnavailableError)
    assert error.positions == (1,)
    assert isinstance(error.partial.positions_failed[0], InputError)


def test_failed_rows_are_never_cached_and_a_second_call_asks_for_them_alone():
    cache = MemoryCache()
    world = World(refusing("2"), on_error="null", cache=cache)
    assert list(embed(world, ["1", "2", "3", 7]).errors) == [1, 3]
    world.requests.clear()
    assert list(embed(world, ["1", "2", "3", 7]).errors) == [1, 3]
    assert [request.inputs for request in world.requests] == [["2"]]


def test_what_was_resumed_is_not_paid_for_again_and_rows_fail_as_before():
    def gateway(world, request):
        return 0.01, refusal(402) if "3" in request.inputs else right_answer(request)

    how = {"on_error": "null", "on_empty": "null", "batch_size": 1, "max_concurrency": 1}
    given = ["1", 7, "", "2", "3"]
    with pytest.raises(errors.InsufficientCreditsError) as caught:
        embed(World(gateway, **how), given)
    partial = caught.value.partial
    assert (partial.positions_done, sorted(partial.positions_failed)) == ((0, 3), [1, 4])
    world = World(faultless, **how)
    result = embed(world, given, resume=partial)
    assert (list(result.errors), result.missing_positions) == ([1], (1, 2))
    assert [request.inputs for request in world.requests] == [["3"]]


def test_content_that_the_model_does_not_take_costs_its_row():
    sound = Content.of(ImagePart("https://example.org/a.png"))
    call = call_of(["1", sound, "1"], on_error="null")
    assert call.unresolved() == [0]
    assert call.inputs.items == ["1", None]
    assert "takes no image" in str(call.failures[1])
    seen = call_of(["1", sound, 7, ""], model=VISION, on_error="null", on_empty="null")
    assert (seen.unresolved(), list(seen.failures)) == ([0, 1], [2])


# -------------------------------------------------------------------------------------------------------- empty inputs


@pytest.mark.parametrize("on_error", ["raise", "null"])
def test_an_empty_text_or_none_may_have_no_embedding_and_no_error(on_error):
    world = World(faultless, on_empty="null", on_error=on_error)
    result = embed(world, ["1", "", None, "2"])
    assert (dict(result.errors), result.missing_positions) == ({}, (1, 2))
    assert result.tolist() == [vector("1"), None, None, vector("2")]
    assert [request.inputs for request in world.requests] == [["1", "2"]]
    alone = embed(world, ["", None])
    assert (alone.embeddings.shape, alone.missing_positions) == ((2, 2), (0, 1))


def test_none_gets_zeros_as_an_empty_text_does():
    assert embed(World(faultless, on_empty="zero"), ["1", None]).tolist() == [vector("1"), [0.0, 0.0]]


def test_zeros_of_no_known_width_are_an_error_of_their_rows():
    call = call_of(["", 7, None], model="new/model", on_empty="zero", on_error="null")
    result = call.result()
    assert list(result.errors) == [0, 1, 2]
    assert "Set dimensions" in str(result.errors[0])


@pytest.mark.parametrize("landed", [True, False])
def test_an_empty_text_did_not_fail_when_its_call_did(landed):
    def gateway(world, request):
        return 0.01, right_answer(request) if landed and "1" in request.inputs else refusal(402)

    world = World(gateway, on_empty="zero", batch_size=1, max_concurrency=1)
    with pytest.raises(errors.InsufficientCreditsError) as caught:
        embed(world, ["", "1", None, "2"])
    partial = caught.value.partial
    assert partial.positions_done == ((0, 1, 2) if landed else (0, 2))
    assert sorted(partial.positions_failed) == ([3] if landed else [1, 3])
    assert ("1 of 4 embeddings landed" in str(caught.value)) is landed
    assert not partial.embeddings[[0, 2]].any()
    world = World(faultless, on_empty="zero")
    assert embed(world, ["", "1", None, "2"], resume=partial).tolist() == [
        [0.0] * 2,
        vector("1"),
        [0.0] * 2,
        vector("2"),
    ]


# --------------------------------------------------------------------------------------------------- texts too long


def at_most(length: int, after: int = 10**9, status: int = 402):
    """Return a gateway that refuses longer texts, and everything after so many requests."""

    def gateway(world, request):
        if len(world.requests) > after:
            return 0.01, refusal(status)
        if any(len(text) > length for text in request.inputs):
            return 0.01, refusal(400, "maximum context length exceeded")
        rows = [{"index": index, "embedding": [float(len(text)), 1.0]} for index, text in enumerate(request.inputs)]
        return 0.01, answer_with(request, rows)

    return gateway


@pytest.mark.parametrize("choice", ["error", "truncate", "average"])
def test_a_text_of_which_no_piece_is_taken_costs_its_row(choice):
    result = embed(World(at_most(4), on_error="null", on_too_long=choice), ["a", "b" * 99, "c"])
    assert list(result.errors) == [1]
    assert isinstance(result.errors[1], errors.InputTooLongError)
    assert result.errors[1].positions == (1,)


@pytest.mark.parametrize("choice", ["truncate", "average"])
@pytest.mark.parametrize("on_error", ["raise", "null"])
def test_what_ends_a_job_in_the_middle_of_the_pieces_is_raised(choice, on_error):
    world = World(at_most(50, after=3), on_error=on_error, on_too_long=choice, batch_size=1, max_concurrency=1)
    with pytest.raises(errors.InsufficientCreditsError) as caught:
        embed(world, ["a", "b" * 99, "c"])
    assert caught.value.partial is not None
    assert 1 in caught.value.partial.positions_failed
