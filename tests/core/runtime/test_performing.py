"""What a flow asks for becomes steps for a driver; everything but the wait itself is decided here."""

from __future__ import annotations

from typing import Any

import pytest

from openrouter_embeddings._flows import (
    AwaitShared,
    CacheGet,
    CachePut,
    Fetch,
    Gather,
    InFlightRegistry,
    NotSent,
    NotSentReason,
    Sent,
    Sleep,
)
from openrouter_embeddings._limits import Feedback, Load
from openrouter_embeddings._protocol import Response
from openrouter_embeddings._runtime.dispatcher import MARGIN
from openrouter_embeddings._runtime.performing import perform
from openrouter_embeddings._runtime.steps import Block, Exchange, RunBeside, StartBeside, Wait
from openrouter_embeddings.errors import ServerError

from .doubles import LANDED, URL, Bell, Cache, Claiming, Clock, Performed, runtime, scope_of, to_send

ANSWER = Response(200, {}, b"answer")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def run(clock):
    return runtime(clock=clock)


# -------------------------------------------------------------------------------------------------------------- to send


def test_a_request_is_exchanged_and_its_answer_read(run):
    seen = []
    effect = to_send(read=lambda answer, seconds: (seen.append((answer, seconds)) or "verdict", LANDED))
    done = Performed(effect, run)
    assert done.step == Exchange(URL, b"body", 1000, 30.0)
    assert done.step.keyed
    done.go_on(ANSWER)
    assert done.result == Sent("verdict", 0.0)
    assert seen == [(ANSWER, 30.0)]
    assert run.dispatcher.limiter.in_flight == 0


def test_without_a_permit_it_waits_and_neither_builds_a_body_nor_starts_another_worker(run):
    """Twenty-five calls at once start no thread that would only wait."""
    built = []
    effect = to_send(build=lambda: built.append("body") or b"body", start_beside=lambda: built.append("worker"))
    holder = Performed(to_send(), run)
    waiting = Performed(effect, run)
    assert isinstance(waiting.step, Wait)
    assert built == []
    holder.go_on(ANSWER)
    assert waiting.step.waiter.rung
    waiting.go_on()
    assert isinstance(waiting.step, Exchange)
    assert built == ["worker", "body"]


def test_when_it_leaves_another_worker_is_started_beside_it(run):
    other = iter(())
    done = Performed(to_send(start_beside=lambda: other), run)
    assert done.step == StartBeside(other)
    assert isinstance(done.go_on().step, Exchange)


def test_a_request_that_is_no_longer_needed_gives_its_permit_back(run):
    assert Performed(to_send(build=lambda: None), run).result == NotSent(NotSentReason.NO_LONGER_NEEDED)
    assert run.dispatcher.limiter.in_flight == 0


def test_a_request_of_a_cancelled_call_is_not_sent(run):
    scope = scope_of(run)
    scope.cancel()
    assert Performed(to_send(), run, scope).result == NotSent(NotSentReason.CALL_STOPPED)
    assert run.dispatcher.limiter.in_flight == 0


def test_a_request_of_a_call_whose_time_is_over_is_not_sent(run, clock):
    scope = scope_of(run, 5.0)
    clock.now = 5.0
    assert Performed(to_send(), run, scope).result == NotSent(NotSentReason.OUT_OF_TIME)
    assert run.dispatcher.limiter.in_flight == 0


def test_an_exchange_gets_no_more_time_than_its_call_has(run, clock):
    scope = scope_of(run, 20.0)
    clock.now = 8.0
    seen = []
    done = Performed(to_send(read=lambda answer, seconds: (seen.append(seconds), LANDED)), run, scope)
    assert done.step.seconds == 12.0
    done.go_on(ANSWER)
    assert seen == [12.0]


def test_the_time_for_which_the_breaker_held_it_back_is_told(run, clock):
    Performed(to_send(read=lambda *_: ("no", Feedback(Load.UNAVAILABLE, retry_after=4.0))), run).go_on(ANSWER)
    done = Performed(to_send(), run)
    assert done.step.seconds == 4.0
    clock.now = 4.0
    assert isinstance(done.go_on().step, Exchange)
    assert done.go_on(ANSWER).result == Sent(b"answer", 4.0)


