"""The queue before the gate: each free place wakes one who waits, and no wake is lost or goes round in circles."""

from __future__ import annotations

import pytest

from openrouter_embeddings._drive_gate import Gate, Scope
from openrouter_embeddings._effects import NotSent, Withheld
from openrouter_embeddings._limits import Limits, Pressure, Signal

LANDED = Signal(Pressure.LANDED)


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
        self.go_on()

    def go_on(self) -> None:
        try:
            self.bell, _ = next(self.entering)
        except StopIteration as done:
            self.came_to = done.value[0]


@pytest.fixture
def gate() -> Gate:
    """A gate with one place."""
    return Gate(Limits(most=1, settled=True), clock=lambda: 0.0)


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
        assert first.came_to == NotSent(Withheld.STOPPED)
    else:
        first.entering.close()
    assert second.bell.rung


def test_who_gives_up_without_having_been_woken_wakes_nobody(gate):
    Waiting(gate)
    first, second = Waiting(gate), Waiting(gate)
    first.entering.close()
    assert not second.bell.rung
