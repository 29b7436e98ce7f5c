"""A request, its permit and its lease, step by step: first the permit, then the lease, then the clock."""

from __future__ import annotations

from typing import Any

import pytest

from openrouter_embeddings import LeaseOutcome, LimiterWarning
from openrouter_embeddings._flows import NotSent, NotSentReason, Sent
from openrouter_embeddings._limits import Feedback, Load
from openrouter_embeddings._protocol import Response
from openrouter_embeddings._runtime.dispatcher import HEARTBEAT, MARGIN
from openrouter_embeddings._runtime.steps import Begin, Exchange, Wait

from .doubles import Clock, Performed, runtime, scope_of, to_send

ANSWER = Response(200, {}, b"answer")


class Limiter:
    """Gives leases, or what it is told to give."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.outcomes: list[LeaseOutcome] = []

    def acquire(self, requests: int, tokens: int) -> Any:
        return self.answers.pop(0) if self.answers else self

    def release(self, outcome: LeaseOutcome) -> None:
        self.outcomes.append(outcome)

    @property
    def kinds(self) -> list[str]:
        return [outcome.kind for outcome in self.outcomes]


def go(done: Performed) -> Performed:
    """Do what is to be begun until something else is to be done."""
    while isinstance(done.step, Begin):
        done.step.call.run()
        done.go_on()
    return done


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def limiter() -> Limiter:
    return Limiter()


@pytest.fixture
def run(clock, limiter):
    return runtime(clock=clock, shared_limiter=limiter)


def test_the_clock_of_an_attempt_starts_when_the_lease_is_there(run, limiter, clock):
    done = Performed(to_send(), run)
    assert isinstance(done.step, Begin)
    call = done.step.call
    done.go_on()
    for _ in range(60):
        assert isinstance(done.step, Wait)
        assert done.step.seconds == HEARTBEAT
        clock.now += HEARTBEAT
        done.go_on()
    call.run()
    assert done.step.waiter.rung
    assert done.go_on().step == Exchange("http://gateway.test/v1/embeddings", b"body", 1000, 30.0)
    done.go_on(ANSWER)
    assert go(done).result == Sent(b"answer", 0.0), "nothing counts against the wait budget"
    assert limiter.kinds == ["landed"]
    assert run.dispatcher.limiter.in_flight == 0


def test_the_lease_is_back_before_the_permit_is_free(run, limiter):
    first, second = go(Performed(to_send(), run)), Performed(to_send(), run)
    first.go_on(ANSWER)
    assert isinstance(first.step, Begin)
    assert not second.step.waiter.rung
    go(first)
    assert limiter.kinds == ["landed"]
    assert second.step.waiter.rung


def test_a_request_that_is_told_to_wait_gives_its_permit_back_and_asks_again(run, limiter, clock):
    limiter.answers = [7.0]
    done = go(Performed(to_send(), run))
    assert (done.step.seconds, run.dispatcher.limiter.in_flight) == (HEARTBEAT, 0)
    clock.now = HEARTBEAT
    assert done.go_on().step.seconds == 7.0 - HEARTBEAT
    clock.now = 7.0
    assert isinstance(go(done.go_on()).step, Exchange)


def test_a_lease_that_comes_after_the_breaker_has_opened_is_not_used_and_the_request_waits(clock, limiter):
    run = runtime(clock=clock, shared_limiter=limiter, maximum=2)
    refusing = to_send(read=lambda *_: ("no", Feedback(Load.UNAVAILABLE, retry_after=4.0)), urgent=True)
    refused, asking = go(Performed(refusing, run)), Performed(to_send(), run)
    go(refused.go_on(ANSWER))
    go(asking)
    assert isinstance(asking.step, Wait)
    assert limiter.kinds == ["refused", "unused"]
    assert limiter.outcomes[0].retry_after == 4.0
    clock.now = 4.0
    go(asking.go_on())
    assert isinstance(asking.step, Exchange)
    assert go(asking.go_on(ANSWER)).result == Sent(b"answer", 4.0)


@pytest.mark.parametrize("way", ["cancelled", "out of time"])
def test_a_call_that_is_over_while_it_asks_waits_no_longer_and_the_lease_is_released_when_it_comes(
    run, limiter, clock, way
):
    done = Performed(to_send(), run, scope_of(run, 3.0))
    call = done.step.call
    assert done.go_on().step.seconds == 3.0
    if way == "cancelled":
        done.scope.cancel()
        assert done.step.waiter.rung
    clock.now = 3.0 if way == "out of time" else 0.0
    reason = NotSentReason.OUT_OF_TIME if way == "out of time" else NotSentReason.CALL_STOPPED
    assert done.go_on().result == NotSent(reason)
    assert run.dispatcher.limiter.in_flight == 0
    call.run()
    assert limiter.kinds == ["unused"]


def test_a_call_that_is_over_when_the_lease_comes_releases_it_unused(run, limiter):
    done = Performed(to_send(), run)
    done.scope.cancel()
    assert go(done).result == NotSent(NotSentReason.CALL_STOPPED)
    assert limiter.kinds == ["unused"]


def test_a_request_that_is_no_longer_needed_or_cannot_be_built_releases_its_lease_unused(run, limiter):
    assert go(Performed(to_send(build=lambda: None), run)).result == NotSent(NotSentReason.NO_LONGER_NEEDED)
    with pytest.raises(ZeroDivisionError):
        go(Performed(to_send(build=lambda: 1 / 0), run))
    assert limiter.kinds == ["unused", "unused"]
    assert run.dispatcher.limiter.in_flight == 0


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
def test_an_exchange_that_is_interrupted_releases_its_lease_as_failed_and_waits_for_that(run, limiter, error):
    done = go(Performed(to_send(), run))
    done.step = done.steps.throw(error())
    with pytest.raises(error):
        go(done)
    assert limiter.kinds == ["failed"]
    assert run.dispatcher.limiter.in_flight == 0


def test_steps_that_nobody_goes_on_with_release_their_lease_at_once(run, limiter):
    go(Performed(to_send(), run)).steps.close()
    assert limiter.kinds == ["failed"]
    asking = Performed(to_send(), run)
    call = asking.step.call
    asking.steps.close()
    call.run()
    assert limiter.kinds == ["failed", "unused"]
    assert run.dispatcher.limiter.in_flight == 0


def test_where_no_loop_runs_any_more_a_lease_is_released_all_the_same(run, limiter):
    done = go(Performed(to_send(), run))
    done.go_on(ANSWER)
    assert isinstance(done.step, Begin)
    with pytest.raises(StopIteration):
        done.steps.throw(RuntimeError("no running event loop"))
    assert limiter.kinds == ["landed"]


def test_what_the_limiter_raises_is_the_flows_to_handle_and_the_permit_is_free(run, limiter):
    limiter.acquire = lambda requests, tokens: 1 / 0
    with pytest.raises(ZeroDivisionError):
        go(Performed(to_send(), run))
    assert run.dispatcher.limiter.in_flight == 0


@pytest.mark.parametrize(
    ("feedback", "told"),
    [
        (Feedback(Load.LANDED, cost=0.5, tokens=9), LeaseOutcome(kind="landed", cost=0.5, tokens=9)),
        (Feedback(Load.REFUSED, retry_after=3.0), LeaseOutcome(kind="refused", retry_after=3.0)),
        (Feedback(Load.UNAVAILABLE), LeaseOutcome(kind="refused")),
        (Feedback(Load.FAILED), LeaseOutcome(kind="failed")),
        (Feedback(Load.NEUTRAL), LeaseOutcome(kind="failed")),
    ],
)
def test_the_limiter_is_told_what_the_answer_means(run, limiter, feedback, told):
    done = go(Performed(to_send(read=lambda *_: ("read", feedback)), run))
    go(done.go_on(ANSWER))
    assert limiter.outcomes == [told]


def test_a_release_is_waited_for_and_not_for_ever(run, limiter):
    done = go(Performed(to_send(), run)).go_on(ANSWER)
    call = done.step.call
    assert done.go_on().step.seconds == 5.0
    call.run()
    assert done.step.waiter.rung
    done.go_on()
    assert done.over
    late = go(Performed(to_send(), run)).go_on(ANSWER)
    late.go_on().go_on()
    assert late.over


def test_trouble_with_a_release_is_told_once_and_ends_nothing(run, limiter):
    limiter.release = lambda outcome: 1 / 0
    first, second = go(Performed(to_send(), run)), to_send()
    with pytest.warns(LimiterWarning, match=r"could not take a lease back \(ZeroDivisionError\)"):
        go(first.go_on(ANSWER))
    assert first.result.verdict == b"answer"
    assert go(go(Performed(second, run)).go_on(ANSWER)).result.verdict == b"answer"


def test_while_it_asks_it_has_promised_to_move(run, clock):
    owner, other = (run.registry.join("kind", ["text"]) for _ in range(2))
    owner.claim([0])
    other.claim([0])
    done = Performed(to_send(), run, scope_of(run, share=owner))
    done.go_on()
    assert other.seconds_until_stall() == HEARTBEAT + MARGIN