def test_what_ends_calls_cancels_its_own_before_its_permit_is_free(run):
    """A 402 is met once: no other worker of the call takes the permit to meet it again."""
    no_credit = Feedback(Load.NEUTRAL, cause="no credit", ends_calls=True)
    scope = scope_of(run)
    first = Performed(to_send(read=lambda *_: ("402", no_credit)), run, scope)
    own, foreign = Performed(to_send(), run, scope), Performed(to_send(), run)
    first.go_on(ANSWER)
    assert first.result.verdict == "402"
    assert scope.cancelled
    for worker in (own, foreign):
        assert worker.go_on().result == NotSent(NotSentReason.ENDED_BY_OTHERS, cause="no credit")


@pytest.mark.parametrize("error", [KeyboardInterrupt, GeneratorExit, ZeroDivisionError])
def test_an_exchange_that_is_interrupted_gives_its_permit_back_and_teaches_nothing(run, error):
    done = Performed(to_send(), run)
    with pytest.raises(error):
        done.fail(error())
    assert run.dispatcher.limiter.in_flight == 0
    assert run.dispatcher.limiter.breaker.open_until is None
    assert done.closed


def test_what_building_or_reading_raises_is_the_flows_to_handle(run):
    def broken(*_: Any) -> Any:
        raise ZeroDivisionError

    def flow(effect: Any) -> Any:
        try:
            yield effect
        except ZeroDivisionError:
            return "handled"

    for effect in (to_send(build=broken), to_send(start_beside=broken)):
        with pytest.raises(StopIteration, match="handled"):
            next(perform(flow(effect), run, scope_of(run), Bell))
    steps = perform(flow(to_send(read=broken)), run, scope_of(run), Bell)
    next(steps)
    with pytest.raises(StopIteration, match="handled"):
        steps.send(ANSWER)
    assert run.dispatcher.limiter.in_flight == 0


def test_while_it_waits_for_an_answer_it_has_promised_to_move(run, clock):
    owner, other = (run.registry.join("kind", ["text"]) for _ in range(2))
    owner.claim([0])
    other.claim([0])
    Performed(to_send(), run, scope_of(run, share=owner))
    assert other.seconds_until_stall() == 30.0 + MARGIN


# ------------------------------------------------------------------------------------------------ pages, cache, gatherings


@pytest.mark.parametrize("keyed", [True, False])
def test_a_page_is_fetched_without_a_permit(run, keyed):
    Performed(to_send(), run)
    done = Performed(Fetch("http://gateway.test/models", keyed, 30.0), run, scope_of(run, 12.0))
    assert done.step == Exchange("http://gateway.test/models", None, 64 * 2**20, 12.0, keyed)
    assert done.go_on(ANSWER).result is ANSWER


def test_the_cache_is_asked_where_blocking_harms_nobody(clock):
    run = runtime(clock=clock, cache=(cache := Cache()))
    put = Performed(CachePut({b"key": b"row"}), run)
    assert isinstance(put.step, Block)
    assert cache.rows == {}
    put.step.work()
    get = Performed(CacheGet([b"key", b"other"]), run)
    assert get.go_on(get.step.work()).result == {b"key": b"row"}


def test_a_request_claims_its_keys_once_it_has_a_permit_and_leaves():
    run = runtime(cache=(cache := Claiming()))
    sent = Performed(to_send(keys=[b"key"]), run, scope := scope_of(run))
    assert isinstance(sent.step, Block)
    sent.go_on(sent.step.work())
    assert isinstance(sent.step, Exchange)
    assert (cache.claimed, scope.claimed) == ([b"key"], {b"key"})
    assert run.dispatcher.limiter.in_flight == 1


@pytest.mark.parametrize("why", ["another has claimed it", "it is stored by now"])
def test_a_request_for_what_another_process_pays_for_does_not_leave(why):
    run = runtime(cache=(cache := Claiming()))
    if why == "it is stored by now":
        cache.rows[b"key"] = b"row"
    else:
        cache.claim = lambda keys, seconds: []
    sent = Performed(to_send(keys=[b"key", b"other"]), run)
    sent.go_on(sent.step.work())
    assert sent.result == NotSent(NotSentReason.CLAIMED_ELSEWHERE)
    assert run.dispatcher.limiter.in_flight == 0


