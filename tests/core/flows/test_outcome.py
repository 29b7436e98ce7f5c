"""The account of a call, and the errors that name what happened, where, and the way out."""

from __future__ import annotations

import numpy as np

from openrouter_embeddings._flows.outcome import Outcome
from openrouter_embeddings._protocol import BatchResult, Diagnosis, ErrorBody, Remedy
from openrouter_embeddings.errors import InvalidRequestError, RateLimitError
from openrouter_embeddings.usage import Usage

from .worlds import call_of


def outcome(count=None, **options) -> Outcome:
    return Outcome(call_of(["1"], **options).settings, count)


def result(**named) -> BatchResult:
    return BatchResult(np.ones((1, 2), np.float32), Usage(prompt_tokens=3, cost=0.5), priced=True, **named)


def test_usage_is_a_sum_and_told_at_once():
    told: list[Usage] = []
    account = outcome(told.append)
    account.spend(Usage(requests=1))
    account.record(result())
    assert told == [Usage(requests=1), Usage(prompt_tokens=3, cost=0.5)]
    assert account.usage == Usage(requests=1, prompt_tokens=3, cost=0.5)


def test_who_served_is_named_once_and_in_order():
    account = outcome()
    assert account.model == "openai/text-embedding-3-small"
    for provider, generation in (("b", "g1"), ("a", "g2"), ("b", None)):
        account.record(result(provider=provider, generation_id=generation, model="served"))
    assert account.providers == ("b", "a")
    assert account.generation_ids == ["g1", "g2"]
    assert account.model == "served"


def test_what_a_call_within_this_one_has_spent_is_added_and_not_told_again():
    told: list[Usage] = []
    account, inner = outcome(told.append), outcome(told.append)
    inner.record(result(provider="p", generation_id="g", model="served"))
    account.add_account_of(inner)
    assert account.usage == inner.usage
    assert len(told) == 1
    assert (account.providers, account.generation_ids, account.model) == (("p",), ["g"], "served")


def test_an_error_names_what_happened_where_to_which_inputs_and_the_way_out():
    body = ErrorBody(status=429, message="slow down", code=429, provider="P", retryable=True)
    found = Diagnosis(RateLimitError, "Rate limited", "Wait.", Remedy.WAIT, retry_after=6.5, error_body=body)
    error = outcome().error(found, ["a", "b", "c"], [3, 4, 7], total=9, attempts=2)
    assert str(error) == (
        "Rate limited (429) at openrouter: model 'openai/text-embedding-3-small', inputs 3-4 and 7 of 9, 2 attempts."
        " It says: 'slow down'. Wait."
    )
    assert (error.status, error.code, error.provider, error.retry_after, error.retryable) == (429, 429, "P", 6.5, True)
    assert error.positions == (3, 4, 7)


def test_an_error_in_a_200_says_so_and_one_without_an_answer_names_no_status():
    body = ErrorBody(status=404, message="", in_200=True)
    found = Diagnosis(InvalidRequestError, "Refused", "Go.", Remedy.NONE, error_body=body)
    assert "Refused (404 inside a 200) at openrouter" in str(outcome().error(found, [], [0], total=1, attempts=1))
    bare = outcome().error(Diagnosis(InvalidRequestError, "Lost", "Go.", Remedy.NONE), [], [], total=1, attempts=1)
    assert str(bare).startswith("Lost at openrouter: ")
    assert "an input of another call, none of 1." in str(bare)


def test_an_error_names_the_host_where_it_is_not_the_gateways_own():
    found = Diagnosis(InvalidRequestError, "Refused", "Go.", Remedy.NONE)
    error = outcome(base_url="http://127.0.0.1:8088/v1").error(found, [], [0], total=1, attempts=1)
    assert "127.0.0.1:8088" in str(error)


def test_only_the_texts_that_were_sent_can_keep_the_gateways_words_from_being_shown():
    body = ErrorBody(status=400, message="a private sentence about nobody was refused")
    found = Diagnosis(InvalidRequestError, "Refused", "Go.", Remedy.NONE, error_body=body)
    sent, other = ["a private sentence about nobody"], ["another text altogether"]
    assert "private" not in str(outcome().error(found, sent, [0], total=2, attempts=1))
    assert "private" in str(outcome().error(found, other, [1], total=2, attempts=1))
