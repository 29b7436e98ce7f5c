"""Who has which input in flight: equal inputs of different calls are sent by the first, and handed to the others."""

from __future__ import annotations

import threading
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from ._drive_gate import Waker
from ._effects import Heard
from .results import Matrix


class Flights:
    """All that one client has in flight, over all its calls, threads and loops."""

    def __init__(self) -> None:
        self.after_fork()

    def after_fork(self) -> None:
        """Start with nothing in flight: in a forked child, all of it is the parent's."""
        self.lock = threading.Lock()
        self.leaders: dict[tuple[str, str], dict[Hashable, Flight]] = {}
        self.groups: dict[tuple[str, str], Flight] = {}
        self.landings = 0

    def begin(self, kind: tuple[str, str]) -> Flight:
        """Return a call's share. Inputs of different kinds, marked in different ways, are never equal."""
        return Flight(self, kind)


class Flight:
    """One call's share. What it leads is its own to send; what it follows lands in another call."""

    def __init__(self, all_flights: Flights, kind: tuple[str, str]) -> None:
        self._all = all_flights
        self._kind = kind
        self._leaders = all_flights.leaders.setdefault(kind, {})
        self._landings_known = all_flights.landings
        self._followers: dict[Hashable, list[Flight]] = {}
        self._awaited: set[Hashable] = set()
        self._heard: dict[Hashable, Heard] = {}
        self._aboard: list[tuple[Hashable, Any]] = []
        self._waker: Waker | None = None

    def claim(self, names: Sequence[Hashable]) -> list[Hashable]:
        """Return the names that no other call has in flight: they are this one's to send. The others are followed."""
        with self._all.lock:
            return [name for name in names if self._leads(name)]

    def _leads(self, name: Hashable) -> bool:
        leader = self._leaders.setdefault(name, self)
        if leader is not self:
            leader._followers.setdefault(name, []).append(self)
            self._awaited.add(name)
        return leader is self

    def overtaken(self) -> bool:
        """Say whether other calls have landed anything since this one began: the cache may know more by now."""
        with self._all.lock:
            return self._all.landings > self._landings_known

    def land(self, names: Sequence[Hashable], rows: Matrix) -> None:
        """Hand what has landed to those who follow."""
        with self._all.lock:
            self._all.landings += 1
            self._landings_known += 1
            for name, row in zip(names, rows, strict=True):
                for follower in self._ended(name):
                    follower._hear(name, row.copy())  # the leader's caller may change its own array

    def release(self, names: Sequence[Hashable], causes: Mapping[Hashable, Heard]) -> None:
        """Give up what has not landed. Who follows hears the cause, or None: then it is theirs to send."""
        with self._all.lock:
            for name in names:
                for follower in self._ended(name):
                    follower._hear(name, causes.get(name))

    def _ended(self, name: Hashable) -> Sequence[Flight]:
        """Forget that this call leads a name, and return who followed."""
        if self._leaders.get(name) is not self:
            return ()
        del self._leaders[name]
        return self._followers.pop(name, ()) if self._followers else ()

    def _hear(self, name: Hashable, heard: Heard) -> None:
        if name not in self._awaited:
            return
        self._awaited.discard(name)
        self._heard[name] = heard
        if not self._awaited and self._waker is not None:
            self._waker.wake()

    def wake_when_heard(self, waker: Waker) -> None:
        """Have `waker` woken once everything that is followed has landed or been given up."""
        with self._all.lock:
            self._waker = waker
            if not self._awaited:
                waker.wake()

    def heard(self) -> dict[Hashable, Heard]:
        """Return what was heard, and follow nothing any more."""
        with self._all.lock:
            self._awaited.clear()
            self._waker = None
            heard, self._heard = self._heard, {}
            return heard

    def share(self, name: Hashable, item: Any, most: int) -> bool:
        """Begin to gather inputs for one request: True. Or hand ours to the call that gathers already, and follow it."""
        with self._all.lock:
            if not self._leads(name):
                return False
            gatherer = self._all.groups.get(self._kind)
            if gatherer is None:
                self._all.groups[self._kind] = self
                return True
            self._leaders[name] = gatherer
            gatherer._aboard.append((name, item))
            self._leads(name)  # which makes us follow
            if len(gatherer._aboard) + 1 >= most:
                del self._all.groups[self._kind]
            return False

    def gathered(self) -> list[tuple[Hashable, Any]]:
        """Stop gathering, and return what others have brought."""
        with self._all.lock:
            if self._all.groups.get(self._kind) is self:
                del self._all.groups[self._kind]
            aboard, self._aboard = self._aboard, []
            return aboard
