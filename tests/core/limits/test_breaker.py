"""The circuit breaker: open for as long as it was told, and never for as long as nobody can have meant."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openrouter_embeddings._limits import back_off
from openrouter_embeddings._limits.breaker import CircuitBreaker


def opened(retry_after: float | None, *, now: float = 0.0, jitter: float = 0.0, times: int = 1) -> CircuitBreaker:
    breaker = CircuitBreaker()
    for _ in range(times):
        breaker.open(now, retry_after, cause="why", first=True, jitter=jitter)
    return breaker


@given(st.integers(0, 10_000), st.floats(0, 1, exclude_max=True))
def test_back_off_is_never_negative_and_never_above_twenty_seconds(failures: int, jitter: float):
    assert 0.0 <= back_off(failures, jitter) <= 20.0


def test_back_off_doubles_up_to_its_most():
    assert [back_off(failures, 1.0) for failures in range(7)] == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 20.0]


def test_it_is_open_until_the_time_told_and_half_open_from_then_on():
    breaker = CircuitBreaker()
    assert not breaker.is_open(0.0)
    assert breaker.open(10.0, 5.0, cause="why", first=True, jitter=0.0) == 5.0
    assert breaker.is_open(14.9)
    assert not breaker.is_open(15.0)
    assert breaker.open_until == 15.0, "half open is not closed"
    assert breaker.opened_by == "why"


def test_a_refusal_without_a_time_backs_off_by_itself():
    assert opened(None, jitter=0.5).open_until == 0.25
    assert opened(None, jitter=0.5, times=4).open_until == 2.0


def test_a_time_that_is_too_short_is_lengthened_by_the_back_off():
    assert opened(0.5, jitter=1.0, times=5).open_until == 8.0


@pytest.mark.parametrize(("told", "opens"), [(1.0, 1.1), (6.0, 6.5), (120.0, 120.5)])
def test_closing_is_spread_by_a_tenth_and_never_by_more_than_half_a_second(told, opens):
    assert opened(told, jitter=1.0).open_until == pytest.approx(opens)


def test_one_refusal_is_believed_for_two_minutes_and_each_further_one_for_twice_as_long_up_to_a_quarter_of_an_hour():
    breaker = CircuitBreaker()
    waits = [breaker.open(0.0, 3600.0, cause=None, first=True, jitter=0.0) for _ in range(6)]
    assert waits == [120.0, 240.0, 480.0, 900.0, 900.0, 900.0]


def test_refusals_of_requests_that_left_together_are_one_observation():
    breaker = opened(3600.0)
    waits = [breaker.open(0.0, 3600.0, cause=None, first=False, jitter=0.0) for _ in range(50)]
    assert max(waits) == 240.0


@given(st.lists(st.one_of(st.none(), st.floats(0.0, allow_nan=False)), min_size=1, max_size=30))
def test_whatever_is_told_it_is_half_open_within_a_quarter_of_an_hour(times: list[float | None]):
    breaker = CircuitBreaker()
    for told in times:
        breaker.open(0.0, told, cause=None, first=True, jitter=0.999)
    assert not breaker.is_open(900.5)


def test_a_later_refusal_never_shortens_the_time():
    breaker = opened(60.0)
    breaker.open(1.0, 2.0, cause="later", first=False, jitter=0.0)
    assert breaker.open_until == 60.0
    assert breaker.opened_by == "later"


def test_it_knows_since_when_it_was_refused_and_forgets_it_once_it_is_closed():
    breaker = opened(1.0, now=5.0)
    breaker.open(9.0, 1.0, cause=None, first=True, jitter=0.0)
    assert breaker.refusing_since == 5.0
    breaker.close()
    assert breaker.open_until is None
    assert breaker.refusing_since is None
    assert breaker.open(20.0, 3600.0, cause=None, first=True, jitter=0.0) == 120.0, "the count begins anew"
    assert breaker.refusing_since == 20.0
