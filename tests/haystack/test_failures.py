"""No hole is unnamed: what raises, with what at hand, and what comes out of the other output."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from haystack import Document

from openrouter_embeddings import (
    AuthenticationError,
    BudgetExceededError,
    InputError,
    InsufficientCreditsError,
    InvalidRequestError,
    ModelNotFoundError,
    PermissionDeniedError,
    RateLimitError,
)

POISON = "poison"


def documents(count: int) -> list[Document]:
    return [Document(id=f"id-{one}", content=f"text number {one}") for one in range(count)]


def test_one_bad_text_raises_names_its_document_and_holds_the_others(
    call: Any, documents_embedder: Any, gateway: Any
) -> None:
    gateway.trouble("refuse_text", contains=POISON, times=None)
    given = [*documents(30), Document(id="bad", content=POISON), *documents(60)[30:]]
    with pytest.raises(InvalidRequestError) as caught:
        call(documents_embedder(batch_size=16), documents=given)
    error: Any = caught.value
    assert error.positions == (30,)
    assert str(error).endswith(
        "60 of 61 embeddings landed and are in .partial. `documents` of this error, which is the `__cause__` of a"
        " pipeline's, holds those that have an embedding. With a cache= another run pays only for the rest."
        " Documents: 'bad'."
    )
    assert [one.content for one in error.documents] == [one.content for one in given if one.content != POISON]
    assert all(one.embedding for one in error.documents)
    assert list(error.partial.positions_failed) == [30]


def test_or_it_comes_out_of_the_other_output(call: Any, documents_embedder: Any, gateway: Any) -> None:
    gateway.trouble("refuse_text", contains=POISON, times=None)
    given = [*documents(30), Document(id="bad", content=POISON), *documents(60)[30:]]
    found = call(documents_embedder(batch_size=16, raise_on_failure=False), documents=given)
    assert len(found["documents"]) == 60
    assert all(one.embedding for one in found["documents"])
    assert found["failed_documents"] == [given[30]]
    assert found["meta"]["usage"]["requests"] == len(gateway.embedding_requests())
    (failed,) = found["meta"]["failed"]
    assert (failed["error"], failed["positions"], failed["ids"]) == ("InvalidRequestError", [30], ["bad"])
    assert "input 30 of 61" in failed["message"]
    assert POISON not in failed["message"]


def test_an_empty_document_fails_alone(call: Any, documents_embedder: Any, gateway: Any) -> None:
    given = [Document(content="a"), Document(id="none", content=""), Document(content="b")]
    found = call(documents_embedder(raise_on_failure=False), documents=given)
    assert [one.content for one in found["documents"]] == ["a", "b"]
    (failed,) = found["meta"]["failed"]
    assert (failed["error"], failed["positions"], failed["ids"]) == ("InputError", [1], ["none"])
    assert found["failed_documents"] == [given[1]]
    only = call(documents_embedder(raise_on_failure=False), documents=[Document(content="")])
    assert (only["documents"], len(only["failed_documents"])) == ([], 1)


def test_positions_messages_and_the_log_count_all_documents(
    call: Any, documents_embedder: Any, gateway: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Those that are refused before any request, of two kinds, and one that the gateway refuses behind them."""
    gateway.trouble("refuse_text", contains=POISON, times=None)
    texts = ["", "a", "\ud800", "b", "", POISON, "c"]
    given = [Document(id=f"id-{place}", content=text) for place, text in enumerate(texts)]
    with caplog.at_level(logging.WARNING):
        found = call(documents_embedder(raise_on_failure=False), documents=given)
    assert [one.content for one in found["documents"]] == ["a", "b", "c"]
    assert [one.id for one in found["failed_documents"]] == ["id-0", "id-2", "id-4", "id-5"]
    empty, surrogate, poison = found["meta"]["failed"]
    assert (empty["positions"], empty["message"][:23]) == ([0, 4], "Inputs 0 and 4 are empt")
    assert (surrogate["positions"], surrogate["message"][:7]) == ([2], "Input 2")
    assert (poison["positions"], "input 5 of 7" in poison["message"]) == ([5], True)
    (record,) = [record for record in caplog.records if record.name.startswith("haystack_integrations")]
    assert "4 of 7 documents have no embedding: InputError, InvalidRequestError." in record.getMessage()


