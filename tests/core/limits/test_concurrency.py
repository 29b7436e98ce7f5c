"""How many at once: slow start, the level that was let in, and a cautious try above it."""

from __future__ import annotations

import itertools

import pytest

from openrouter_embeddings._limits.concurrency import ConcurrencyLimit


def land_a_round(limit: ConcurrencyLimit, now: float = 0.0) -> int:
    """Use the whole limit, let all of it land, and return how many that were."""
    count = limit.value
    for before in range(count):
        limit.sent(before + 1)
    for before in range(count):
        limit.landed(now, before)
    return count


def wide(rounds: int = 3, maximum: int = 64) -> ConcurrencyLimit:
    """Return a limit that has doubled three times, to 32."""
    limit = ConcurrencyLimit(maximum)
    for _ in range(rounds):
        land_a_round(limit)
    return limit


def known_to_be_good(level: int, maximum: int = 64) -> ConcurrencyLimit:
    """Return a limit that was refused once, at time 0 and for a second, with `level` let in."""
    limit = wide(4, maximum)
    assert not limit.refused(0.0, level, in_flight_now=level + 1, wait=1.0)
    limit.breaker_closed()
    assert limit.value == level
    return limit


def test_it_starts_at_four_and_doubles_per_full_round_up_to_the_most():
    limit = ConcurrencyLimit(10)
    assert [land_a_round(limit) for _ in range(4)] == [4, 8, 10, 10]


@pytest.mark.parametrize("maximum", [1, 3])
def test_it_never_passes_a_small_most(maximum):
    limit = ConcurrencyLimit(maximum)
    assert [land_a_round(limit) for _ in range(4)] == [maximum] * 4


def test_a_round_that_used_less_than_half_does_not_raise_it():
    limit = ConcurrencyLimit(16)
    for _ in range(40):
        limit.sent(1)
        limit.landed(0.0, 0)
    assert limit.value == 4


def test_it_returns_to_what_was_let_in_beside_the_refused_request():
    limit = wide()
    assert not limit.refused(0.0, 20, in_flight_now=21, wait=1.0), "that was no limit on the rate"
    assert limit.value == 20


def test_of_several_refused_together_the_least_number_beside_one_counts():
    limit = wide()
    limit.refused(0.0, 31, in_flight_now=32, wait=1.0)
    for before in (25, 20, 28):
        limit.refused_again(before)
    assert limit.value == 20


@pytest.mark.parametrize("first", [0, 1, 10])
def test_requests_that_overtook_each_other_are_put_right_when_the_breaker_closes(first):
    limit = wide()
    limit.refused(0.0, first, in_flight_now=32, wait=1.0)
    for before in range(21, 32):
        limit.refused_again(before)
    limit.breaker_closed()
    assert limit.value == 20


def test_if_every_request_of_a_round_was_refused_half_of_the_limit_is_left():
    limit = wide()
    limit.refused(0.0, 31, in_flight_now=32, wait=1.0)
    for before in reversed(range(31)):
        limit.refused_again(before)
    assert limit.value == 16
    limit.breaker_closed()
    assert limit.value == 1, "nothing is known to have been let in"


def test_a_refusal_of_one_request_alone_is_for_the_rate():
    limit = ConcurrencyLimit(16)
    assert limit.refused(0.0, 0, in_flight_now=1, wait=1.0)
    assert limit.value == 2


def test_a_refusal_below_the_known_level_halves_the_limit_and_is_not_for_the_rate():
    assert not (below := known_to_be_good(20)).refused(9.0, 12, in_flight_now=13, wait=1.0)
    assert below.value == 10
    assert not (far := known_to_be_good(20)).refused(9.0, 5, in_flight_now=6, wait=1.0)
    assert far.value == 10


def test_an_outage_halves_the_limit_and_teaches_nothing_about_the_level():
    limit = wide()
    limit.refused(0.0, 20, in_flight_now=32, wait=1.0)
    limit.unavailable(1.0)
    assert limit.value == 10
    limit.breaker_closed()
    assert limit.value == 10
    land_a_round(limit)
    assert limit.value == 20, "the level is known, so the way back is short"


