"""One batch: what is sent, what each answer means for it, and when it is given up."""

from __future__ import annotations

import pytest

from openrouter_embeddings import errors
from openrouter_embeddings._flows.batches import Batch
from openrouter_embeddings._flows.delivery import NO_LONGER_FITS
from openrouter_embeddings._flows.effects import CallStopped, NotSent, NotSentReason, Send, Sleep
from openrouter_embeddings._limits import Load
from openrouter_embeddings._protocol import Remedy, Response, TransportFailure, TransportFault

from ...simulation.answers import numbers, refusal
from .worlds import Delivery, answered, call_of, delivery, request_of

PERHAPS_BILLED = {
    "cut": TransportFailure(TransportFault.CONNECTION_LOST),
    "late": TransportFailure(TransportFault.TIMED_OUT),
    "500": refusal(500),
    "502": refusal(502),
    "broken": Response(200, {}, b'{"data":[{"index":1,"embedding":[1.0]}]}'),
}
FINAL = [TransportFault.CERTIFICATE, TransportFault.HOST_NAME, TransportFault.NOT_TLS, TransportFault.TLS]
FINAL += [TransportFault.PROXY_AUTHENTICATION, TransportFault.PROXY_REFUSED]


# -------------------------------------------------------------------------------------------------------- the request


def test_a_request_may_take_what_the_options_say_and_hold_what_a_right_answer_needs():
    effect = delivery(3, timeout=7.0).effect
    assert (effect.timeout, effect.tokens, effect.urgent) == (7.0, 3, False)
    assert effect.max_bytes == 64 * 1024 * 1024
    assert delivery(200, batch_size=200).effect.max_bytes == 200 * 16_384 * 25
    assert delivery(200, batch_size=200, dimensions=1536).effect.max_bytes == 64 * 1024 * 1024
    assert Delivery(call_of(["1"], "query")).effect.urgent, "a query goes before bulk work"


def test_each_attempt_is_counted_when_it_leaves_though_no_answer_may_come():
    sent = delivery()
    request_of(sent.effect)
    assert sent.call.outcome.usage.requests == 1


def test_a_batch_that_is_larger_than_what_was_learnt_meanwhile_does_not_leave():
    sent = delivery(4)
    sent.call.learned.limit_named(2)
    assert sent.effect.build() is None
    found = sent.go_on(NotSent(NotSentReason.NO_LONGER_NEEDED))
    assert found is NO_LONGER_FITS
    assert found.remedy is Remedy.SPLIT
    assert sent.call.outcome.usage.requests == 0


def test_a_try_leaves_though_it_is_larger_than_what_is_known():
    call = call_of(numbers(4))
    call.learned.limit_named(2)
    assert request_of(Delivery(call, Batch(range(4), 4, is_a_try=True)).effect).inputs == numbers(4)


# ---------------------------------------------------------------------------------------------------- waiting, retries


def test_a_503_with_a_time_is_waited_for_and_sent_again():
    sent = delivery()
    again = sent.answer(refusal(503, retry_after="7"))
    assert isinstance(again, Send)
    assert again.wait_budget == 300.0
    assert sent.answer(waited=7.0) is None
    usage = sent.call.outcome.usage
    assert (usage.requests, usage.retries, usage.replays) == (2, 1, 0), "what was surely not billed is no replay"


def test_waiting_is_taken_off_the_wait_budget():
    sent = delivery(retry_timeout=10.0)
    assert sent.answer(refusal(429, retry_after="4"), waited=4.0).wait_budget == 6.0
    with pytest.raises(errors.RateLimitError) as caught:
        sent.answer(refusal(429, retry_after="6.5"))
    assert caught.value.retry_after == 6.5
    assert str(caught.value) == (
        "Rate limited (429) at openrouter: model 'openai/text-embedding-3-small', input 0 of 1, 2 attempts."
        " It says: 'no'. Lower max_concurrency or raise retry_timeout."
    )


@pytest.mark.parametrize("fault", PERHAPS_BILLED.values(), ids=PERHAPS_BILLED)
@pytest.mark.parametrize("max_replays", [0, 1, 3])
def test_what_may_have_been_billed_is_sent_again_as_often_as_allowed(fault, max_replays):
    sent = delivery(max_replays=max_replays)
    for _ in range(max_replays):
        assert isinstance(sent.answer(fault), Sleep)
        assert isinstance(sent.go_on(), Send)
    with pytest.raises(errors.EmbeddingError):
        sent.answer(fault)
    usage = sent.call.outcome.usage
    assert (usage.requests, usage.retries, usage.replays) == (max_replays + 1, max_replays, max_replays)


@pytest.mark.parametrize("fault", [TransportFault.REFUSED, TransportFault.DNS, TransportFault.CONNECT_TIMEOUT])
def test_a_gateway_that_has_answered_and_cannot_be_reached_is_waited_for_as_a_503_is(fault):
    sent = delivery(max_retries=0)
    sent.call.learned.reached = True
    for _ in range(20):
        _, feedback = sent.effect.read(TransportFailure(fault), 60.0)
        assert feedback.load is Load.UNAVAILABLE, "it opens the breaker"
        assert isinstance(sent.go_on(answered(sent.effect, TransportFailure(fault), waited=10.0)), Send)


