"""How much may be in flight: one gate, one width, one purse for a whole client. Pure: time and chance are arguments.

The gate is closed by a 429, 503 or 529 until the time told, and reopened by one probe. Behind it the
width starts small, doubles per full round until the first refusal, then grows by one and halves once
per refused window. Where most of what was in flight landed all the same, the gateway has a cap on how
many it takes at once: then the width falls to what it took, and stays there for ever longer before one
more is tried, as each try above a cap costs a closed gate. The purse withholds a request that would
pass `max_cost`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

FIRST_WIDTH = 4
ROUNDS_AT_THE_CAP = 64
"""Full rounds at a known cap before more is tried; twice as many after each refusal there."""
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
    tokens: int
    held: float


@dataclass(frozen=True, slots=True)
class Wait:
    """No room now. `until` is the monotonic time at which a closed gate may be tried again."""

    until: float | None = None

    @property
    def closed(self) -> bool:
        """Whether the gateway, not our own width, is what holds us."""
        return self.until is not None


class Overspent:
    """The request would pass `max_cost`."""


class Limits:
    """The state of one client's traffic. Not thread-safe by itself: the driver holds a lock around each call."""

    def __init__(self, *, most: int, max_cost: float | None = None, settled: bool = False) -> None:
        self.most = most
        self.max_cost = max_cost
        self.settled = settled
        """False until an answer landed: until then one request in flight finds out how to ask."""
        self.width = float(min(FIRST_WIDTH, most))
        self.in_flight = 0
        self.spent = 0.0
        self._reserved = 0.0
        self._dearest = 0.0
        self._priced = False
        self._refused_ever = False
        self._landed_in_round = 0
        self._peak_in_round = 0
        self._window = 0
        self._closed_until: float | None = None
        self.closed_by: object = None
        self._probing = False
        self._refusals_in_row = 0
        self._cap: int | None = None
        self._rounds_left = 0
        self._rounds_at_the_cap = ROUNDS_AT_THE_CAP
        self._flown_in_window = 0
        self._refused_in_window = 0
        self._replays = REPLAYS_MOST

    def enter(self, now: float, tokens: int) -> Ticket | Wait | Overspent:
        """Take a place, or learn what to wait for."""
        probe = self._closed_until is not None
        if probe:
            assert self._closed_until is not None
            if now < self._closed_until:
                return Wait(self._closed_until)
            if self._probing:
                return Wait()
        if self.in_flight >= self.room_for_all():
            return Wait()
        held = self._dearest * tokens
        if self.max_cost is not None:
            if self.spent >= self.max_cost or self.spent + self._reserved + held > self.max_cost:
                # What is in flight may turn out cheaper than reserved: then there is room again.
                return Wait() if self._reserved and self.spent + held <= self.max_cost else Overspent()
            self._reserved += held
        self._probing = probe
        self.in_flight += 1
        self._peak_in_round = max(self._peak_in_round, self.in_flight)
        return Ticket(window=self._window, probe=probe, tokens=tokens, held=held)

    def room_for_all(self) -> int:
        """Return how many requests may be in flight just now."""
        unpriced = self.max_cost is not None and not self._priced
        return 1 if unpriced or not self.settled else max(1, min(self.most, int(self.width)))

    def room(self) -> int:
        """Return how many more requests may start just now, a closed gate aside."""
        return max(0, self.room_for_all() - self.in_flight)

    def leave(self, ticket: Ticket, signal: Signal, *, now: float, chance: float) -> None:
        """Give the place back, with what the answer said."""
        self.give_back(ticket)
        if signal.cost is not None:
            self._pay(ticket, signal.cost)
        if signal.pressure is Pressure.LANDED:
            self._landed(ticket)
        elif signal.pressure is Pressure.REFUSED:
            self.closed_by = signal.cause
            self._refused(ticket, signal.retry_after, now, chance)
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

    def _landed(self, ticket: Ticket) -> None:
        self.settled = True
        self._refusals_in_row = 0
        self._replays = min(REPLAYS_MOST, self._replays + REPLAY_EARNED)
        if ticket.window == self._window and self._closed_until is not None:
            # Only an answer that was asked for after the refusal proves that the gateway takes requests again.
            self._closed_until = None
            self._learn_cap()
        self._landed_in_round += 1
        if self._landed_in_round < int(self.width):
            return
        if self._peak_in_round * 2 >= int(self.width):
            self._grow()
        self._landed_in_round = self._peak_in_round = 0

    def _grow(self) -> None:
        """Widen after a full round, at a known cap only now and then."""
        if self._cap is not None and self.width >= self._cap and self._rounds_left > 0:
            self._rounds_left -= 1
            return
        self.width = min(self.most, self.width + 1 if self._refused_ever else self.width * 2)

    def _learn_cap(self) -> None:
        """Tell a cap from a limit on the rate or an outage: of what was in flight, most landed."""
        landed = self._flown_in_window - self._refused_in_window
        if landed >= FIRST_WIDTH and landed >= self._refused_in_window:
            again = self._cap is not None and landed >= self._cap - 1
            self._rounds_at_the_cap = self._rounds_at_the_cap * 2 if again else ROUNDS_AT_THE_CAP
            self._cap, self.width, self._rounds_left = landed, float(landed), self._rounds_at_the_cap
        elif self._cap is not None and landed < self._cap // 2:
            self._cap = None

    def _refused(self, ticket: Ticket, retry_after: float | None, now: float, chance: float) -> None:
        told = retry_after or 0.0
        spread = min(OPENING_SPREAD * told, OPENING_SPREAD_MOST) * chance
        wait = max(back_off(self._refusals_in_row, chance), told + spread)
        self._closed_until = max(self._closed_until or 0.0, now + wait)
        self._refused_in_window += 1
        if ticket.window != self._window:
            return  # one refused window halves the width once, however many requests it turned away
        if not ticket.probe:
            self._flown_in_window, self._refused_in_window = self.in_flight + 1, 1
        self._window += 1
        self._refused_ever = True
        if retry_after is None:  # an outage rather than a limit
            self._replays = max(0.0, self._replays - 1.0)
        self._refusals_in_row += 1
        self._landed_in_round = self._peak_in_round = 0
        self.width = max(1.0, self.width / 2)