def test_a_shortened_document_is_named_by_its_own_position(call: Any, documents_embedder: Any) -> None:
    long = " ".join(f"word{number}" for number in range(9000))  # the model takes 8,191 tokens
    given = [Document(content=text) for text in ("", "a", long)]
    found = call(documents_embedder(raise_on_failure=False, on_too_long="truncate"), documents=given)
    assert found["meta"]["shortened"] == [2]
    assert [cause["positions"] for cause in found["meta"]["failed"]] == [[0]]


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, AuthenticationError),
        (402, InsufficientCreditsError),
        (403, PermissionDeniedError),
        (404, ModelNotFoundError),
    ],
)
def test_what_no_document_is_to_blame_for_raises_whatever_was_chosen(
    call: Any, documents_embedder: Any, gateway: Any, status: int, error: type[Exception]
) -> None:
    """A pipeline that goes on would succeed with nothing written."""
    for raise_on_failure in (True, False):
        gateway.trouble("status", status=status, after=1, times=None)
        embedder = documents_embedder(raise_on_failure=raise_on_failure, batch_size=2, max_concurrency=1)
        with pytest.raises(error) as caught:
            call(embedder, documents=documents(6))
        assert [one.id for one in vars(caught.value)["documents"]] == ["id-0", "id-1"]
        assert "Documents: 'id-2' and 'id-3'." in str(caught.value)
        gateway.reset()


def test_a_cause_that_many_share_stands_once_with_all_their_ids(
    call: Any, documents_embedder: Any, gateway: Any
) -> None:
    gateway.trouble("status", status=429, retry_after=3600, times=None)
    given = documents(200)
    found = call(documents_embedder(raise_on_failure=False, retry_timeout=0.0), documents=given)
    (failed,) = found["meta"]["failed"]
    assert failed["error"] == RateLimitError.__name__
    assert failed["positions"] == list(range(200))
    assert failed["ids"] == [one.id for one in given]
    assert found["failed_documents"] == given


@pytest.mark.parametrize("trouble", ["refused", "too long"])
def test_documents_that_fail_alone_for_one_cause_are_one_cause(
    call: Any, documents_embedder: Any, gateway: Any, trouble: str
) -> None:
    """Each has an error of its own, with its own position in the message."""
    gateway.trouble("refuse_text", contains=POISON, times=None)
    long = " ".join(f"word{number}" for number in range(9000))  # the model takes 8,191 tokens
    given = documents(40)
    at = [3, 10, 11, 12, 39]
    for place in at:
        bad = f"{POISON} {place}" if trouble == "refused" else f"{long} {place}"
        given[place] = Document(id=f"id-{place}", content=bad)
    found = call(documents_embedder(batch_size=8, raise_on_failure=False), documents=given)
    (failed,) = found["meta"]["failed"]
    assert failed["error"] == ("InvalidRequestError" if trouble == "refused" else "InputTooLongError")
    assert (failed["positions"], failed["ids"]) == (at, [f"id-{place}" for place in at])
    assert "input 3 of 40" in failed["message"]


def test_what_a_provider_counts_and_numbers_makes_no_other_cause(
    call: Any, documents_embedder: Any, gateway: Any
) -> None:
    given = documents(9)
    for place, tokens in ((2, 9001), (5, 12345), (7, 8500)):
        given[place] = Document(id=f"id-{place}", content=f"long {tokens}")
        said = f"maximum context length is 8192 tokens, you asked for {tokens:,} (request req-{place}f)"
        gateway.trouble(
            "status",
            status=400,
            message=said,
            error_type="context_length_exceeded",
            only_if_contains=f"long {tokens}",
            times=None,
        )
    found = call(documents_embedder(raise_on_failure=False), documents=given)
    (failed,) = found["meta"]["failed"]
    assert (failed["positions"], failed["error"]) == ([2, 5, 7], "InputTooLongError")
    assert "you asked for 9,001" in failed["message"]


def test_causes_that_differ_in_their_words_or_their_status_stay_apart(
    call: Any, documents_embedder: Any, gateway: Any
) -> None:
    gateway.trouble("refuse_text", contains=POISON, times=None)
    gateway.trouble("refuse_text", contains="unprocessable", status=422, times=None)
    texts = [POISON, "", "unprocessable", f"{POISON} again", "\ud800", "unprocessable again", "fine"]
    given = [Document(id=f"id-{place}", content=text) for place, text in enumerate(texts)]
    found = call(documents_embedder(raise_on_failure=False), documents=given)
    assert [cause["positions"] for cause in found["meta"]["failed"]] == [[0, 3], [1], [2, 5], [4]]


