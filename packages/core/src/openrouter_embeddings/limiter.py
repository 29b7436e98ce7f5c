"""What a limiter must offer that several clients share, on one machine or on many: a lease for each request."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

LeaseKind: TypeAlias = Literal["landed", "refused", "failed", "unused"]


class LimiterWarning(UserWarning):
    """A limiter cannot do its work, or could not take a lease back; embedding goes on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseOutcome:
    """What became of the request that a lease was for.

    Attributes:
        kind: `"landed"`: a right answer came. `"refused"`: the gateway is busy, down or cannot be reached (429, 503, 529,
            no connection), which concerns every client. `"failed"`: the request left, and anything else came of it.
            `"unused"`: it never left.
        requests: Requests that the lease was for.
        tokens: Tokens billed, where the answer said.
        cost: USD billed, where the answer said.
        retry_after: Seconds that the gateway asked to wait, where the refusal said.
    """

    kind: LeaseKind
    requests: int = 1
    tokens: int | None = None
    cost: float | None = None
    retry_after: float | None = None


class Lease(Protocol):
    """The right to have one request in flight, as a `Limiter` gives it."""

    def release(self, outcome: LeaseOutcome, /) -> object:
        """Take the lease back. Called once for each lease, in the process that acquired it; may be a coroutine function.

        What it raises is a `LimiterWarning` and ends nothing. It is waited for, for five seconds at most.
        """
        ...


Answer: TypeAlias = Lease | float


class Limiter(Protocol):
    """What a limiter of your own must offer. It is called from several threads, but for one request of a kind at a time.

    The kinds are single queries, and all other work.
    """

    def acquire(self, requests: int, tokens: int, /) -> Answer | Awaitable[Answer]:
        """Return a lease, or after how many seconds to ask again; may be a coroutine function, for an `AsyncClient`.

        Return seconds rather than wait: a request that is told to wait holds up no query meanwhile. A function that waits
        all the same does so in a thread of its own, and the call can still end before it returns. What it raises ends the
        call.

        Args:
            requests: How many requests the lease is for.
            tokens: Their estimated tokens.
        """
        ...


class BeforeRequest:
    """A function that waits, as a limiter whose leases need not come back.

    Args:
        function: Called with the estimated tokens of each request.
    """

    def __init__(self, function: Callable[[int], object]) -> None:
        self._function = function

    def acquire(self, _: int, tokens: int, /) -> Lease:
        """Return a lease once the function has returned."""
        self._function(tokens)
        return NO_LEASE


class _NoLease:
    def release(self, outcome: LeaseOutcome, /) -> None:
        """Do nothing."""


NO_LEASE = _NoLease()
"""A lease that need not be released."""
