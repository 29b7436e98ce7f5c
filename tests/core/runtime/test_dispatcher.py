"""The queue before the gateway: first come, first served, queries first, and nobody depends on one who stands still."""

from __future__ import annotations

import pytest

from openrouter_embeddings._flows import NotSent, NotSentReason
from openrouter_embeddings._limits import Feedback, Load, Permit
from openrouter_embeddings._runtime import CancelScope
from openrouter_embeddings._runtime.dispatcher import HEARTBEAT, MARGIN, Dispatcher
from openrouter_embeddings._runtime.lines import BULK_SHARE, START_SECONDS

from .doubles import LANDED, Bell, Clock, Waiting, limiter

REFUSED = Feedback(Load.UNAVAILABLE, retry_after=60.0, cause="an outage")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def make(clock: Clock):
    def made(maximum: int = 1, max_cost: float | None = None) -> Dispatcher:
        return Dispatcher(limiter(maximum, max_cost), clock=clock, jitter=lambda: 0.0)

    return made


@pytest.fixture
def paced(make) -> Dispatcher:
    """A queue with room for many, one a second, of which the first has just left."""
    dispatcher = make(8)
    dispatcher.limiter.pacer.interval = 1.0
    Waiting(dispatcher)
    return dispatcher


# --------------------------------------------------------------------------------------------------------------- the order


def test_permits_are_handed_over_first_come_first_served_and_no_newcomer_is_quicker(make):
    dispatcher = make()
    holder = Waiting(dispatcher)
    first, second = Waiting(dispatcher), Waiting(dispatcher)
    dispatcher.release(holder.permit, LANDED)
    assert (first.bell.rung, second.bell.rung) == (True, False)
    newcomer = Waiting(dispatcher)
    assert newcomer.outcome is None
    dispatcher.release(first.permit, LANDED)
    assert (second.bell.rung, newcomer.bell.rung) == (True, False)
    assert dispatcher.waiting == 1


def test_a_query_goes_before_all_the_bulk_work_that_waits(make):
    dispatcher = make()
    holder = Waiting(dispatcher)
    bulk = [Waiting(dispatcher) for _ in range(100)]
    query = Waiting(dispatcher, urgent=True)
    dispatcher.release(holder.permit, LANDED)
    assert query.bell.rung, "it waits for one request, not for a hundred"
    assert not any(request.bell.rung for request in bulk)


def test_however_many_queries_wait_bulk_work_gets_its_share(make):
    dispatcher = make()
    holder = Waiting(dispatcher)
    waiting = {"bulk": [Waiting(dispatcher) for _ in range(3)]}
    waiting["query"] = [Waiting(dispatcher, urgent=True) for _ in range(3 * BULK_SHARE)]
    dispatcher.release(holder.permit, LANDED)
    order = []
    for _ in range(3 * BULK_SHARE + 3):
        (kind,) = [kind for kind, requests in waiting.items() if requests and requests[0].bell.rung]
        order.append(kind)
        dispatcher.release(waiting[kind].pop(0).permit, LANDED)
    assert order == (["query"] * BULK_SHARE + ["bulk"]) * 3


def test_a_permit_that_comes_just_before_the_wait_begins_is_no_lost_wake_up(make):
    dispatcher = make()
    holder = Waiting(dispatcher)

    def make_bell() -> Bell:
        dispatcher.release(holder.permit, LANDED)  # in another thread, at the worst moment
        return Bell()

    scope = CancelScope(lambda: 0.0)
    acquiring = dispatcher.acquire(scope, make_bell, tokens=1, wait_budget=1.0, seconds=1.0, urgent=False)
    bell, _ = next(acquiring)
    assert bell.rung


# ------------------------------------------------------------------------------------------------------- those who give up


