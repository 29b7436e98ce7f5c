"""Laws 6, 7 and 8. Nothing paid is lost or paid twice; one bad input harms no other; usage is a sum."""

from __future__ import annotations

import numpy as np
import pytest

from openrouter_embeddings import BudgetExceededError, InsufficientCreditsError, InvalidRequestError


def test_one_bad_text_among_a_thousand_harms_no_other(make, gateway):
    """Each of the other 999 is embedded, paid once, and rides on the error, which names the one.

    Troubleshooting: fewer positions done mean that a refused batch is given up whole; more than 999 inputs paid, that
    halves which landed are sent again.
    """
    many = [f"text number {number}" for number in range(1000)]
    many[617] = "this one holds poison"
    gateway.trouble("refuse_text", contains="poison", times=None)
    with pytest.raises(InvalidRequestError) as caught:
        make().embed_documents(many)
    error = caught.value
    assert error.positions == (617,)
    assert list(error.partial.positions_failed) == [617]
    assert len(error.partial.positions_done) == 999
    landed = np.isfinite(error.partial.embeddings).all(axis=1)
    assert np.flatnonzero(~landed).tolist() == [617]
    assert gateway.paid_inputs() == 999


def test_what_landed_before_the_error_is_in_its_place(make, gateway, truth, texts):
    """The rows on `error.partial` are the right ones, also around a culprit.

    Troubleshooting: wrong rows mean that halves are put back in another order.
    """
    bad = [*texts[:20], "poison", *texts[20:]]
    gateway.trouble("refuse_text", contains="poison", times=None)
    with pytest.raises(InvalidRequestError) as caught:
        make().embed_documents(bad)
    rows = caught.value.partial.embeddings
    np.testing.assert_allclose(np.delete(rows, 20, axis=0), truth.rows(texts), atol=1e-6)
    assert np.isnan(rows[20]).all()


def test_a_batch_that_is_too_large_is_split_and_the_limit_learnt(make, gateway, sent, truth, texts):
    """The first call finds out how many inputs the upstream takes; the next one sends no batch that is refused.

    Troubleshooting: a refusal in the second call means that what was learnt dies with the call.
    """
    gateway.trouble("refuse_batch", limit=10, times=None)
    subject = make()
    np.testing.assert_allclose(subject.embed_documents(texts), truth.rows(texts), atol=1e-6)
    assert gateway.paid_inputs() == len(texts)
    refused = sum(one.status != 200 for one in sent())
    assert 1 <= refused <= 3
    np.testing.assert_allclose(subject.embed_documents(texts[::-1]), truth.rows(texts[::-1]), atol=1e-6)
    assert sum(one.status != 200 for one in sent()) == refused


def test_base64_that_is_refused_in_words_is_not_asked_for_again(make, gateway, sent, truth, texts):
    """A 400 about the encoding leads to floats, once, and the client remembers.

    Troubleshooting: a fourth request means that the encoding is forgotten; an error, that the 400 was taken for final.
    """
    gateway.trouble("refuse_base64", times=None)
    subject = make()
    np.testing.assert_allclose(subject.embed_documents(texts[:3]), truth.rows(texts[:3]), atol=1e-6)
    np.testing.assert_allclose(subject.embed_documents(texts[3:6]), truth.rows(texts[3:6]), atol=1e-6)
    assert [one.body["encoding_format"] for one in sent()] == ["base64", "float", "float"]


def test_equal_texts_are_sent_once(make, gateway, sent, truth, texts):
    """Doubles cost nothing, and each position has its embedding.

    Troubleshooting: more inputs paid mean that doubles travel; a shape with fewer rows, that they were dropped.
    """
    subject = make()
    got = subject.embed_documents([texts[0], texts[1], texts[0], texts[2], texts[1], texts[0]])
    np.testing.assert_allclose(got, truth.rows([texts[at] for at in (0, 1, 0, 2, 1, 0)]), atol=1e-6)
    assert gateway.paid_inputs() == 3
    assert subject.usage.deduplicated == 3
    assert len(sent()) == 1


def test_usage_and_cost_are_a_sum(make, gateway, sent, truth, texts):
    """Tokens and dollars add up over batches, splits, retries and sides, each paid input once.

    Troubleshooting: too little means that a batch's usage is dropped; too much, that refused attempts are counted as
    paid.
    """
    subject = make(batch_size=8)
    gateway.trouble("refuse_batch", limit=5, times=1)
    subject.embed_documents(texts)
    gateway.trouble("status", status=429, retry_after=0.05)
    subject.embed_query(texts[0])
    usage = subject.usage
    paid = [*texts, texts[0]]
    assert usage.prompt_tokens == usage.total_tokens == truth.tokens(paid)
    assert usage.cost == pytest.approx(truth.cost(paid))
    assert usage.requests == len(sent())
    assert usage.retries == 1


def test_usage_counts_what_a_failed_call_has_spent(make, gateway, truth, texts):
    """What landed before an error was paid for and is counted, on the subject and on the error.

    Troubleshooting: zero means that only calls which come back are added up.
    """
    gateway.trouble("status", status=402, after=3, times=None)
    subject = make(batch_size=4, max_concurrency=1)
    with pytest.raises(InsufficientCreditsError) as caught:
        subject.embed_documents(texts)
    assert caught.value.partial.usage.total_tokens == truth.tokens(texts[:12])
    assert subject.usage == caught.value.partial.usage


def test_an_answer_without_usage_is_still_right(make, gateway, truth, texts):
    """Some upstreams report nothing: the embeddings count, the usage is what is known.

    Troubleshooting: an error means that bookkeeping stands in the way of the result.
    """
    gateway.trouble("no_usage", times=None)
    subject = make()
    np.testing.assert_allclose(subject.embed_documents(texts[:3]), truth.rows(texts[:3]), atol=1e-6)
    assert (subject.usage.total_tokens, subject.usage.requests) == (0, 1)


def test_max_cost_stops_before_it_is_passed(make, gateway, sent, truth, texts):
    """No request starts that would pass the limit; what landed before is kept and within it.

    Troubleshooting: a cost above the limit means that it is looked at after the batch and not before.
    """
    most = truth.cost(texts[:14])
    subject = make(batch_size=4, max_concurrency=1, max_cost=most)
    with pytest.raises(BudgetExceededError) as caught:
        subject.embed_documents(texts)
    assert 0 < subject.usage.cost <= most
    assert len(caught.value.partial.positions_done) == 4 * len(sent())
    count = len(sent())
    with pytest.raises(BudgetExceededError):
        subject.embed_documents(texts)
    assert len(sent()) == count
