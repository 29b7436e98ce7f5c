"""How fast: an interval learnt from two refusals, tried shorter, and forgotten."""

from __future__ import annotations

import pytest

from openrouter_embeddings._limits.pacer import Pacer


def refused_twice(seconds: float, landed: int) -> Pacer:
    """Return a pacer that was refused at time 0 and so many seconds later, with answers in between."""
    pacer = Pacer()
    pacer.refused(0.0, for_the_rate=True, wait=0.0)
    for _ in range(landed):
        pacer.landed()
    pacer.refused(seconds, for_the_rate=True, wait=0.0)
    return pacer


def at_a_pace(interval: float) -> Pacer:
    pacer = Pacer()
    pacer.interval = interval
    return pacer


def test_there_is_no_pace_until_one_is_needed():
    pacer = Pacer()
    pacer.sent(0.0)
    pacer.landed()
    pacer.refused(0.1, for_the_rate=True, wait=0.0)
    assert pacer.not_before(0.1) is None


def test_what_landed_between_two_refusals_is_the_rate():
    pacer = refused_twice(1.25, landed=2)
    assert pacer.interval == pytest.approx(1.25 / 2.5), "half of one more is granted"
    pacer.sent(2.0)
    assert pacer.not_before(2.1) == pytest.approx(2.5)
    assert pacer.not_before(2.5) is None


@pytest.mark.parametrize("told", [60.0, 600.0, 1e9])
def test_the_first_estimate_is_believed_for_a_second_at_most(told):
    """Two refusals with a `Retry-After` of a minute must not mean one request in forty seconds."""
    assert refused_twice(told, landed=1).interval == 1.0


def test_each_further_estimate_is_believed_for_twice_the_last_and_none_for_more_than_a_minute():
    pacer = refused_twice(600.0, landed=1)
    intervals = []
    for count in range(2, 10):
        pacer.landed()
        pacer.refused(600.0 * count, for_the_rate=True, wait=0.0)
        intervals.append(pacer.interval)
    assert intervals == [2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0]


def test_a_refusal_at_a_pace_that_was_nearly_right_slows_down_by_a_step():
    pacer = at_a_pace(1.0)
    pacer.landed()
    pacer.refused(0.0, for_the_rate=True, wait=0.0)
    assert pacer.interval == pytest.approx(1.25)


def test_a_refused_window_alone_sets_no_pace():
    pacer = Pacer()
    for now in range(6):
        pacer.refused(float(now), for_the_rate=True, wait=0.0)
    for _ in range(20):
        pacer.landed()
    assert pacer.interval == 0.0


def test_a_window_counts_from_its_first_refusal():
    pacer = Pacer()
    pacer.refused(0.0, for_the_rate=True, wait=0.0)
    pacer.refused(1.0, for_the_rate=True, wait=0.0)
    for _ in range(3):
        pacer.landed()
    pacer.refused(2.0, for_the_rate=True, wait=0.0)
    assert pacer.interval == pytest.approx(2.0 / 3.5)


def test_a_refusal_for_concurrency_sets_no_pace():
    pacer = Pacer()
    for now in range(20):
        pacer.landed()
        pacer.refused(float(now), for_the_rate=False, wait=0.0)
    assert pacer.interval == 0.0


def test_where_much_lands_between_refusals_waiting_them_out_is_cheap_enough():
    assert refused_twice(60.0, landed=257).interval == 0.0
    assert refused_twice(60.0, landed=256).interval > 0.0


def test_time_in_which_nobody_asked_for_anything_does_not_slow_the_pace():
    pacer = Pacer()
    pacer.refused(0.0, for_the_rate=True, wait=0.0)
    pacer.landed()
    pacer.skip_idle(999.7)
    pacer.refused(1000.0, for_the_rate=True, wait=0.0)
    assert pacer.interval == pytest.approx(0.3 / 1.5)


def test_idle_time_before_any_refusal_says_nothing():
    pacer = Pacer()
    pacer.skip_idle(100.0)
    pacer.refused(100.0, for_the_rate=True, wait=0.0)
    assert pacer.interval == 0.0


def test_after_some_answers_requests_leave_closer_together_and_each_refusal_doubles_how_many():
    pacer = at_a_pace(1.0)

    def answers_to_a_shorter_interval() -> int:
        before, count = pacer.interval, 0
        while pacer.interval == before:
            pacer.landed()
            count += 1
        assert pacer.interval == pytest.approx(0.8 * before)
        return count

    counts = [answers_to_a_shorter_interval(), answers_to_a_shorter_interval()]
    for now in range(5):
        pacer.refused(0.001 * now, for_the_rate=True, wait=0.0)
        counts.append(answers_to_a_shorter_interval())
    assert counts == [8, 8, 16, 32, 64, 64, 64]


def test_a_pace_that_meets_no_refusal_quickens_until_it_is_none():
    pacer, answers = at_a_pace(1.0), 0
    while pacer.interval:
        pacer.landed()
        answers += 1
    assert answers == 8 * 21
    assert pacer.not_before(0.0) is None


def test_the_minute_begins_when_the_breaker_closes():
    pacer = at_a_pace(1.0)
    pacer.landed()
    pacer.refused(0.0, for_the_rate=True, wait=60.0)
    interval = pacer.interval
    pacer.sent(61.0)
    assert pacer.interval == interval
    pacer.sent(121.0)
    assert pacer.interval == interval / 2


def test_each_minute_without_a_refusal_halves_it_whatever_lands():
    pacer = refused_twice(600.0, landed=1)
    pacer.sent(659.0)
    assert pacer.interval == 1.0
    pacer.sent(660.0)
    assert pacer.interval == 0.5
    pacer.sent(660.0 + 185.0)
    assert pacer.interval == 0.0625
    pacer.sent(1e6)
    assert pacer.interval == 0.0
