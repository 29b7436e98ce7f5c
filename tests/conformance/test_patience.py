"""Law 5. One budget of patience: waits that are told are kept, and after a fatal error no request leaves."""

from __future__ import annotations

import time
from email.utils import formatdate

import numpy as np
import pytest

from openrouter_embeddings import (
    AuthenticationError,
    InsufficientCreditsError,
    ModelNotFoundError,
    PermissionDeniedError,
    ProviderUnavailableError,
    RateLimitError,
)


def in_body(seconds):
    availability = {"code": "rate_limited", "retryable": True, "retry_after": seconds}
    return {"error": {"message": "Rate limited", "code": 429, "availability": availability}}


DIALECTS = {
    "retry-after-ms": (0.3, lambda: {"headers": {"retry-after-ms": "300"}}),
    "retry-after as a whole number": (1.0, lambda: {"retry_after": 1}),
    "retry-after as a float": (0.3, lambda: {"headers": {"retry-after": "0.3"}}),
    "retry-after as a date": (0.5, lambda: {"headers": {"retry-after": formatdate(time.time() + 2, usegmt=True)}}),
    "availability.retry_after": (0.3, lambda: {"body": in_body(0.3)}),
}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_429_is_waited_out_in_every_dialect(make, gateway, sent, truth, texts, dialect):
    """The next request leaves no sooner than told, not much later, and the call comes out right.

    Troubleshooting: a second request too soon means that this dialect is not read; a wait of many seconds that a
    back-off of the framework's or our own stands in its place. Three requests: two layers of retries.
    """
    told, options = DIALECTS[dialect]
    gateway.trouble("status", status=429, **options())
    subject = make()
    np.testing.assert_allclose(subject.embed_documents(texts[:3]), truth.rows(texts[:3]), atol=1e-6)
    first, second = sent()
    assert told <= second.started - first.ended + 0.02 < told + 3
    assert subject.usage.retries == 1


def test_one_429_holds_back_every_worker(make, gateway, sent, truth, texts):
    """Requests that were not refused themselves wait as well: the limit is the account's, not the batch's.

    Troubleshooting: requests between the refusal and its end mean that each worker has a patience of its own.
    """
    subject = make(batch_size=2)
    subject.embed_documents(texts[:2])  # from here on more than one may be in flight
    gateway.trouble("status", status=429, headers={"retry-after-ms": "500"}, after=2)
    np.testing.assert_allclose(subject.embed_documents(texts), truth.rows(texts), atol=1e-6)
    requests = sent()
    refused = next(one for one in requests if one.status == 429)
    late = [one for one in requests if refused.ended + 0.15 < one.started < refused.ended + 0.48]
    assert late == []
    assert len(requests) == 22


def test_a_429_that_does_not_end_is_an_error_within_the_patience(make, gateway, texts):
    """`retry_timeout` bounds the waiting of a batch; the error says what the gateway asked for.

    Troubleshooting: a test that hangs means that told waits count against nothing.
    """
    gateway.trouble("status", status=429, retry_after=0.2, times=None)
    started = time.monotonic()
    with pytest.raises(RateLimitError) as caught:
        make(retry_timeout=0.5).embed_documents(texts[:3])
    assert time.monotonic() - started < 3
    assert caught.value.retry_after == 0.2
    assert caught.value.retryable
    assert caught.value.status == 429


def test_a_wait_longer_than_the_patience_is_not_begun(make, gateway, sent, texts):
    """Told to wait an hour, the call fails at once and says so.

    Troubleshooting: a test that hangs means that the wait is begun before it is compared with what is left.
    """
    gateway.trouble("status", status=429, retry_after=3600, times=None)
    with pytest.raises(RateLimitError) as caught:
        make(retry_timeout=2.0).embed_documents(texts[:3])
    assert caught.value.retry_after == 3600
    assert len(sent()) == 1


@pytest.mark.parametrize("status", [503, 529])
def test_an_unavailable_provider_is_tried_again(make, gateway, sent, truth, texts, status):
    """Nothing was billed, so it is tried again within the patience.

    Troubleshooting: an error after one request means that the status is taken for final.
    """
    gateway.trouble("status", status=status, retry_after=0.1, times=2)
    subject = make()
    np.testing.assert_allclose(subject.embed_documents(texts[:3]), truth.rows(texts[:3]), atol=1e-6)
    assert len(sent()) == 3


