"""The queue before the gate: each free place wakes one who waits, and no wake is lost or goes round in circles."""

from __future__ import annotations

import pytest

from openrouter_embeddings._flows.effects import NotSent, NotSentReason
from openrouter_embeddings._limits.limiter import TrafficLimiter
from openrouter_embeddings._limits.signals import Feedback, Load
from openrouter_embeddings._runtime.dispatcher import Gate
from openrouter_embeddings._runtime.waiting import Scope

LANDED = Feedback(Load.LANDED)


class Bell:
    """A wait that only says whether it was ended."""

    def __init__(self) -> None:
        self.rung = False

    def wake(self) -> None:
        self.rung = True


class Waiting:
    """One request in the queue."""

    def __init__(self, gate: Gate) -> None:
        self.scope = Scope()
        self.entering = gate.entering(1, 10.0, self.scope, Bell)
        self.came_to = None
        self.held = 0.0
        self.go_on()

    def go_on(self) -> None:
        try:
            self.bell, self.delay = next(self.entering)
        except StopIteration as done:
            self.came_to, self.held = done.value


@pytest.fixture
def gate() -> Gate:
    """A gate with one place."""
    return Gate(TrafficLimiter(most=1, settled=True), clock=lambda: 0.0)


def test_who_is_woken_and_finds_no_room_waits_again_and_wakes_nobody(gate):
    holder = Waiting(gate)
    first, second = Waiting(gate), Waiting(gate)
    gate.leave(holder.came_to, LANDED)
    assert (first.bell.rung, second.bell.rung) == (True, False)
    quicker = Waiting(gate)  # takes the place before `first` gets to it
    first.go_on()
    assert (first.bell.rung, second.bell.rung) == (False, False)
    gate.leave(quicker.came_to, LANDED)
    assert (first.bell.rung, second.bell.rung) == (False, True)


@pytest.mark.parametrize("way", ["stopped", "cancelled"])
def test_who_is_woken_and_gives_up_wakes_the_next(gate, way):
    holder = Waiting(gate)
    first, second = Waiting(gate), Waiting(gate)
    gate.leave(holder.came_to, LANDED)
    if way == "stopped":
        first.scope.stop()
        first.go_on()
        assert first.came_to == NotSent(NotSentReason.CALL_STOPPED)
    else:
        first.entering.close()
    assert second.bell.rung


def test_who_gives_up_without_having_been_woken_wakes_nobody(gate):
    Waiting(gate)
    first, second = Waiting(gate), Waiting(gate)
    first.entering.close()
    assert not second.bell.rung


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def paced() -> tuple[Gate, Clock]:
    """A gate with room for many, one a second."""
    clock = Clock()
    gate = Gate(TrafficLimiter(most=8, settled=True), clock=clock)
    gate.limits.pace.gap = 1.0
    Waiting(gate)
    return gate, clock


def test_one_waits_for_the_pace_and_wakes_the_next_when_it_leaves(paced):
    gate, clock = paced
    first, second, third = Waiting(gate), Waiting(gate), Waiting(gate)
    assert [one.delay for one in (first, second, third)] == [1.0, None, None]
    clock.now = 1.0
    first.go_on()
    assert (second.bell.rung, third.bell.rung) == (True, False)
    second.go_on()
    assert second.delay == 1.0


@pytest.mark.parametrize("way", ["stopped", "cancelled"])
def test_who_waits_for_the_pace_and_gives_up_wakes_the_next(paced, way):
    gate, _ = paced
    first, second = Waiting(gate), Waiting(gate)
    if way == "stopped":
        first.scope.stop()
        first.go_on()
    else:
        first.entering.close()
    assert second.bell.rung
    second.go_on()
    assert second.delay == 1.0


def test_waiting_for_the_pace_uses_up_no_patience(paced):
    gate, clock = paced
    one = Waiting(gate)
    clock.now = 1.0
    one.go_on()
    assert one.came_to is not None
    assert one.held == 0.0


def test_who_may_not_wait_is_told_what_closed_the_gate():
    gate = Gate(TrafficLimiter(most=1, settled=True), clock=lambda: 0.0)
    gate.chance = lambda: 0.0
    gate.leave(Waiting(gate).came_to, Feedback(Load.UNAVAILABLE, retry_after=60.0, cause="an outage"))
    assert Waiting(gate).came_to == NotSent(NotSentReason.BREAKER_OPEN, retry_after=60.0, cause="an outage")
