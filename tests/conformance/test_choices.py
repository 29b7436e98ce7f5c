"""What the user chose holds, in every framework: what is sent again, what is let through, what is counted."""

from __future__ import annotations

import asyncio
import threading

import numpy as np
import pytest

from openrouter_embeddings import (
    Client,
    ConfigurationError,
    InputError,
    InsufficientCreditsError,
    InvalidRequestError,
    ServerError,
    track_usage,
)

from .conftest import MODEL


def test_an_empty_text_becomes_zeros_where_that_is_chosen(make, gateway, sent, truth, texts):
    """The others are embedded, each in its place, and the empty one is not sent.

    Troubleshooting: a shift means that the empty text was dropped; a 400, that it was sent.
    """
    rows = make(on_empty="zero").embed_documents([texts[0], "", texts[1], ""])
    np.testing.assert_allclose(rows[[0, 2]], truth.rows(texts[:2]), atol=1e-6)
    assert not rows[[1, 3]].any()
    assert [one.body["input"] for one in sent()] == [texts[:2]]


def test_an_empty_query_becomes_zeros_where_that_is_chosen(make, sent):
    """The width is the one asked for, and there is no request.

    Troubleshooting: a request means that only lists are looked through.
    """
    row = make(on_empty="zero").embed_query("")
    assert row.shape == (64,)
    assert not row.any()
    assert sent() == []


def test_none_is_an_empty_text(kind, make, sent, truth, texts):
    """A table's empty cell is None, and `on_empty` decides about it: an error with its position, or zeros.

    Troubleshooting: "NoneType, not str" with `on_empty="zero"` means that an adapter checks types by itself.
    """
    with pytest.raises(InputError, match="Input 1 is") as caught:
        make().embed_documents([texts[0], None])
    assert caught.value.positions == (1,)
    assert sent() == []
    rows = make(on_empty="zero").embed_documents([texts[0], None])
    np.testing.assert_allclose(rows[:1], truth.rows(texts[:1]), atol=1e-6)
    assert not rows[1].any()


def test_an_arrow_array_of_strings_is_a_list_of_texts(kind, make, truth, texts):
    """A column of a table or a Parquet file goes in as it is.

    Troubleshooting: an error after the request was paid for means that the framework's events got something else than
    strings.
    """
    if kind.needs == "haystack":
        return  # it takes documents
    pa = pytest.importorskip("pyarrow")
    rows = make(on_empty="zero").embed_documents(pa.chunked_array([texts[:2], [None, texts[2]]]))
    np.testing.assert_allclose(rows[[0, 1, 3]], truth.rows(texts[:3]), atol=1e-6)
    assert not rows[2].any()


@pytest.mark.parametrize("option", ["on_error", "on_empty"])
def test_a_row_without_an_embedding_is_for_the_core_and_refused_elsewhere_with_the_reason(kind, make, sent, option):
    """Frameworks promise a list of floats for each text, and stores take no None.

    Troubleshooting: an adapter that takes it hands None, or NaN, to a store.
    """
    if kind.needs == "openrouter_embeddings":
        make(**{option: "null"})
        return
    with pytest.raises(ConfigurationError, match=f"{option}.* is not taken: .*(client|Client|raise_on_failure=False)"):
        make(**{option: "null"})
    assert sent() == []


@pytest.mark.parametrize("colour", ["sync", "async"])
def test_an_input_that_cannot_be_embedded_costs_its_own_row_where_that_is_chosen(gateway, sent, truth, texts, colour):
    """The gateway's refusal, a wrong type and an empty text are errors of their rows; the rest is paid for once.

    Troubleshooting: an exception means that the error of a row ends the call; a number in a missing row, that NaN or
    another's embedding got through.
    """
    gateway.trouble("status", status=400, only_if_contains=texts[2], times=None)
    client = Client(MODEL, dimensions=64, on_error="null", batch_size=4)
    given = [*texts[:5], 7, "", None, texts[2]]
    if colour == "sync":
        result = client.embed_documents(given)
    else:
        result = asyncio.run(client.as_async().embed_documents(given))
    assert list(result.errors) == [2, 5, 6, 7, 8]
    assert isinstance(result.errors[2], InvalidRequestError)
    assert {type(result.errors[at]) for at in (5, 6, 7)} == {InputError}
    good = [at for at in range(5) if at != 2]
    np.testing.assert_allclose(result.embeddings[good], truth.rows([texts[at] for at in good]), atol=1e-6)
    assert [row is None for row in result.tolist()] == result.missing.tolist()
    assert gateway.paid_inputs() == 4


