"""Laws 1 and 4. One embedding per input, in its place; an answer that breaks the contract is never taken for right."""

from __future__ import annotations

import numpy as np
import pytest

from openrouter_embeddings import EmbeddingError, ProviderUnavailableError, ResponseError

BROKEN = [
    "missing",
    "extra",
    "doubled_index",
    "some_index",
    "null_embedding",
    "null_number",
    "nan",
    "inf",
    "zero",
    "ragged",
    "odd_width",
    "wrong_width",
    "strings",
    "bad_base64",
    "html",
    "not_json",
    "empty_body",
]
"""Answers with status 200 that hold no right embedding for each input."""


def same(got, want):
    np.testing.assert_allclose(got, want, atol=1e-6)


@pytest.mark.parametrize("trouble", ["shuffled", "reversed", "no_index", "bom", "answer_floats"])
def test_embeddings_come_back_in_the_order_of_the_inputs(make, gateway, truth, texts, trouble):
    """An answer in another order, or in another clothing, is put right by `index`, without asking twice.

    Troubleshooting: rows in the order of the answer mean that `index` is not read. Two requests mean that an
    answer that only looks odd was taken for broken.
    """
    gateway.trouble(trouble, times=None)
    subject = make()
    same(subject.embed_documents(texts), truth.rows(texts))
    assert subject.usage.requests == 1


def test_batches_answered_out_of_turn_do_not_change_the_order(make, gateway, truth, texts):
    """Ten batches are in flight side by side and some are slow; each embedding is at its input's place.

    Troubleshooting: blocks of rows in wrong places mean that batches are joined as they land.
    """
    subject = make(batch_size=4)
    same(subject.embed_documents(texts[:4]), truth.rows(texts[:4]))
    gateway.trouble("slow", seconds=0.3, times=2)
    same(subject.embed_documents(texts), truth.rows(texts))


@pytest.mark.parametrize("trouble", BROKEN)
def test_a_broken_answer_is_replayed_once_and_then_right(make, gateway, sent, truth, texts, trouble):
    """A broken 200 may have been billed, so it is asked for once more, and what then comes is right.

    Troubleshooting: a wrong row means that a check is missing; more than two requests, that a class of trouble
    that may have been paid for is retried as if it were free.
    """
    gateway.trouble(trouble, times=1)
    subject = make(encoding_format="base64")
    same(subject.embed_documents(texts[:3]), truth.rows(texts[:3]))
    assert len(sent()) == 2
    assert subject.usage.retries == 1


@pytest.mark.parametrize("trouble", BROKEN)
def test_an_answer_that_stays_broken_is_an_error(make, gateway, sent, texts, trouble):
    """After one replay the call fails with `ResponseError` and hands out nothing.

    Troubleshooting: if a framework's own wrapper arrives instead, the adapter catches what it should let through.
    """
    gateway.trouble(trouble, times=None)
    encoding = "base64" if trouble == "bad_base64" else "float"
    with pytest.raises(ResponseError) as caught:
        make(encoding_format=encoding).embed_documents(texts[:3])
    assert len(sent()) == 2
    assert caught.value.partial.positions_done == ()
    assert np.isnan(caught.value.partial.embeddings).all()


def test_an_answer_without_data_is_an_error(make, gateway, sent, texts):
    """`data: []` with status 200 is what some providers answer to base64: floats are tried once, then it is an error.

    Troubleshooting: an empty list handed out means that the count is not compared with the inputs.
    """
    gateway.trouble("empty_data", times=None)
    with pytest.raises(ResponseError, match="held no embeddings for 3 inputs"):
        make().embed_documents(texts[:3])
    assert [one.body["encoding_format"] for one in sent()] == ["base64", "float", "float"]


def test_an_empty_answer_to_base64_is_asked_for_as_floats(make, gateway, sent, truth, texts):
    """Empty `data` only while base64 is asked: each time the call goes on with floats; two in a row teach the client.

    Troubleshooting: a fifth request means that the second one is forgotten, a third encoding of "float" that one stray
    answer is taken for the truth.
    """
    gateway.trouble("empty_base64", times=None)
    subject = make()
    for first in (0, 3, 6):
        same(subject.embed_documents(texts[first : first + 3]), truth.rows(texts[first : first + 3]))
    assert [one.body["encoding_format"] for one in sent()] == ["base64", "float", "base64", "float", "float"]


def test_one_empty_answer_to_base64_teaches_nothing(make, gateway, sent, truth, texts):
    """After a single stray answer the client asks like a fresh one.

    Troubleshooting: floats in the third request mean that one observation was taken for the truth.
    """
    gateway.trouble("empty_base64", times=1)
    subject = make()
    same(subject.embed_documents(texts[:3]), truth.rows(texts[:3]))
    same(subject.embed_documents(texts[3:6]), truth.rows(texts[3:6]))
    assert [one.body["encoding_format"] for one in sent()] == ["base64", "float", "base64"]


def test_an_error_in_a_200_is_read_as_what_it_is(make, gateway, sent, truth, texts):
    """Status 200 with `error` is an error, of the kind its own code says; it is replayed once where that may help.

    Troubleshooting: a `ResponseError` means that `error` is looked for only where the status is bad.
    """
    gateway.trouble("error_in_200", code=502, message="Provider returned error", times=1)
    subject = make()
    same(subject.embed_documents(texts[:3]), truth.rows(texts[:3]))
    gateway.trouble("error_in_200", code=502, message="Provider returned error", times=None)
    with pytest.raises(ProviderUnavailableError, match="Provider returned error") as caught:
        subject.embed_documents(texts[:3])
    assert caught.value.code == 502
    assert len(sent()) == 4


@pytest.mark.parametrize("trouble", ["cut", "reset"])
def test_a_connection_that_breaks_is_tried_once_more(make, gateway, sent, truth, texts, trouble):
    """A body cut in the middle may have been paid for: one replay, then the right embeddings, else an error.

    Troubleshooting: half an answer read as a whole one would be a `ResponseError` or wrong rows.
    """
    gateway.trouble(trouble, times=1)
    subject = make()
    same(subject.embed_documents(texts[:3]), truth.rows(texts[:3]))
    assert len(sent()) == 2
    gateway.trouble(trouble, times=None)
    with pytest.raises(EmbeddingError, match="broke before the answer was complete"):
        subject.embed_documents(texts[:3])
    assert len(sent()) == 4


def test_a_query_is_checked_like_a_document(make, gateway, truth, texts):
    """The one row of a query goes through the same checks.

    Troubleshooting: a vector of NaN from `embed_query` finds nothing and says nothing.
    """
    gateway.trouble("nan", times=1)
    same(make().embed_query(texts[0]), truth.rows(texts[:1])[0])
    gateway.trouble("nan", times=None)
    with pytest.raises(ResponseError, match="NaN"):
        make().embed_query(texts[0])


def test_a_redirect_is_never_followed(make, gateway, sent, texts):
    """The key and the texts go to the address that was configured and to no other.

    Troubleshooting: a second request means that the HTTP client follows redirects.
    """
    gateway.trouble("redirect", location="/api/v1/embeddings", times=None)
    with pytest.raises(ResponseError, match="redirects are not followed"):
        make().embed_documents(texts[:3])
    assert len(sent()) == 1
