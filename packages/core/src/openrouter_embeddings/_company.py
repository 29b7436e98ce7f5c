"""A call among the other calls of its client: which of its inputs they have in flight, and which are its own to send."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from ._effects import Flight, Heard
from .errors import (
    ConnectionFailedError,
    EmbeddingError,
    ProviderUnavailableError,
    RateLimitError,
    ServerError,
    TimedOutError,
)
from .results import Matrix

_SHARED_CAUSES = (RateLimitError, ProviderUnavailableError, ServerError, ConnectionFailedError, TimedOutError)
"""Failures that come after long waiting: whoever waited along would only feed an outage by asking again."""


class Company:
    """The other calls, as one call sees them. Its workers may use it from several threads.

    Attributes:
        shares: Whether the call's one input may travel in one request with those of other calls.
        followed: Our inputs that another call has in flight.
    """

    def __init__(self, flight: Flight, names: Sequence[Hashable], *, shares: bool = False) -> None:
        self.flight = flight
        self.names = names
        """What tells the call's inputs apart from all others that are marked in the same way."""
        self.shares = shares
        self.followed: dict[Hashable, int] = {}

    def claim(self, members: Sequence[int]) -> list[int]:
        """Return which of these are ours to send; the others, which another call has in flight, are followed."""
        names = [self.names[one] for one in members]
        ours = self.flight.claim(names)
        if len(ours) == len(names):
            return list(members)
        mine = set(ours)
        self.followed |= {name: one for name, one in zip(names, members, strict=True) if name not in mine}
        return [one for name, one in zip(names, members, strict=True) if name in mine]

    def join(self, item: Any, most: int) -> bool:
        """Say whether we are to gather what others ask for now; if not, somebody else takes our one input along."""
        gathering = self.flight.share(self.names[0], item, most)
        if not gathering:
            self.followed[self.names[0]] = 0
        return gathering

    def gathered(self) -> list[Any]:
        """Return the inputs that others have brought, which are ours to send from now on."""
        brought = self.flight.gathered()
        self.names = [*self.names, *(name for name, _ in brought)]
        return [item for _, item in brought]

    def land(self, members: Sequence[int], rows: Matrix) -> None:
        """Give what has landed to the calls that wait for it."""
        self.flight.land([self.names[one] for one in members], rows)

    def release(
        self, members: Sequence[int], causes: Mapping[int, EmbeddingError], cause: EmbeddingError | None
    ) -> None:
        """Let other calls have what did not land here, or the reason why nobody will."""
        self.flight.release(
            [self.names[one] for one in members], {self.names[one]: causes.get(one, cause) for one in members}
        )

    def part(self) -> None:
        """Release everything: the call is over."""
        self.gathered()
        self.release(range(len(self.names)), {}, None)

    def heard(self, heard: Mapping[Hashable, Heard]) -> dict[int, Heard]:
        """Return what became of our inputs; where waiting longer may help after all, None."""
        followed, self.followed = self.followed, {}
        return {member: _final(heard.get(name)) for name, member in followed.items()}


def _final(heard: Heard) -> Heard:
    return None if isinstance(heard, EmbeddingError) and not isinstance(heard, _SHARED_CAUSES) else heard


def failed_elsewhere(error: EmbeddingError, positions: Sequence[int]) -> EmbeddingError:
    """Return another call's error as that of our own input at `positions`."""
    mine = type(error)(f"Another call had an equal input in flight, and it failed: {error.message}")
    mine.__dict__.update({**error.__dict__, "message": mine.message})
    mine.positions = tuple(positions)
    return mine