@pytest.mark.parametrize("status", [401, 402, 403, 404])
def test_what_landed_before_a_run_raised_is_not_paid_again_whatever_was_chosen(
    call: Any, documents_embedder: Any, gateway: Any, status: int
) -> None:
    embedder = documents_embedder(raise_on_failure=False, batch_size=2, max_concurrency=1)
    given = [*documents(6), Document(id="empty", content="")]
    gateway.trouble("status", status=status, after=2, times=None)
    with pytest.raises(Exception, match=str(status)):
        call(embedder, documents=given)
    assert gateway.paid_inputs() == 4
    gateway.reset()
    found = call(embedder, documents=given)
    assert gateway.paid_inputs() == 2
    assert [one.id for one in found["documents"]] == [f"id-{place}" for place in range(6)]
    assert [one.id for one in found["failed_documents"]] == ["empty"]
    call(embedder, documents=given)
    assert gateway.paid_inputs() == 2 + 6


def test_an_error_names_a_few_of_many_ids(call: Any, documents_embedder: Any) -> None:
    given = [Document(id="x" * 100, content=""), *(Document(id=f"id-{one}", content="") for one in range(20))]
    with pytest.raises(InputError) as caught:
        call(documents_embedder(), documents=given)
    assert str(caught.value).endswith(
        f" Documents: '{'x' * 64}...', 'id-0', 'id-1', 'id-2', 'id-3', 'id-4', 'id-5', 'id-6' and 13 more."
    )


def dear(documents_embedder: Any, **options: Any) -> Any:
    """Return an embedder that may spend what two batches of three and a half cost."""
    price = documents_embedder().run(documents(3))["meta"]["usage"]["cost"]
    return documents_embedder(batch_size=3, max_concurrency=1, max_cost=2.5 * price, **options)


def test_the_limit_on_cost_raises_with_the_documents_that_landed(call: Any, documents_embedder: Any) -> None:
    with pytest.raises(BudgetExceededError) as caught:
        call(dear(documents_embedder), documents=documents(12))
    landed = vars(caught.value)["documents"]
    assert [one.content for one in landed] == [one.content for one in documents(6)]
    assert all(one.embedding for one in landed)


def test_the_limit_on_cost_returns_what_landed_where_that_is_chosen(call: Any, documents_embedder: Any) -> None:
    embedder = dear(documents_embedder, raise_on_failure=False)
    found = call(embedder, documents=documents(12))
    assert [one.id for one in found["documents"]] == [one.id for one in documents(6)]
    assert [one.id for one in found["failed_documents"]] == [one.id for one in documents(12)[6:]]
    assert {one["error"] for one in found["meta"]["failed"]} == {"BudgetExceededError"}
    assert 0 < found["meta"]["usage"]["cost"] <= embedder.max_cost


def test_documents_that_need_no_request_fail_with_no_run(call: Any, documents_embedder: Any) -> None:
    """Beside those that the limit on cost keeps back: an empty one that gets zeros, one that keeps its embedding."""
    kept = Document(id="kept", content="kept", embedding=[0.5, 0.5])
    given = [*documents(12), Document(id="empty", content=""), kept, Document(id="odd", content="\ud800")]
    embedder = dear(documents_embedder, raise_on_failure=False, on_empty="zero", skip_embedded=True)
    found = call(embedder, documents=given)
    assert [one.id for one in found["documents"]] == [*(one.id for one in documents(6)), "empty", "kept"]
    assert found["documents"][-1].embedding == [0.5, 0.5]
    assert not any(found["documents"][-2].embedding)
    assert [one.id for one in found["failed_documents"]] == [*(one.id for one in documents(12)[6:]), "odd"]
    with pytest.raises(BudgetExceededError) as caught:
        call(dear(documents_embedder, on_empty="zero", skip_embedded=True), documents=given[:-1])
    landed = vars(caught.value)["documents"]
    assert [one.id for one in landed] == [*(one.id for one in documents(6)), "empty", "kept"]
    assert landed[-1].embedding == [0.5, 0.5]