def test_a_permit_that_was_handed_to_a_task_that_ends_goes_to_the_next(make):
    dispatcher = make()
    holder = Waiting(dispatcher)
    first, second = Waiting(dispatcher), Waiting(dispatcher)
    dispatcher.release(holder.permit, LANDED)
    first.acquiring.close()
    assert second.bell.rung
    assert dispatcher.limiter.in_flight == 1


def test_a_permit_that_was_handed_to_a_cancelled_call_goes_to_the_next_when_it_is_given_back(make):
    dispatcher = make()
    holder = Waiting(dispatcher)
    first, second = Waiting(dispatcher), Waiting(dispatcher)
    dispatcher.release(holder.permit, LANDED)
    first.scope.cancel()
    dispatcher.release(first.permit, None)
    assert second.bell.rung


def test_a_cancelled_call_leaves_the_queue_and_wakes_no_one(make):
    dispatcher = make()
    Waiting(dispatcher)
    first, second, third = Waiting(dispatcher), Waiting(dispatcher), Waiting(dispatcher)
    first.scope.cancel()
    assert first.bell.rung
    first.go_on()
    assert first.outcome == NotSent(NotSentReason.CALL_STOPPED)
    second.acquiring.close()
    assert not third.bell.rung
    assert dispatcher.waiting == 1


# ---------------------------------------------------------------------------------------------------------------- the pace


def test_the_head_of_the_queue_waits_for_the_pace_and_wakes_the_next_when_it_leaves(paced, clock):
    first, second, third = Waiting(paced), Waiting(paced), Waiting(paced)
    assert [request.delay for request in (first, second, third)] == [1.0, HEARTBEAT, HEARTBEAT]
    clock.now = 1.0
    first.go_on()
    assert isinstance(first.outcome, Permit)
    assert (second.bell.rung, third.bell.rung) == (True, False)
    second.go_on()
    assert second.delay == 1.0


@pytest.mark.parametrize("way", ["cancelled", "ended"])
def test_a_request_that_waits_for_the_pace_and_gives_up_wakes_the_next(paced, way):
    first, second = Waiting(paced), Waiting(paced)
    if way == "cancelled":
        first.scope.cancel()
        first.go_on()
    else:
        first.acquiring.close()
    assert second.bell.rung
    second.go_on()
    assert second.delay == 1.0


def test_only_the_open_breaker_uses_up_the_wait_budget(paced, make, clock):
    request = Waiting(paced)
    clock.now = 1.0
    request.go_on()
    assert request.permit
    assert request.held == 0.0
    queue = make()
    holder, queued = Waiting(queue), Waiting(queue)
    clock.now = 100.0
    queued.go_on()
    queue.release(holder.permit, LANDED)
    assert queued.permit
    assert queued.held == 0.0


# ------------------------------------------------------------------------------------------------------------- the breaker


def test_a_request_that_the_breaker_holds_back_is_told_for_how_long(make, clock):
    dispatcher = make()
    dispatcher.release(Waiting(dispatcher).permit, Feedback(Load.UNAVAILABLE, retry_after=6.0))
    request = Waiting(dispatcher)
    assert request.delay == HEARTBEAT
    clock.now = 5.0
    request.go_on()
    assert request.delay == 1.0
    clock.now = 6.0
    request.go_on()
    assert request.permit.probe
    assert request.held == 6.0


def test_a_request_that_may_not_wait_so_long_is_told_what_opened_the_breaker(make):
    dispatcher = make()
    dispatcher.release(Waiting(dispatcher).permit, REFUSED)
    outcome = NotSent(NotSentReason.BREAKER_OPEN, retry_after=60.0, cause="an outage")
    assert Waiting(dispatcher).outcome == outcome
    assert Waiting(dispatcher, wait_budget=61.0).outcome is None


def test_when_the_breaker_opens_each_request_that_waits_may_have_to_give_up(make):
    dispatcher = make(2)
    holder = Waiting(dispatcher)
    Waiting(dispatcher)
    impatient, patient = Waiting(dispatcher), Waiting(dispatcher, wait_budget=100.0)
    dispatcher.release(holder.permit, REFUSED)
    assert impatient.bell.rung
    assert patient.bell.rung
    impatient.go_on()
    patient.go_on()
    assert isinstance(impatient.outcome, NotSent)
    assert patient.outcome is None