def test_what_may_have_been_billed_is_left_alone_where_that_is_chosen(make, gateway, sent, texts):
    """`max_replays=0`: the caller decides about a second payment.

    Troubleshooting: a second request means that the option does not reach the core.
    """
    gateway.trouble("status", status=500)
    subject = make(max_replays=0)
    with pytest.raises(ServerError):
        subject.embed_documents(texts[:3])
    assert (len(sent()), subject.usage.replays) == (1, 0)


def test_what_may_have_been_billed_is_sent_again_as_often_as_is_chosen(make, gateway, sent, truth, texts):
    """`max_replays=3`: three answers are lost, the fourth is taken, and the usage says how often it was risked.

    Troubleshooting: an error means that the default of one replay is in force.
    """
    gateway.trouble("status", status=502, times=3)
    subject = make(max_replays=3)
    np.testing.assert_allclose(subject.embed_documents(texts[:3]), truth.rows(texts[:3]), atol=1e-6)
    assert (len(sent()), subject.usage.retries, subject.usage.replays) == (4, 3, 3)


def test_what_was_surely_not_billed_is_no_replay(make, gateway, truth, texts):
    """A 503 is sent again also with `max_replays=0`.

    Troubleshooting: an error means that every retry is taken for a replay.
    """
    gateway.trouble("status", status=503, retry_after=0.01)
    subject = make(max_replays=0)
    np.testing.assert_allclose(subject.embed_documents(texts[:3]), truth.rows(texts[:3]), atol=1e-6)
    assert (subject.usage.retries, subject.usage.replays) == (1, 0)


def test_the_gateways_own_cache_is_asked_for_where_that_is_chosen(make, sent, texts):
    """`server_cache=600` is two headers on every request; without it there is none.

    Troubleshooting: no header means that the option does not reach the core.
    """
    make(server_cache=600).embed_documents(texts[:2])
    make().embed_documents(texts[:2])
    asked = [{name: value for name, value in one.headers.items() if "openrouter-cache" in name} for one in sent()]
    assert asked == [{"x-openrouter-cache": "true", "x-openrouter-cache-ttl": "600"}, {}]


def test_what_the_gateway_keeps_is_not_charged_again(make, gateway, sent, texts):
    """The same request from another object is answered from there: the same bits, no tokens, no dollars.

    Troubleshooting: a second payment means that two objects do not send the same bytes.
    """
    first = make(server_cache=600).embed_documents(texts[:3])
    subject = make(server_cache=600)
    np.testing.assert_array_equal(subject.embed_documents(texts[:3]), first)
    assert (len(sent()), gateway.paid_inputs()) == (2, 3)
    assert (subject.usage.server_cached, subject.usage.total_tokens, subject.usage.cost) == (1, 0, 0.0)


def test_an_answer_that_was_lost_is_fetched_from_there(make, gateway, truth, texts):
    """The connection breaks while the answer travels: asking again costs nothing.

    Troubleshooting: six inputs paid mean that the second request differs from the first.
    """
    gateway.trouble("cut")
    subject = make(server_cache=600)
    np.testing.assert_allclose(subject.embed_documents(texts[:3]), truth.rows(texts[:3]), atol=1e-6)
    assert gateway.paid_inputs() == 3
    assert (subject.usage.requests, subject.usage.replays, subject.usage.server_cached) == (2, 1, 1)


def test_a_limiter_of_the_users_is_asked_for_each_request(kind, make, gateway, sent, texts):
    """`before_request=`: retries included, with the estimated tokens, in a thread where there is an event loop.

    Troubleshooting: fewer calls mean that it is asked once a call; a call on the loop's own thread would stop the loop.
    """
    if kind.needs == "haystack":
        return  # a component is saved, and a function cannot be
    asked = []
    gateway.trouble("status", status=503, retry_after=0.01)
    make(batch_size=10, before_request=lambda tokens: asked.append((tokens, threading.get_ident()))).embed_documents(
        texts
    )
    assert len(asked) == len(sent()) == 5
    assert all(tokens > 0 for tokens, _ in asked)
    if kind.is_async:
        assert threading.get_ident() not in {thread for _, thread in asked}