@pytest.mark.parametrize("status", [500, 502])
def test_what_may_have_been_billed_is_replayed_once(make, gateway, sent, texts, status):
    """A gateway that failed while it worked may have been paid: one replay and no more.

    Troubleshooting: more than two requests cost the user money at every outage.
    """
    gateway.trouble("status", status=status, times=None)
    with pytest.raises(Exception, match="2 attempts") as caught:
        make().embed_documents(texts[:3])
    assert caught.value.status == status
    assert len(sent()) == 2


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, AuthenticationError),
        (402, InsufficientCreditsError),
        (403, PermissionDeniedError),
        (404, ModelNotFoundError),
    ],
)
@pytest.mark.parametrize("side", ["documents", "query"])
def test_what_is_ours_is_never_retried(make, gateway, sent, texts, status, error, side):
    """The request cannot come out otherwise, so it is sent once, and the error is named by its cause.

    Troubleshooting: another class means that the adapter or the framework wraps errors; two requests, that its own
    retries are left on.
    """
    gateway.trouble("status", status=status, times=None)
    subject = make()
    with pytest.raises(error) as caught:
        subject.embed_documents(texts[:3]) if side == "documents" else subject.embed_query(texts[0])
    assert caught.value.status == status
    assert not caught.value.retryable
    assert len(sent()) == 1


def test_after_a_402_in_the_middle_no_further_request_leaves(make, gateway, sent, truth, texts):
    """The credit ends after three batches of ten: the fourth is the last request, and what landed is kept.

    Troubleshooting: more than four requests mean that workers go on after the job has ended.
    """
    gateway.trouble("status", status=402, after=3, times=None)
    with pytest.raises(InsufficientCreditsError) as caught:
        make(batch_size=4, max_concurrency=1).embed_documents(texts)
    assert [one.status for one in sent()] == [200, 200, 200, 402]
    partial = caught.value.partial
    assert partial.positions_done == tuple(range(12))
    assert sorted(partial.positions_failed) == list(range(12, 40))
    np.testing.assert_allclose(partial.embeddings[:12], truth.rows(texts[:12]), atol=1e-6)


def test_after_a_402_only_what_is_in_flight_lands(make, gateway, sent):
    """The same with sixteen workers: nothing starts once the refusal has arrived.

    Troubleshooting: more refusals than there can be requests in flight were sent by workers that did not hear.
    """
    many = [f"text {number}" for number in range(400)]
    subject = make(batch_size=2)
    subject.embed_documents(many[:2])
    gateway.trouble("status", status=402, after=20, times=None)
    with pytest.raises(InsufficientCreditsError):
        subject.embed_documents(many)
    count = len(sent())
    assert count < 60
    assert len([one for one in sent() if one.status == 402]) <= 16
    time.sleep(0.2)
    assert len(sent()) == count


def test_a_provider_that_never_answers_in_time_is_an_error(make, gateway, sent, texts):
    """The whole exchange has one deadline; what timed out may have been billed and is replayed once.

    Troubleshooting: a test that hangs means that only connecting or single reads are timed.
    """
    from openrouter_embeddings import TimedOutError

    gateway.trouble("slow", seconds=1.0, times=None)
    with pytest.raises(TimedOutError):
        make(timeout=0.2).embed_documents(texts[:3])
    assert len(sent()) == 2


def test_the_error_of_an_outage_says_that_it_may_be_tried_again(make, gateway, texts):
    """`retryable`, `status`, `model` and `positions` are on the error, whichever framework carries it.

    Troubleshooting: attributes that are missing mean that the error was rebuilt from its text.
    """
    gateway.trouble("status", status=503, times=None, style="availability", code="provider_overloaded")
    with pytest.raises(ProviderUnavailableError) as caught:
        make(retry_timeout=0.01, max_retries=0).embed_documents(texts[:3])
    error = caught.value
    assert (error.status, error.retryable, error.positions) == (503, True, (0, 1, 2))
    assert error.model == "openai/text-embedding-3-small"