def test_what_an_answer_means_for_the_next_attempt(make, clock):
    dispatcher = make()
    permit = Waiting(dispatcher).permit
    assert dispatcher.release(permit, LANDED) == (False, True, 0.0)
    dispatcher.release(Waiting(dispatcher).permit, REFUSED)
    clock.now = 60.0
    assert dispatcher.release(Waiting(dispatcher).permit, REFUSED).refused_for == 60.0
    failing = make()
    for _ in range(50):
        released = failing.release(Waiting(failing).permit, Feedback(Load.FAILED))
    assert not released.may_replay


# -------------------------------------------------------------------------------------------------- what ends all, and time


def test_what_every_request_would_meet_ends_all_that_wait_and_none_that_come_later(make):
    """A 402 that ten calls side by side could meet is met once."""
    dispatcher = make()
    holder = Waiting(dispatcher)
    waiting = [Waiting(dispatcher, urgent=urgent) for urgent in (False, True) * 5]
    dispatcher.release(holder.permit, Feedback(Load.NEUTRAL, cause="no credit", ends_calls=True))
    for request in waiting:
        assert request.bell.rung
        request.go_on()
        assert request.outcome == NotSent(NotSentReason.ENDED_BY_OTHERS, cause="no credit")
    assert dispatcher.limiter.in_flight == 0
    assert Waiting(dispatcher).permit, "the key may have been charged meanwhile"


def test_what_would_pass_the_budget_is_not_sent_and_told_what_was_spent(make):
    dispatcher = make(max_cost=1.0)
    dispatcher.release(Waiting(dispatcher, tokens=10).permit, Feedback(Load.LANDED, cost=0.75))
    assert Waiting(dispatcher, tokens=10).outcome == NotSent(NotSentReason.OVER_BUDGET, spent=0.75)


def test_the_calls_own_time_runs_while_it_waits(make, clock):
    dispatcher = make()
    Waiting(dispatcher, seconds=100.0)
    request = Waiting(dispatcher, urgent=True, call_seconds=3.0)
    assert request.delay == 3.0
    clock.now = 3.0
    request.go_on()
    assert request.outcome == NotSent(NotSentReason.OUT_OF_TIME)


# ------------------------------------------------------------------------------------------------- those who stand still


def test_a_permit_that_is_not_taken_up_goes_to_the_next_and_its_request_stays_the_first_in_the_queue(make, clock):
    dispatcher = make()
    holder = Waiting(dispatcher)
    still, other, last = Waiting(dispatcher), Waiting(dispatcher), Waiting(dispatcher)
    dispatcher.release(holder.permit, LANDED)
    assert still.bell.rung  # but its loop does not run
    clock.now = START_SECONDS
    other.go_on()
    permit = other.permit
    still.go_on()
    assert still.outcome is None
    dispatcher.release(permit, LANDED)
    assert (still.bell.rung, last.bell.rung) == (True, False)
    assert still.permit.active


def test_a_permit_that_is_not_given_back_in_time_is_taken_back_by_whoever_waits(make, clock):
    """An event loop that stands still between two cells of a notebook holds up no thread."""
    dispatcher = make()
    still = Waiting(dispatcher, seconds=30.0).permit
    request = Waiting(dispatcher)
    clock.now = 30.0 + MARGIN - 0.1
    request.go_on()
    assert request.outcome is None
    clock.now = 30.0 + MARGIN
    request.go_on()
    assert request.permit
    assert not still.active
    dispatcher.release(still, REFUSED)
    assert dispatcher.limiter.breaker.open_until is None, "what it says later is not heard"
    assert dispatcher.limiter.in_flight == 1


# ---------------------------------------------------------------------------------------------- before a limiter of the user's


