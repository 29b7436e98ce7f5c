"""The gate, the width and the purse: one state machine, no clock."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openrouter_embeddings._limits.breaker import back_off
from openrouter_embeddings._limits.limiter import TrafficLimiter
from openrouter_embeddings._limits.signals import Feedback, Load, OverBudget, Permit, Wait

LANDED = Feedback(Load.LANDED)


def refused(retry_after: float | None = None) -> Feedback:
    return Feedback(Load.REFUSED, retry_after=retry_after)


def settled(most: int = 16, max_cost: float | None = None) -> TrafficLimiter:
    return TrafficLimiter(most=most, max_cost=max_cost, settled=True)


def enter(limits: TrafficLimiter, now: float = 0.0, tokens: int = 1) -> Permit:
    ticket = limits.enter(now, tokens)
    assert isinstance(ticket, Permit)
    return ticket


def land_a_round(limits: TrafficLimiter) -> None:
    for ticket in [enter(limits) for _ in range(limits.room_for_all())]:
        limits.leave(ticket, LANDED, now=0.0, chance=0.0)


def test_until_an_answer_landed_only_one_request_is_in_flight():
    limits = TrafficLimiter(most=16)
    first = enter(limits)
    assert limits.enter(0.0, 1) == Wait()
    limits.leave(first, LANDED, now=0.0, chance=0.0)
    assert limits.room() == 4


def test_the_width_starts_at_four_and_doubles_per_full_round_up_to_the_most():
    limits = settled(most=10)
    widths = []
    for _ in range(4):
        widths.append(limits.room_for_all())
        land_a_round(limits)
    assert widths == [4, 8, 10, 10]


def test_a_round_that_used_less_than_half_does_not_grow_the_width():
    limits = settled()
    for _ in range(20):
        limits.leave(enter(limits), LANDED, now=0.0, chance=0.0)
    assert limits.room_for_all() == 4


def test_a_refusal_closes_the_gate_until_the_time_told_and_one_probe_opens_it():
    limits = settled()
    tickets = [enter(limits) for _ in range(4)]
    limits.leave(tickets[0], refused(5.0), now=10.0, chance=0.0)
    assert limits.enter(14.9, 1) == Wait(15.0)
    assert limits.enter(14.9, 1).closed
    assert limits.closed_for(14.0) == 1.0
    # What was sent before the refusal may still land: it does not reopen the gate.
    limits.leave(tickets[1], LANDED, now=11.0, chance=0.0)
    assert limits.enter(14.9, 1) == Wait(15.0)
    for ticket in tickets[2:]:
        limits.leave(ticket, LANDED, now=12.0, chance=0.0)
    probe = enter(limits, now=15.0)
    assert probe.probe
    assert limits.enter(15.0, 1) == Wait(), "one probe at a time"
    limits.leave(probe, LANDED, now=15.5, chance=0.0)
    assert isinstance(limits.enter(15.5, 1), Permit)
    assert limits.closed_for(15.5) == 0.0


def test_one_refused_window_halves_the_width_once():
    limits = settled()
    land_a_round(limits)
    tickets = [enter(limits) for _ in range(8)]
    for ticket in tickets:
        limits.leave(ticket, refused(1.0), now=0.0, chance=0.0)
    assert limits.room_for_all() == 4
    probe = enter(limits, now=1.0)
    limits.leave(probe, refused(1.0), now=1.0, chance=0.0)
    assert limits.room_for_all() == 2


def test_after_a_refusal_the_width_grows_by_one_per_round():
    limits = settled()
    limits.leave(enter(limits), refused(), now=0.0, chance=0.0)
    limits.leave(enter(limits, now=99.0), LANDED, now=99.0, chance=0.0)
    before = limits.room_for_all()
    land_a_round(limits)
    land_a_round(limits)
    assert limits.room_for_all() - before <= 2


def test_a_probe_that_says_nothing_about_load_lets_the_next_one_try():
    limits = settled()
    limits.leave(enter(limits), refused(1.0), now=0.0, chance=0.0)
    limits.leave(enter(limits, now=1.0), Feedback(Load.NEUTRAL), now=1.0, chance=0.0)
    assert enter(limits, now=1.0).probe
    limits.forget_all()
    assert limits.in_flight == 0


def test_failures_use_up_the_replays_and_successes_earn_them_back_slowly():
    limits = settled()
    for _ in range(50):
        limits.leave(enter(limits), Feedback(Load.FAILED), now=0.0, chance=0.0)
    assert not limits.may_replay()
    for _ in range(11):
        limits.leave(enter(limits), LANDED, now=0.0, chance=0.0)
    assert limits.may_replay()


def test_the_purse_withholds_what_would_pass_max_cost():
    limits = settled(max_cost=1.0)
    first = enter(limits, tokens=10)
    assert limits.enter(0.0, 10) == Wait(), "until a price is known one request finds it out"
    limits.leave(first, Feedback(Load.LANDED, cost=0.4), now=0.0, chance=0.0)
    second = enter(limits, tokens=10)
    assert limits.enter(0.0, 10) == Wait(), "what is in flight may turn out cheaper"
    limits.leave(second, Feedback(Load.LANDED, cost=0.4), now=0.0, chance=0.0)
    assert isinstance(limits.enter(0.0, 10), OverBudget)
    assert isinstance(limits.enter(0.0, 1), Permit)


def test_a_purse_of_zero_lets_nothing_leave():
    assert isinstance(settled(max_cost=0.0).enter(0.0, 1), OverBudget)


def test_the_width_goes_back_to_what_was_let_in_beside_the_refused_one():
    limits = settled(most=64)
    for _ in range(3):
        land_a_round(limits)
    tickets = [enter(limits) for _ in range(32)]
    # The answers come in any order: the least number beside a refused request counts.
    for ticket in reversed(tickets[20:]):
        limits.leave(ticket, refused(1.0), now=0.0, chance=0.0)
    assert limits.room_for_all() == 20
    for ticket in tickets[:20]:
        limits.leave(ticket, LANDED, now=0.1, chance=0.0)
    limits.leave(enter(limits, now=1.0), LANDED, now=1.1, chance=0.0)
    assert limits.room_for_all() == 20


@pytest.mark.parametrize("first", [0, 1, 10, 31])
def test_requests_that_overtake_each_other_do_not_hide_how_many_were_let_in(first):
    limits = settled(most=64)
    for _ in range(3):
        land_a_round(limits)
    tickets = [enter(limits) for _ in range(32)]
    late = [tickets[first], *[one for at, one in enumerate(tickets) if at != first][-11:]]
    for ticket in late:
        limits.leave(ticket, refused(1.0), now=0.0, chance=0.0)
    assert limits.room_for_all() <= 20
    for ticket in tickets:
        if ticket not in late:
            limits.leave(ticket, LANDED, now=0.1, chance=0.0)
    limits.leave(enter(limits, now=1.0), LANDED, now=1.1, chance=0.0)
    assert limits.room_for_all() == 20


def a_round(limits: TrafficLimiter, now: float, let_in: int) -> int:
    """Fill the width; what is more than let in is refused. Return how many were."""
    tickets = [enter(limits, now=now) for _ in range(limits.room_for_all())]
    for at, ticket in enumerate(tickets):
        limits.leave(ticket, LANDED if at < let_in else refused(1.0), now=now, chance=0.0)
    if len(tickets) > let_in:
        limits.leave(enter(limits, now=now + 1.0), LANDED, now=now + 1.0, chance=0.0)
    return max(0, len(tickets) - let_in)


def test_more_than_was_let_in_is_tried_ever_more_rarely():
    limits = settled(most=64)
    tried = [now for now in range(0, 2000, 2) if a_round(limits, float(now), 20)]
    apart = [later - earlier for earlier, later in itertools.pairwise(tried)]
    # Ten seconds for a wait of one, then twice as long each time, seen every other second.
    assert apart[:4] == [14, 24, 44, 84]
    assert max(apart) <= 170


def test_once_more_than_was_let_in_has_landed_the_width_grows_on():
    limits = settled(most=64)
    for now in range(0, 10, 2):
        a_round(limits, float(now), 20)
    assert limits.room_for_all() == 20
    widths = []
    for now in range(100, 140, 2):
        assert not a_round(limits, float(now), 64)
        widths.append(limits.room_for_all())
    assert widths[0] == 21
    assert widths[-1] >= 35


def test_a_503_closes_the_gate_and_spends_replays_whatever_it_was_told():
    limits = settled()
    for now in range(0, 102, 2):
        limits.leave(
            enter(limits, now=float(now)), Feedback(Load.UNAVAILABLE, retry_after=1.0), now=float(now), chance=0.0
        )
    assert not limits.may_replay()


def alone(limits: TrafficLimiter, now: float, signal: Feedback) -> None:
    limits.leave(enter(limits, now=now), signal, now=now, chance=0.0)


def test_two_refusals_soon_after_each_other_set_a_pace():
    limits = settled()
    alone(limits, 0.0, refused(1.0))
    assert limits.enter(0.1, 1).closed
    alone(limits, 1.0, LANDED)
    alone(limits, 1.1, LANDED)
    alone(limits, 1.25, refused(1.0))
    alone(limits, 2.25, LANDED)
    got = limits.enter(2.3, 1)
    assert isinstance(got, Wait)
    assert got.paced
    assert not got.closed
    # Two landed in a second in which somebody wanted something, and half a one more is granted.
    assert got.until == pytest.approx(2.25 + 1.0 / 2.5)


def test_a_refused_window_alone_sets_no_pace():
    limits = settled()
    for now in range(6):
        alone(limits, float(now), refused(1.0))
    for _ in range(20):
        alone(limits, 6.0, LANDED)
    assert limits.pace.gap == 0.0


def test_time_in_which_nobody_asked_for_anything_does_not_slow_the_pace():
    limits = settled()
    alone(limits, 0.0, refused(1.0))
    alone(limits, 1.0, LANDED)
    alone(limits, 5000.0, LANDED)
    alone(limits, 5000.0, refused(1.0))
    # Nobody waited for the gate, so it was idle from the refusal to the end.
    assert limits.pace.gap < 0.1


def test_a_pace_that_meets_no_refusal_quickens_until_it_is_none():
    limits = settled()
    limits.pace.gap = 1.0
    now, landed = 0.0, 0
    while limits.pace.gap:
        alone(limits, now, LANDED)
        now, landed = limits.pace.not_before(now) or now, landed + 1
    assert landed <= 8 * 21
    assert now <= 45.0


@given(st.integers(0, 10_000), st.floats(0, 1, exclude_max=True))
def test_back_off_is_never_negative_and_never_above_twenty_seconds(failures: int, chance: float):
    assert 0.0 <= back_off(failures, chance) <= 20.0


@given(st.integers(1, 8), st.lists(st.sampled_from(["enter", "land", "refuse", "fail", "drop"]), max_size=80))
def test_there_is_never_more_in_flight_than_the_most(most: int, steps: list[str]):
    limits, tickets, now = settled(most=most), [], 0.0
    for step in steps:
        now += 0.7
        if step == "enter":
            got = limits.enter(now, 1)
            tickets += [got] if isinstance(got, Permit) else []
        elif tickets and step == "drop":
            limits.give_back(tickets.pop())
        elif tickets:
            signal = {"land": LANDED, "refuse": refused(0.1), "fail": Feedback(Load.FAILED)}[step]
            limits.leave(tickets.pop(), signal, now=now, chance=0.5)
        assert limits.in_flight == len(tickets) <= most
        assert 1 <= limits.room_for_all() <= most
    for ticket in tickets:
        limits.give_back(ticket)
    # Whatever happened, the gate opens again.
    assert isinstance(limits.enter(now + 1000.0, 1), Permit)


@pytest.mark.parametrize("signal", [None, refused()])
def test_a_refusal_without_a_time_backs_off_by_itself(signal):
    limits = settled()
    limits.leave(enter(limits), signal or refused(None), now=0.0, chance=0.5)
    assert limits.closed_for(0.0) == 0.25


@pytest.mark.parametrize(("told", "opens"), [(1.0, 1.1), (6.0, 6.5), (120.0, 120.5)])
def test_opening_is_spread_by_a_tenth_and_never_by_more_than_half_a_second(told, opens):
    limits = settled()
    limits.leave(enter(limits), refused(told), now=0.0, chance=1.0)
    assert limits.closed_for(0.0) == pytest.approx(opens)
