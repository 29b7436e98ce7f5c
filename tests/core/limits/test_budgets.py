"""What may still be spent: on replays, and in dollars."""

from __future__ import annotations

import pytest

from openrouter_embeddings._limits import Permit
from openrouter_embeddings._limits.budgets import CostBudget, RetryQuota


def drained(failures: int, now: float = 0.0) -> RetryQuota:
    quota = RetryQuota()
    for _ in range(failures):
        quota.failed(now)
    return quota


def reserved(budget: CostBudget, tokens: int) -> Permit:
    cost = budget.reserve(tokens)
    assert cost is not None
    return Permit(epoch=0, probe=False, in_flight_before=0, tokens=tokens, reserved_cost=cost, expires_at=0.0)


def spent(budget: CostBudget, tokens: int, cost: float) -> None:
    budget.free(reserved(budget, tokens))
    budget.pay(cost, tokens)


# ------------------------------------------------------------------------------------------------------------- the quota


def test_failures_use_up_the_replays_and_answers_earn_them_back_slowly():
    assert drained(49).allows(0.0)
    quota = drained(50)
    assert not quota.allows(0.0)
    quota.landed(0.0)
    assert quota.allows(0.0)
    quota.failed(0.0)
    assert not quota.allows(0.0), "an answer earns a tenth of what a failure costs"


def test_an_outage_however_long_leaves_replays_a_few_answers_away():
    quota = drained(10_000)
    answers = 0
    while not quota.allows(0.0):
        quota.landed(0.0)
        answers += 1
    assert answers <= 101


def test_as_long_as_answers_come_each_second_earns_a_replay_back():
    """An outage met by a hundred queries must not make one later failure fatal."""
    quota = drained(100)
    quota.landed(10.0)
    assert not quota.allows(10.0)
    assert quota.allows(21.0)


def test_while_it_fails_time_earns_nothing_and_two_quiet_minutes_later_it_does():
    quota = drained(100)
    for now in range(0, 1000, 10):
        quota.failed(float(now))
        assert not quota.allows(float(now) + 9.0)
    assert not quota.allows(990.0 + 120.0)
    assert quota.allows(990.0 + 120.0 + 11.0)


def test_no_more_than_the_whole_quota_is_ever_earned():
    quota = RetryQuota()
    quota.landed(0.0)
    assert quota.allows(1e9)
    for _ in range(50):
        quota.failed(1e9)
    assert not quota.allows(1e9)


# --------------------------------------------------------------------------------------------------------------- dollars


def test_without_a_limit_nothing_is_set_aside():
    budget = CostBudget(None)
    spent(budget, 10, 1000.0)
    assert not budget.needs_a_price
    assert budget.reserve(1_000_000) == 0.0
    assert budget.may_fit_later(1)


def test_one_request_finds_out_the_price():
    budget = CostBudget(1.0)
    assert budget.needs_a_price
    spent(budget, 10, 0.4)
    assert not budget.needs_a_price


def test_what_would_pass_the_limit_is_held_back_with_what_is_in_flight_counted_in():
    budget = CostBudget(1.0)
    spent(budget, 10, 0.4)
    second = reserved(budget, 10)
    assert budget.reserve(10) is None
    assert budget.may_fit_later(10), "what is in flight may turn out cheaper"
    budget.free(second)
    budget.pay(0.4, 10)
    assert budget.reserve(10) is None
    assert not budget.may_fit_later(10)
    assert budget.reserve(5) == pytest.approx(0.2)


def test_the_highest_price_seen_is_the_one_that_counts():
    budget = CostBudget(10.0)
    spent(budget, 10, 5.0)
    spent(budget, 10, 0.1)
    assert budget.reserve(10) is None


def test_what_costs_nothing_teaches_no_price_but_counts_as_one():
    budget = CostBudget(1.0)
    spent(budget, 0, 0.0)
    assert not budget.needs_a_price
    assert budget.reserve(1000) == 0.0


def test_a_limit_of_zero_lets_nothing_leave():
    assert CostBudget(0.0).reserve(1) is None
    assert not CostBudget(0.0).may_fit_later(1)


def test_what_was_in_flight_in_another_process_is_not_set_aside_here():
    budget = CostBudget(1.0)
    spent(budget, 10, 0.4)
    first = reserved(budget, 10)
    budget.forget_reserved()
    assert budget.reserve(10) == pytest.approx(0.4)
    budget.free(first)
    budget.free(first)
    assert budget.reserve(20) is None, "what is given back twice makes no room"


def test_what_rounding_leaves_of_reservations_holds_no_request_back():
    """0.1 + 0.2 - 0.1 - 0.2 is more than nothing: requests would wait for it for ever."""
    budget = CostBudget(1.0)
    budget.pay(0.1, 1)
    permits = [reserved(budget, 1), reserved(budget, 2)]
    assert budget.may_fit_later(1)
    for permit in permits:
        budget.free(permit)
    assert not budget.may_fit_later(1)