@pytest.fixture
def asking(clock: Clock) -> Dispatcher:
    """A queue of requests that ask a limiter of the user's before they leave."""
    return Dispatcher(limiter(4), clock=clock, jitter=lambda: 0.0, asks=True)


def test_one_request_of_each_line_asks_at_a_time_and_the_next_once_it_leaves(asking):
    first, second, query, other = (Waiting(asking, urgent=urgent) for urgent in (False, False, True, True))
    assert (first.permit.active, query.permit.active) == (True, True)
    assert (second.outcome, other.outcome) == (None, None)
    assert asking.leave(first.permit, 30.0)
    assert (second.bell.rung, other.bell.rung) == (False, False), "a query that waits goes first"
    assert asking.leave(query.permit, 30.0)
    assert other.bell.rung
    assert asking.leave(other.permit, 30.0)
    assert second.bell.rung


def test_a_request_that_is_put_back_stays_the_first_and_holds_up_no_query(asking, clock):
    first, second = Waiting(asking), Waiting(asking)
    asking.put_back(first.permit, 60.0, urgent=False)
    again = Waiting(asking, goes_first=True)
    assert asking.limiter.in_flight == 0
    assert again.delay == HEARTBEAT
    query = Waiting(asking, urgent=True)
    assert asking.leave(query.permit, 30.0)
    clock.now = 57.0
    again.go_on()
    assert again.delay == 3.0
    clock.now = 60.0
    second.go_on()
    assert second.outcome is None
    again.go_on()
    assert again.permit.active
    assert again.held == 0.0, "the limiter's wait is our own pace"


def test_bulk_work_does_not_overtake_a_query_that_is_told_to_wait(asking, clock):
    query = Waiting(asking, urgent=True)
    asking.put_back(query.permit, 3.0, urgent=True)
    again, bulk = Waiting(asking, urgent=True, goes_first=True), Waiting(asking)
    assert bulk.outcome is None
    clock.now = 3.0
    again.go_on()
    assert asking.leave(again.permit, 30.0)
    assert bulk.bell.rung


def test_the_permit_of_a_request_that_asks_and_moves_is_not_revoked_and_of_one_that_stands_still_is(asking, clock):
    request, other = Waiting(asking), Waiting(asking)
    for _ in range(100):
        clock.now += HEARTBEAT
        asking.renew(request.permit)
        other.go_on()
        assert other.outcome is None
    for _ in range(2):
        clock.now += HEARTBEAT
        other.go_on()
    assert other.permit.active
    assert not asking.leave(request.permit, 30.0)


def test_a_request_may_not_leave_once_the_breaker_has_opened_unless_it_is_the_probe(asking, clock):
    request, refused = Waiting(asking), Waiting(asking, urgent=True)
    assert asking.leave(refused.permit, 30.0)
    asking.release(refused.permit, REFUSED)
    assert not asking.leave(request.permit, 30.0)
    asking.release(request.permit, None)
    clock.now = 60.0
    probe = Waiting(asking, wait_budget=100.0)
    assert probe.permit.probe
    assert asking.leave(probe.permit, 30.0)


def test_the_pace_counts_what_leaves_and_not_what_asks(asking, clock):
    asking.limiter.pacer.interval = 10.0
    request = Waiting(asking)
    asking.put_back(request.permit, 1.0, urgent=False)
    clock.now = 1.0
    again = Waiting(asking, goes_first=True)
    assert asking.leave(again.permit, 30.0)
    assert Waiting(asking).delay == HEARTBEAT
    assert asking.limiter.obstacle(1.0).until == 11.0


def test_a_forked_child_has_an_empty_queue_and_nothing_in_flight(make):
    dispatcher = make()
    Waiting(dispatcher)
    waiting = Waiting(dispatcher)
    dispatcher.after_fork()
    assert dispatcher.waiting == 0
    assert Waiting(dispatcher).permit
    waiting.acquiring.close()
    assert dispatcher.waiting == 0