def test_an_address_that_never_answered_is_given_up_soon():
    sent = delivery()
    refused = TransportFailure(TransportFault.REFUSED)
    assert sent.answer(refused).wait_budget == 10.0
    with pytest.raises(errors.ConnectionFailedError, match=r"The connection was refused at openrouter.*2 attempts"):
        sent.answer(refused, refused_for=11.0)


def test_an_answer_of_any_kind_shows_that_the_gateway_is_there():
    sent = delivery()
    sent.answer(refusal(503))
    assert sent.call.learned.reached


@pytest.mark.parametrize("fault", FINAL)
def test_what_no_waiting_can_cure_is_final_at_once_and_for_every_call(fault):
    sent = delivery()
    _, feedback = sent.effect.read(TransportFailure(fault), 60.0)
    assert feedback.ends_calls
    found = sent.answer(TransportFailure(fault))
    assert found.remedy is Remedy.NONE
    assert found.kind is errors.ConnectionFailedError
    assert sent.call.outcome.usage.requests == 1


@pytest.mark.parametrize(("status", "ends"), [(401, True), (402, True), (403, False), (404, False), (400, False)])
def test_what_every_other_request_would_meet_too_ends_them_all(status, ends):
    verdict, feedback = delivery().effect.read(refusal(status), 60.0)
    assert feedback.ends_calls is ends
    assert verdict.remedy in {Remedy.NONE, Remedy.ISOLATE}


def test_in_an_outage_nothing_is_replayed():
    with pytest.raises(errors.ServerError):
        delivery().answer(refusal(500), may_replay=False)


def test_an_outage_is_waited_out_once_a_batch_that_comes_late_tries_once():
    with pytest.raises(errors.ProviderUnavailableError):
        delivery(retry_timeout=30.0).answer(refusal(503), refused_for=31.0)


def test_a_pause_longer_than_the_wait_budget_is_not_begun():
    with pytest.raises(errors.ServerError):
        delivery(retry_timeout=0.1).answer(refusal(500))


# ------------------------------------------------------------------------------------------------------- not sent


def test_a_pause_that_is_stopped_ends_the_flow_without_an_error_of_its_own():
    sent = delivery()
    assert isinstance(sent.answer(refusal(500)), Sleep)
    with pytest.raises(CallStopped):
        sent.go_on(NotSentReason.CALL_STOPPED)


@pytest.mark.parametrize(
    ("reason", "kind", "words"),
    [
        (NotSent(NotSentReason.BREAKER_OPEN, retry_after=400.0), errors.RateLimitError, "Rate limited"),
        (NotSent(NotSentReason.OVER_BUDGET, spent=4.98), errors.BudgetExceededError, "4.98 USD spent"),
        (NotSent(NotSentReason.OUT_OF_TIME), errors.TimedOutError, r"The 9 s that the call may take \(call_timeout\)"),
        (NotSent(NotSentReason.CALL_STOPPED), CallStopped, None),
    ],
)
def test_what_may_not_leave_is_an_error_that_says_why(reason, kind, words):
    sent = delivery(call_timeout=9.0, max_cost=5.0)
    with pytest.raises(kind, match=words):
        sent.go_on(reason)


@pytest.mark.parametrize("reason", [NotSentReason.BREAKER_OPEN, NotSentReason.OUT_OF_TIME])
def test_a_batch_that_never_left_is_told_what_opened_the_breaker(reason):
    sent = delivery(call_timeout=9.0)
    _, feedback = sent.effect.read(refusal(503, retry_after="900"), 60.0)
    with pytest.raises(errors.ProviderUnavailableError) as caught:
        sent.go_on(NotSent(reason, retry_after=800.0, cause=feedback.cause))
    assert caught.value.retry_after == 800.0


def test_a_batch_that_waits_when_another_call_meets_a_402_meets_it_unsent():
    sent = delivery()
    _, feedback = sent.effect.read(refusal(402), 60.0)
    with pytest.raises(errors.InsufficientCreditsError, match="No credit left"):
        sent.go_on(NotSent(NotSentReason.ENDED_BY_OTHERS, cause=feedback.cause))
    assert sent.call.outcome.usage.requests == 0


def test_the_last_thing_that_went_wrong_is_what_a_batch_is_given_up_for():
    sent = delivery(call_timeout=9.0)
    sent.answer(refusal(503))
    with pytest.raises(errors.ProviderUnavailableError, match=r"^No provider is available .* The 9 s that the call"):
        sent.go_on(NotSent(NotSentReason.OUT_OF_TIME))
    assert sent.call.out_of_time


@pytest.mark.parametrize(("seconds", "cut_short"), [(60.0, False), (3.0, True)])
def test_an_exchange_that_the_calls_own_time_has_cut_short_is_marked(seconds, cut_short):
    sent = delivery()
    sent.effect.read(TransportFailure(TransportFault.TIMED_OUT), seconds)
    assert sent.call.out_of_time is cut_short
