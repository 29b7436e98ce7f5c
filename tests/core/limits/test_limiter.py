"""The limiter: breaker, concurrency, pace and money decide together, and no clock is needed to see it."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openrouter_embeddings._limits import Feedback, Load, OverBudget, Permit, TrafficLimiter, Wait

from .traffic import FAILED, LANDED, a_round, acquire, alone, fill, land_a_round, ready, refused, release, unavailable

# ------------------------------------------------------------------------------------------------------- the first answer


def test_until_an_answer_landed_only_one_request_is_in_flight():
    limiter = TrafficLimiter(maximum=16)
    first = acquire(limiter)
    assert limiter.acquire(0.0, 1, seconds=9.0) == Wait(2.0, paced=True)
    release(limiter, first)
    assert limiter.limit(0.0) == 4


def test_a_gateway_that_does_not_answer_keeps_the_others_back_for_two_seconds_and_no_longer():
    """The queue behind the first request has a bound: it must not run out of time for one that hangs."""
    limiter = TrafficLimiter(maximum=16)
    acquire(limiter, now=10.0)
    assert limiter.obstacle(11.9) == Wait(12.0, paced=True)
    assert limiter.obstacle(12.0) is None
    assert limiter.limit(12.0) == 4
    assert not Wait(12.0, paced=True).refused, "which uses up nobody's wait budget"


@pytest.mark.parametrize(
    ("feedback", "at_once"), [(LANDED, 4), (FAILED, 4), (Feedback(Load.NEUTRAL), 1), (refused(), 1)]
)
def test_an_answer_or_a_failure_ends_the_time_of_one_request(feedback, at_once):
    limiter = TrafficLimiter(maximum=16)
    alone(limiter, 0.0, feedback)
    assert limiter.limit(0.0) == at_once


def test_the_limit_doubles_per_full_round_up_to_the_most():
    limiter, limits = ready(maximum=10), []
    for _ in range(4):
        limits.append(limiter.limit(0.0))
        land_a_round(limiter)
    assert limits == [4, 8, 10, 10]


# ------------------------------------------------------------------------------------------------------------ the breaker


@pytest.mark.parametrize("feedback", [refused(5.0), unavailable(5.0)], ids=["429", "503, or no connection"])
def test_a_refusal_opens_the_breaker_until_the_time_told_and_one_probe_closes_it(feedback):
    limiter = ready()
    permits = fill(limiter)
    release(limiter, permits[0], feedback, now=10.0)
    assert limiter.obstacle(14.9) == Wait(15.0)
    assert limiter.obstacle(14.9).refused
    # What was sent before the refusal may still land: it does not close the breaker.
    for permit in permits[1:]:
        release(limiter, permit, LANDED, now=11.0)
    assert limiter.obstacle(14.9) == Wait(15.0)
    probe = acquire(limiter, now=15.0)
    assert probe.probe
    assert limiter.obstacle(15.0) == Wait(), "one probe at a time"
    release(limiter, probe, LANDED, now=15.5)
    assert not acquire(limiter, now=15.5).probe
    assert limiter.breaker.refusing_since is None


def known_to_take(level: int) -> TrafficLimiter:
    """Return a limiter that has learnt a cap, confirmed by a hundred answers."""
    limiter = ready(maximum=64)
    while not a_round(limiter, 0.0, let_in=level):
        pass
    for _ in range(200 // level):
        land_a_round(limiter, 1.0)
    assert limiter.limit(1.0) == level
    return limiter


def test_a_try_that_is_refused_waits_alone_and_so_do_those_refused_beside_it():
    limiter = known_to_take(20)
    while limiter.limit(100.0) < 24:
        land_a_round(limiter, 100.0)
    permits = fill(limiter, 100.0)
    assert [release(limiter, permit, refused(1.0), 100.0) for permit in permits[22:]] == [True] * len(permits[22:])
    for permit in permits[:22]:
        release(limiter, permit, LANDED, 100.1)
    assert limiter.obstacle(100.1) is None
    assert limiter.limit(100.1) == 22


def test_what_is_refused_beside_a_try_and_asked_for_less_opens_the_breaker():
    """A cap that was lowered refuses the whole level; only the last request of it may be there by chance."""
    limiter = known_to_take(20)
    permits = fill(limiter, 1.0)
    assert release(limiter, permits[19], refused(1.0), 1.0)
    assert not release(limiter, permits[18], refused(1.0), 1.0)
    assert limiter.obstacle(1.5) == Wait(2.0)
    for permit in permits[5:18]:
        assert not release(limiter, permit, refused(1.0), 1.0)
    for permit in permits[:5]:
        release(limiter, permit, LANDED, 1.1)
    alone(limiter, 2.0)
    assert limiter.limit(2.0) <= 8


def test_a_probe_that_says_nothing_about_load_lets_the_next_one_try():
    limiter = ready()
    alone(limiter, 0.0, refused(1.0))
    alone(limiter, 1.0, Feedback(Load.NEUTRAL))
    assert acquire(limiter, now=1.0).probe


def test_a_probe_that_is_cancelled_lets_the_next_one_try():
    limiter = ready()
    alone(limiter, 0.0, refused(1.0))
    probe = acquire(limiter, now=1.0)
    assert limiter.obstacle(1.0) == Wait()
    assert limiter.cancel(probe)
    assert acquire(limiter, now=1.0).probe


def test_refusals_of_requests_in_flight_together_halve_the_limit_once():
    limiter = ready()
    land_a_round(limiter)
    for permit in fill(limiter):
        release(limiter, permit, refused(1.0))
    assert limiter.limit(0.0) == 4
    alone(limiter, 1.0, refused(1.0))
    assert limiter.limit(0.0) == 2


def test_a_503_counts_as_no_failed_attempt_and_halves_the_limit_once():
    """Refused connections of a restart must not drain the quota that a later mishap needs."""
    limiter = ready()
    land_a_round(limiter)
    for permit in fill(limiter):
        release(limiter, permit, unavailable(1.0))
    for now in range(2, 2000):
        alone(limiter, limiter.breaker.open_until or float(now), unavailable(1.0))
    assert limiter.retry_quota.allows(2000.0)


def test_failures_use_up_the_replays_and_answers_earn_them_back():
    limiter = ready()
    for _ in range(50):
        alone(limiter, 0.0, FAILED)
    assert not limiter.retry_quota.allows(0.0)
    alone(limiter, 0.0)
    assert limiter.retry_quota.allows(0.0)


# -------------------------------------------------------------------------------------------------------- how many at once


def test_the_limit_returns_to_what_was_let_in_beside_the_refused_request():
    limiter = ready(maximum=64)
    for _ in range(3):
        land_a_round(limiter)
    permits = fill(limiter)
    assert len(permits) == 32
    # The answers come in any order: the least number beside a refused request counts.
    for permit in reversed(permits[20:]):
        release(limiter, permit, refused(1.0))
    assert limiter.limit(0.0) == 20
    for permit in permits[:20]:
        release(limiter, permit, LANDED, now=0.1)
    alone(limiter, 1.0)
    assert limiter.limit(0.0) == 20


@pytest.mark.parametrize("first", [0, 1, 10, 31])
def test_requests_that_overtake_each_other_do_not_hide_how_many_were_let_in(first):
    limiter = ready(maximum=64)
    for _ in range(3):
        land_a_round(limiter)
    permits = fill(limiter)
    late = [permits[first], *[permit for permit in permits if permit is not permits[first]][-11:]]
    for permit in late:
        release(limiter, permit, refused(1.0))
    assert limiter.limit(0.0) <= 20
    for permit in permits:
        if permit not in late:
            release(limiter, permit, LANDED, now=0.1)
    alone(limiter, 1.0)
    assert limiter.limit(0.0) == 20


def test_the_refusal_of_one_more_than_is_known_to_be_good_is_the_answer_to_a_question_and_opens_nothing():
    limiter = ready(maximum=64)
    now = 0.0
    while limiter.limit(now) != 21:
        a_round(limiter, now, let_in=20)
        now += 2.0
    permits = fill(limiter, now)
    assert release(limiter, permits[-1], refused(1.0), now), "it alone waits"
    assert limiter.breaker.open_until is None
    assert limiter.limit(now) == 20
    for permit in permits[:-1]:
        assert not release(limiter, permit, LANDED, now)
    assert limiter.limit(now) == 20, "what left beside it proves nothing about the level"


def test_more_than_was_let_in_is_tried_so_rarely_that_one_request_in_a_hundred_is_refused():
    limiter = ready(maximum=64)
    rounds = [a_round(limiter, float(now), 20) for now in range(0, 2000, 2)]
    tried = [index for index, count in enumerate(rounds) if count]
    assert max(rounds[tried[1] :]) == 1, "one at a time"
    assert sum(rounds[tried[1] :]) <= 0.01 * 20 * len(rounds)
    assert max(later - earlier for earlier, later in itertools.pairwise(tried[1:])) <= 6, (
        "and often enough to see a rise"
    )


def test_once_more_than_was_let_in_has_landed_the_limit_grows_on():
    limiter = ready(maximum=64)
    for now in range(0, 22, 2):
        a_round(limiter, float(now), 20)
    assert limiter.limit(22.0) == 20
    limits = []
    for now in range(100, 140, 2):
        assert not a_round(limiter, float(now), 64)
        limits.append(limiter.limit(float(now)))
    assert limits[-1] == 64


# --------------------------------------------------------------------------------------------------------------- the pace


def test_two_refusals_soon_after_each_other_set_a_pace():
    limiter = ready()
    alone(limiter, 0.0, refused(1.0))
    assert limiter.acquire(0.1, 1, seconds=9.0) == Wait(1.0)
    alone(limiter, 1.0)
    alone(limiter, 1.1)
    alone(limiter, 1.25, refused(1.0))
    alone(limiter, 2.25)
    # Two landed in a second in which somebody wanted something, and half a one more is granted.
    wait = limiter.obstacle(2.3)
    assert (wait.until, wait.paced) == (pytest.approx(2.25 + 1.0 / 2.5), True)


def test_two_refusals_with_a_minute_each_mean_a_request_a_second_and_not_one_in_forty():
    limiter = ready()
    alone(limiter, 0.0, refused(60.0))
    assert limiter.acquire(1.0, 1, seconds=9.0) == Wait(60.0), "somebody waits all the while"
    alone(limiter, 60.0)
    alone(limiter, 60.1, refused(60.0))
    assert limiter.acquire(61.0, 1, seconds=9.0) == Wait(120.1)
    alone(limiter, 120.1)
    assert limiter.obstacle(121.0) == Wait(121.1, paced=True)
    assert limiter.obstacle(121.1) is None


def test_time_in_which_nobody_asked_for_anything_does_not_slow_the_pace():
    limiter = ready()
    alone(limiter, 0.0, refused(1.0))
    alone(limiter, 1.0)
    alone(limiter, 5000.0)
    alone(limiter, 5000.0, refused(1.0))
    # Nobody waited for the breaker, so it was idle from the refusal to the end.
    assert limiter.pacer.interval < 0.1


# -------------------------------------------------------------------------------------------------------------- the money


def test_the_budget_holds_back_what_would_pass_max_cost():
    limiter = ready(max_cost=1.0)
    first = acquire(limiter, tokens=10)
    assert limiter.acquire(0.0, 10, seconds=9.0) == Wait(), "until a price is known one request finds it out"
    release(limiter, first, Feedback(Load.LANDED, cost=0.4))
    second = acquire(limiter, tokens=10)
    assert limiter.acquire(0.0, 10, seconds=9.0) == Wait(), "what is in flight may turn out cheaper"
    release(limiter, second, Feedback(Load.LANDED, cost=0.4))
    assert isinstance(limiter.acquire(0.0, 10, seconds=9.0), OverBudget)
    assert isinstance(limiter.acquire(0.0, 1, seconds=9.0), Permit)


# ------------------------------------------------------------------------------------------------------------- the permits


def test_a_permit_of_a_holder_that_stands_still_is_taken_back_and_what_it_says_later_is_not_heard():
    limiter = ready(maximum=1)
    permit = acquire(limiter, seconds=30.0)
    limiter.take_back_expired(29.9)
    assert limiter.in_flight == 1
    limiter.take_back_expired(30.0)
    assert limiter.in_flight == 0
    assert isinstance(limiter.acquire(30.0, 1, seconds=30.0), Permit)
    assert not release(limiter, permit, refused(60.0), now=40.0)
    assert limiter.breaker.open_until is None
    assert not limiter.cancel(permit)
    assert limiter.in_flight == 1


def test_in_a_forked_child_nothing_is_in_flight():
    limiter = ready(max_cost=1.0)
    alone(limiter, 0.0, Feedback(Load.LANDED, cost=0.1))
    alone(limiter, 0.0, refused(1.0))
    probe = acquire(limiter, now=1.0)
    limiter.forget_in_flight()
    assert limiter.in_flight == 0
    assert not limiter.cancel(probe)
    assert acquire(limiter, now=1.0).probe


@given(st.integers(1, 8), st.lists(st.sampled_from(["send", "land", "refuse", "fail", "drop", "expire"]), max_size=80))
def test_there_is_never_more_in_flight_than_the_most(maximum: int, steps: list[str]):
    limiter, permits, now = ready(maximum=maximum), [], 0.0
    for step in steps:
        now += 0.7
        if step == "send":
            got = limiter.acquire(now, 1, seconds=10.0)
            permits += [got] if isinstance(got, Permit) else []
        elif step == "expire":
            limiter.take_back_expired(now)
        elif permits and step == "drop":
            limiter.cancel(permits.pop())
        elif permits:
            feedback = {"land": LANDED, "refuse": refused(0.1), "fail": FAILED}[step]
            limiter.release(permits.pop(), feedback, now=now, jitter=0.5)
        assert limiter.in_flight == sum(permit.active for permit in permits) <= maximum
        assert 1 <= limiter.limit(now) <= maximum
    limiter.take_back_expired(now + 1000.0)
    # Whatever happened, requests leave again.
    assert isinstance(limiter.acquire(now + 1000.0, 1, seconds=10.0), Permit)
