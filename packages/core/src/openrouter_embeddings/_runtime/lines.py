"""The requests that wait for a permit: those of single queries, and those of all other work."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from openrouter_embeddings._flows import NotSent, Waker
from openrouter_embeddings._limits import Permit, Wait

START_SECONDS = 2.0
BULK_SHARE = 8
"""One permit in so many goes to bulk work, however many queries wait."""


@dataclass(slots=True, eq=False)
class Line:
    """Requests of one class, first come, first served.

    Attributes:
        entries: Those that wait.
        asking: The permit of the one that asks the user's limiter now.
        asks_again: No sooner may the next one ask.
    """

    entries: deque[Entry] = field(default_factory=deque)
    asking: Permit | None = None
    asks_again: float = 0.0

    def first_awake(self, now: float) -> Entry | None:
        """Return the first entry whose thread or loop has not stalled."""
        for entry in self.entries:
            if entry.wakes_at + START_SECONDS > now:
                return entry
        return None

    def obstacle(self, now: float) -> Wait | None:
        """Return what keeps the next request from asking the user's limiter, or None."""
        if self.asking is not None and self.asking.active:
            return Wait()
        return Wait(self.asks_again, paced=True) if self.asks_again > now else None


@dataclass(slots=True, eq=False)
class Entry:
    """One request that waits.

    Attributes:
        line: Where.
        tokens: Its estimated tokens.
        wakes_at: When its thread or loop moves again by itself; if it has not by then, it has stalled.
        waker: What wakes it.
        outcome: What it was given.
    """

    line: Line
    tokens: int
    wakes_at: float
    waker: Waker | None = None
    outcome: Permit | NotSent | None = None


class Lines:
    """Both lines, and whose turn it is."""

    def __init__(self) -> None:
        self.urgent, self.bulk = Line(), Line()
        self._urgent_in_row = 0

    def __len__(self) -> int:
        return len(self.urgent.entries) + len(self.bulk.entries)

    def all(self) -> list[Entry]:
        """Return every entry."""
        return [*self.urgent.entries, *self.bulk.entries]

    def next(self, now: float) -> Entry | None:
        """Return the entry whose turn it is, or None. Bulk work whose turn it is and that may not ask yet passes it on."""
        urgent, bulk = self.urgent.first_awake(now), self.bulk.first_awake(now)
        if urgent is None or bulk is None:
            return urgent or bulk
        is_turn_of_bulk = self._urgent_in_row >= BULK_SHARE and self.bulk.obstacle(now) is None
        return bulk if is_turn_of_bulk else urgent

    def take(self, entry: Entry) -> None:
        """Take an entry out: it has had its turn."""
        entry.line.entries.remove(entry)
        self._urgent_in_row = self._urgent_in_row + 1 if entry.line is self.urgent else 0

    def clear(self) -> list[Entry]:
        """Take every entry out, and return them."""
        entries = self.all()
        self.urgent.entries.clear()
        self.bulk.entries.clear()
        return entries