def test_a_limiter_that_is_shared_gives_a_lease_for_each_request_and_gets_each_back(
    kind, make, gateway, sent, truth, texts
):
    """`limiter=`: a refusal and what landed are told, and one request at a time leaves where there is one lease.

    Troubleshooting: more than one in flight means that a request does not wait for its lease; fewer outcomes than requests,
    that an attempt has none.
    """
    if kind.needs == "haystack":
        return  # a component is saved, and a limiter cannot be
    limiter = OneLease()
    gateway.trouble("status", status=503, retry_after=0.01)
    rows = make(batch_size=10, limiter=limiter).embed_documents(texts)
    np.testing.assert_allclose(rows, truth.rows(texts), atol=1e-6)
    assert gateway.max_in_flight() == 1
    assert limiter.kinds == ["refused", "landed", "landed", "landed", "landed"]
    assert len(sent()) == 5


class OneLease:
    """A limiter with one lease."""

    def __init__(self) -> None:
        self.kinds: list[str] = []
        self._is_out = False

    def acquire(self, requests, tokens):
        if self._is_out:
            return 0.01
        self._is_out = True
        return self

    def release(self, outcome):
        self._is_out = False
        self.kinds.append(outcome.kind)


def test_a_limiter_that_raises_ends_the_call(kind, make, sent, texts):
    """Its exception comes out as it is, and nothing is sent.

    Troubleshooting: an error of ours hides what the user's code says.
    """
    if kind.needs == "haystack":
        return  # see above
    with pytest.raises(ZeroDivisionError):
        make(before_request=lambda tokens: tokens / 0).embed_documents(texts)
    assert sent() == []


def test_a_width_that_is_ignored_is_cut_where_that_is_chosen(make, gateway, truth, texts):
    """The first numbers of a wider embedding, at unit length, where the family was trained for that.

    Troubleshooting: an error means that the option does not reach the core; rows of another length, that they were cut
    and not scaled.
    """
    gateway.trouble("ignore_dimensions", times=None)
    rows = make(dimensions_fallback=True).embed_documents(texts[:3])
    wide = truth.rows(texts[:3], dimensions=1536)[:, :64]
    np.testing.assert_allclose(rows, wide / np.linalg.norm(wide, axis=1, keepdims=True), atol=1e-6)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("max_replays", -1),
        ("server_cache", 0),
        ("server_cache", 86_401),
        ("on_empty", "skip"),
        ("on_too_long", "cut"),
        ("max_cost", -0.5),
        ("cache", 7),
    ],
)
def test_a_choice_there_is_not_is_refused(make, sent, option, value):
    """Each option is checked when the object is made.

    Troubleshooting: an object that is made all the same fails in the middle of an indexing run.
    """
    with pytest.raises(ConfigurationError, match=option):
        make(**{option: value})
    assert sent() == []


def test_a_block_counts_what_was_spent_in_it(make, gateway, texts):
    """Documents, queries, failures: the tracker has what the objects' own totals have.

    Troubleshooting: less means that work was handed to a thread or a task without its context.
    """
    subject = make(batch_size=4, max_concurrency=2)
    gateway.trouble("status", status=503, retry_after=0.01)
    with track_usage() as usage:
        subject.embed_documents(texts)
        subject.embed_query(texts[0])
        gateway.trouble("status", status=402, after=1, times=None)
        with pytest.raises(InsufficientCreditsError):
            subject.embed_documents(texts)
    assert usage.total == subject.usage
    assert usage.retries == 1
    gateway.reset()
    subject.embed_query(texts[1])
    assert usage.requests == subject.usage.requests - 1


def test_a_block_around_many_tasks_counts_them_all(make, texts):
    """Web servers and agents embed side by side, some of it in threads that carry the context.

    Troubleshooting: less means that a task counts for its own context only.
    """
    subject = make()

    async def one(text: str) -> None:
        answer = subject.query(text) if subject.is_async else asyncio.to_thread(subject.query, text)
        await answer

    async def many() -> int:
        with track_usage() as usage:
            await asyncio.gather(*map(one, texts[:5]))
        return usage.requests

    assert asyncio.run(many()) == subject.usage.requests == 5
