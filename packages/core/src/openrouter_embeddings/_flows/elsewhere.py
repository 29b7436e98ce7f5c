"""What other processes pay for, as one call knows it."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Elsewhere:
    """Inputs of a call that are claimed in the cache by another process.

    Attributes:
        now: Those that are waited for.
        ever: Those, and those that were, and are left to us by now. For the other calls of the client all are in flight.
        unclaimable: Those to be sent without a claim: waited for long enough, or stored with another width than is wanted.
    """

    now: set[int] = field(default_factory=set)
    ever: set[int] = field(default_factory=set)
    unclaimable: set[int] = field(default_factory=set)