def test_one_above_the_level_is_asked_for_after_a_hundred_answers_and_some_seconds():
    limit = known_to_be_good(20)
    for _ in range(20):
        land_a_round(limit, now=2.9)
    assert limit.value == 20, "too early, however many landed"
    limit = known_to_be_good(20)
    for _ in range(4):
        land_a_round(limit, now=1000.0)
    assert limit.value == 20, "too few, however long it took"
    land_a_round(limit, now=1000.0)
    assert limit.value == 21
    assert limit.is_a_try(20)


def test_the_last_request_of_a_confirmed_level_may_be_refused_by_chance_once_in_a_hundred_answers():
    """A gateway may free the place of an answered request only after the next one has come."""
    limit = known_to_be_good(20)
    for _ in range(5):
        for _ in range(5):
            assert land_a_round(limit) == 20
        assert limit.is_a_try(19)
        assert not limit.is_a_try(18)
        limit.try_refused(0.0, 19)
        assert not limit.is_a_try(19)
    assert limit.is_a_try(20), "this was never confirmed"


@pytest.mark.parametrize("too_high", [1, 2, 3, 4])
def test_where_requests_were_answered_before_others_came_the_estimate_is_a_try(too_high):
    """Of 32 in flight 12 are refused, though the gateway takes 20, less those that it has answered already."""
    limit = wide()
    limit.refused(0.0, 20 + too_high, in_flight_now=32 + too_high, wait=1.0)
    for before in range(21 + too_high, 32 + too_high):
        limit.refused_again(before)
    limit.breaker_closed()
    assert limit.value == 20 + too_high
    for before in range(20, 20 + too_high):
        assert limit.is_a_try(before)
        limit.try_refused(1.0, before)
    assert limit.value == 20


def test_what_is_refused_on_the_way_up_shows_the_level_and_halves_nothing():
    limit = known_to_be_good(20)
    while limit.value < 36:
        land_a_round(limit, 100.0)
    assert limit.is_a_try(30)
    limit.try_refused(100.0, 30)
    assert limit.value == 30
    assert not limit.is_a_try(16), "this many were let in all the time"


def test_a_refused_try_costs_one_step_and_the_next_comes_later_and_later():
    limit, now = known_to_be_good(20), 1.0
    tries = []
    while len(tries) < 5:
        land_a_round(limit, now)
        if limit.value > 20:
            assert limit.value == 21
            tries.append(now)
            limit.try_refused(now, 20)
            assert limit.value == 20
        now += 0.25
    assert [later - earlier for earlier, later in itertools.pairwise(tries)] == [4.0, 8.0, 8.0, 8.0]


def test_a_refusal_at_the_known_level_doubles_the_time_to_the_next_try():
    def seconds_to_a_try(limit: ConcurrencyLimit, now: float) -> float:
        began = now
        while limit.value <= 20:
            land_a_round(limit, now)
            now += 0.25
        return now - began

    once, twice = known_to_be_good(20), known_to_be_good(20)
    twice.refused(0.0, 20, in_flight_now=21, wait=1.0)
    twice.breaker_closed()
    assert seconds_to_a_try(twice, 1.0) > seconds_to_a_try(once, 1.0) + 1.5


def test_once_more_than_the_level_has_landed_it_grows_by_one_then_two_then_four_up_to_the_most():
    limit = known_to_be_good(20)
    while limit.value == 20:
        land_a_round(limit, 100.0)
    assert [land_a_round(limit, 100.0) for _ in range(6)] == [21, 22, 24, 28, 36, 52]
    assert land_a_round(limit, 100.0) == 64
    assert not limit.is_a_try(63), "a round of as many has landed"


def test_an_answer_to_what_left_before_the_refusal_is_no_proof_of_more():
    limit = known_to_be_good(20)
    for _ in range(30):
        limit.landed(0.5, 0)
    assert limit.value == 20
    assert limit.is_a_try(20)