def test_a_request_whose_call_was_cancelled_while_it_claimed_does_not_leave():
    run = runtime(cache=(cache := Claiming()))
    sent = Performed(to_send(keys=[b"key"]), run, scope := scope_of(run))
    scope.cancel()
    sent.go_on(sent.step.work())
    assert sent.result == NotSent(NotSentReason.CALL_STOPPED)
    assert cache.given_up == [b"key"]


def test_a_cache_without_claims_holds_no_request_up(run):
    assert isinstance(Performed(to_send(keys=[b"key"]), run).step, Exchange)


def test_flows_that_are_gathered_are_the_drivers_to_run(run):
    flows = [iter(()), iter(())]
    done = Performed(Gather(flows), run)
    assert done.step == RunBeside(flows)
    assert done.go_on(["results"]).result == ["results"]


def test_a_flow_whose_driver_gives_up_is_closed(run):
    done = Performed(Sleep(5.0), run)
    done.steps.close()
    assert done.closed


# --------------------------------------------------------------------------------------------------------------- to wait


def test_a_pause_takes_its_time(run):
    done = Performed(Sleep(5.0), run)
    assert done.step.seconds == 5.0
    assert done.go_on().over
    assert done.result is None


def test_a_pause_ends_when_the_call_is_cancelled(run):
    done = Performed(Sleep(5.0), run)
    done.scope.cancel()
    assert done.step.waiter.rung
    assert done.go_on().result is NotSentReason.CALL_STOPPED


def test_a_pause_ends_with_the_time_of_the_call(run):
    done = Performed(Sleep(5.0), run, scope_of(run, 3.0))
    assert done.step.seconds == 3.0
    assert done.go_on().result is NotSentReason.OUT_OF_TIME


@pytest.fixture
def shares(run):
    """An owner of one text, and another call that waits for it."""
    registry: InFlightRegistry = run.registry
    owner, other = registry.join("kind", ["text"]), registry.join("kind", ["text"])
    owner.claim([0])
    owner.will_move_within(20.0)
    assert other.claim([0]) == []
    return owner, other


def test_a_call_that_shares_a_request_is_woken_with_its_outcome(run, shares):
    owner, other = shares
    done = Performed(AwaitShared(other, 60.0), run)
    assert not done.step.waiter.rung
    cause = ServerError("down")
    owner.abandon([0], {0: cause})
    assert done.step.waiter.rung
    assert done.go_on().result == {0: cause}


def test_a_call_waits_for_one_that_stands_still_until_it_should_have_moved_and_no_longer(run, shares, clock):
    """Or a thread would hang for ever on an event loop that nobody runs."""
    done = Performed(AwaitShared(shares[1], 60.0), run)
    assert done.step.seconds == pytest.approx(20.01)
    clock.now = 20.01
    assert done.go_on().result == {0: None}
    assert shares[1].claim([0]) == [0]


def test_an_owner_that_moves_is_waited_for_again_for_no_longer_than_allowed(run, shares, clock):
    done = Performed(AwaitShared(shares[1], 60.0), run)
    clock.now = 20.01
    shares[0].will_move_within(100.0)
    assert done.go_on().step.seconds == pytest.approx(60.0 - 20.01)
    clock.now = 60.0
    assert done.go_on().result == {0: None}


def test_waiting_for_others_ends_when_the_call_is_cancelled_or_out_of_time(run, shares, clock):
    scope = scope_of(run, 10.0)
    done = Performed(AwaitShared(shares[1], 60.0), run, scope)
    assert done.step.seconds == 10.0
    clock.now = 10.0
    assert done.go_on().result is NotSentReason.OUT_OF_TIME
    done = Performed(AwaitShared(shares[1], 60.0), run)
    done.scope.cancel()
    assert done.go_on().result is NotSentReason.CALL_STOPPED
