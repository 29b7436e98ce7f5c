"""How much may be in flight: one gate, one width, one pace, one purse for a whole client. Pure: no clock, no chance.

A 429, 503 or 529 closes the gate for everybody until the time told, and one probe reopens it. Behind it `_width` says
how many requests may be in flight and `_pace` how fast they may follow each other. The purse withholds a request that
would pass `max_cost`.

A single refusal among many that land closes the gate too, also where it looks like a cap on concurrency. What lands
was let in before the refusal; that the gateway would take more could only be seen by sending more during the time
told, and that is what it asked us not to do. So the refusal itself is made rare: the width goes back to what is known
to be good, and asks for more at ever longer intervals.

A 503 or 529 closes the gate, but says nothing about width or pace beyond one halving: it is an outage, not a limit.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from ._pace import Pace
from ._width import Width

BACK_OFF_FIRST = 0.5
BACK_OFF_MOST = 20.0
OPENING_SPREAD = 0.1
"""Opening is spread by up to a tenth, so that clients told the same second do not return in step,"""
OPENING_SPREAD_MOST = 0.5
"""but by no more than this: a tenth of two minutes would be lost time."""
REPLAYS_MOST = 100.0
REPLAYS_LEAST = 50.0
REPLAY_EARNED = 0.1
"""Each success earns a tenth of a replay; below half no replay is granted (as gRPC's A6 throttling does)."""


def back_off(failures: int, chance: float) -> float:
    """Return seconds to wait after so many failures in a row: full jitter, `chance` in [0, 1)."""
    return chance * min(BACK_OFF_MOST, BACK_OFF_FIRST * 2.0 ** min(failures, 16))


class Pressure(Enum):
    """What an answer says about the gateway's load."""

    LANDED = "landed"
    REFUSED = "too much: close the gate"
    UNAVAILABLE = "nobody there: close the gate, and spend from the replay budget"
    FAILED = "an outage: spend from the replay budget"
    NEUTRAL = "nothing about load"


@dataclass(frozen=True, slots=True)
class Signal:
    """What one answer tells the limits."""

    pressure: Pressure
    retry_after: float | None = None
    cost: float | None = None
    cause: object = None
    """What to blame for a gate that this closes."""


@dataclass(slots=True)
class Ticket:
    """The right to have one request in flight."""

    window: int
    probe: bool
    beside: int
    """How many others were in flight when it was given out."""
    tokens: int
    held: float


@dataclass(frozen=True, slots=True)
class Wait:
    """No room now. `until` is the monotonic time at which to try again; without it a place has to come free first."""

    until: float | None = None
    paced: bool = False

    @property
    def closed(self) -> bool:
        """Whether the gateway, not our own width, is what holds us."""
        return self.until is not None and not self.paced


class Overspent:
    """The request would pass `max_cost`."""


class Limits:
    """The state of one client's traffic. Not thread-safe by itself: the driver holds a lock around each call."""

    def __init__(self, *, most: int, max_cost: float | None = None, settled: bool = False) -> None:
        self.max_cost = max_cost
        self.settled = settled
        """False until an answer landed: until then one request in flight finds out how to ask."""
        self.width = Width(most)
        self.pace = Pace()
        self.in_flight = 0
        self.spent = 0.0
        self._reserved = 0.0
        self._dearest = 0.0
        self._priced = False
        self._left_at = 0.0
        self._wanted = False
        """Whether somebody was told to wait since the last request left."""
        self._window = 0
        self._closed_until: float | None = None
        self.closed_by: object = None
        self._probing = False
        self._refusals_in_row = 0
        self._replays = REPLAYS_MOST

    def enter(self, now: float, tokens: int) -> Ticket | Wait | Overspent:
        """Take a place, or learn what to wait for."""
        wait = self._obstacle(now)
        if wait is not None:
            self._wanted = True
            return wait
        held = self._dearest * tokens
        if self.max_cost is not None:
            if self.spent >= self.max_cost or self.spent + self._reserved + held > self.max_cost:
                # What is in flight may turn out cheaper than reserved: then there is room again.
                return Wait() if self._reserved and self.spent + held <= self.max_cost else Overspent()
            self._reserved += held
        if not self.in_flight and not self._wanted:
            self.pace.idle(now - self._left_at)
        self.pace.took(now)
        ticket = Ticket(self._window, self._closed_until is not None, self.in_flight, tokens, held)
        self._probing = ticket.probe
        self._wanted = False
        self.in_flight += 1
        self.width.entered(self.in_flight)
        return ticket

    def _obstacle(self, now: float) -> Wait | None:
        if self._closed_until is not None:
            if now < self._closed_until:
                return Wait(self._closed_until)
            if self._probing:
                return Wait()
        if self.in_flight >= self.room_for_all():
            return Wait()
        not_before = self.pace.not_before(now)
        return None if not_before is None else Wait(not_before, paced=True)

    def room_for_all(self) -> int:
        """Return how many requests may be in flight just now."""
        unpriced = self.max_cost is not None and not self._priced
        return 1 if unpriced or not self.settled else self.width.places()

    def room(self) -> int:
        """Return how many more requests may start just now, a closed gate aside."""
        return max(0, self.room_for_all() - self.in_flight)

    def leave(self, ticket: Ticket, signal: Signal, *, now: float, chance: float) -> None:
        """Give the place back, with what the answer said."""
        self.give_back(ticket)
        self._left_at = now
        if signal.cost is not None:
            self._pay(ticket, signal.cost)
        if signal.pressure is Pressure.LANDED:
            self._landed(ticket, now)
        elif signal.pressure in {Pressure.REFUSED, Pressure.UNAVAILABLE}:
            self._close(ticket, signal, now, chance)
        elif signal.pressure is Pressure.FAILED:
            self._replays = max(0.0, self._replays - 1.0)

    def give_back(self, ticket: Ticket) -> None:
        """Give the place back unused, or after a cancellation."""
        self.in_flight -= 1
        self._reserved = max(0.0, self._reserved - ticket.held)
        if ticket.probe:
            self._probing = False

    def forget_all(self) -> None:
        """Start with nothing in flight: in a forked child, all of it is the parent's."""
        self.in_flight = 0
        self._reserved = 0.0
        self._probing = False

    def may_replay(self) -> bool:
        """Return whether one more attempt at something that failed would not feed an outage."""
        return self._replays > REPLAYS_LEAST

    def closed_for(self, now: float) -> float:
        """Return the seconds until a closed gate may be tried again; 0.0 if it is open."""
        return 0.0 if self._closed_until is None else max(0.0, self._closed_until - now)

    def _pay(self, ticket: Ticket, cost: float) -> None:
        self.spent += cost
        self._priced = True
        if ticket.tokens:
            self._dearest = max(self._dearest, cost / ticket.tokens)

    def _landed(self, ticket: Ticket, now: float) -> None:
        self.settled = True
        self._refusals_in_row = 0
        self._replays = min(REPLAYS_MOST, self._replays + REPLAY_EARNED)
        current = ticket.window == self._window
        if current:
            # Only an answer that was asked for after the refusal proves that the gateway takes requests again.
            if self._closed_until is not None:
                self._closed_until = None
                self.width.reopened()
            self.pace.landed()
        self.width.landed(now, ticket.beside if current else 0)

    def _close(self, ticket: Ticket, signal: Signal, now: float, chance: float) -> None:
        told = signal.retry_after or 0.0
        spread = min(OPENING_SPREAD * told, OPENING_SPREAD_MOST) * chance
        wait = max(back_off(self._refusals_in_row, chance), told + spread)
        self._closed_until = max(self._closed_until or 0.0, now + wait)
        self.closed_by = signal.cause
        for_load = signal.pressure is Pressure.REFUSED and not ticket.probe
        if ticket.window != self._window:  # one refused window narrows once, however many requests it turned away
            if for_load and ticket.window == self._window - 1:
                self.width.also_refused(ticket.beside)
            return
        self._window += 1
        if signal.retry_after is None or signal.pressure is Pressure.UNAVAILABLE:  # an outage rather than a limit
            self._replays = max(0.0, self._replays - 1.0)
        self._refusals_in_row += 1
        if for_load:
            for_rate = self.width.refused(ticket.beside, flown=self.in_flight + 1, wait=wait, now=now)
            self.pace.refused(now, wait, for_rate=for_rate)
        else:
            self.width.halve()
