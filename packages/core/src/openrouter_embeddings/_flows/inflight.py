"""Equal inputs of different calls are sent once: single-flight, as Go's `golang.org/x/sync/singleflight` names it.

The first call to claim an input owns it: it sends the input, and publishes the embedding to the calls that wait for it.
If it cannot, it abandons the input, with the error or with nothing: then a waiting call claims it for itself. An owner
whose thread or event loop stalls misses the time at which it should have moved, and loses its claims.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Hashable, Mapping, Sequence
from typing import Protocol, TypeAlias

from openrouter_embeddings._fork import ForkAware, Lock
from openrouter_embeddings._matrix import Matrix
from openrouter_embeddings.errors import (
    ConnectionFailedError,
    EmbeddingError,
    ProviderUnavailableError,
    RateLimitError,
    ServerError,
    TimedOutError,
)

SharedOutcome: TypeAlias = "Matrix | EmbeddingError | None"
"""The embedding, the error, or None if the owner gave up and the input must be sent again."""
_SHAREABLE_ERRORS = (RateLimitError, ProviderUnavailableError, ServerError, ConnectionFailedError, TimedOutError)
"""Errors raised only after the retry budget is spent. Calls that shared the request get the same error: retrying would
add load to an outage."""


class Waker(Protocol):
    """Something that waits and can be woken from any thread."""

    def wake(self) -> None:
        """End the wait, now or as soon as it begins."""


class InFlightRegistry(ForkAware):
    """Which call owns which input, over all calls, threads and loops of one client.

    Args:
        clock: Monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.lock = Lock()
        self.owners: dict[Hashable, dict[Hashable, CallShare]] = {}
        """By kind, then by input."""
        self.publications = 0
        super().__init__()

    def after_fork(self) -> None:
        """Start with nothing in flight: in a forked child, all of it belongs to the parent."""
        self.owners = {}

    def join(self, kind: Hashable, names: Sequence[Hashable]) -> CallShare:
        """Return a new call's share.

        Args:
            kind: How its inputs are marked and encoded: those of different kinds are never equal.
            names: What tells its inputs apart from others of the kind.
        """
        return CallShare(self, kind, names)


class CallShare:
    """One call among the others of its client. Its workers may use it from several threads."""

    def __init__(self, registry: InFlightRegistry, kind: Hashable, names: Sequence[Hashable]) -> None:
        self._registry = registry
        self._kind = kind
        self._owners = registry.owners.setdefault(kind, {})
        self._names = names
        self._waiting_calls: dict[Hashable, list[CallShare]] = {}
        self._waiting_for: dict[Hashable, int] = {}
        self._outcomes: dict[int, SharedOutcome] = {}
        self._landed: dict[Hashable, Matrix] = {}
        """What has landed and is not in the cache yet."""
        self.shortened: set[int] = set()
        """Inputs whose embedding came from another call, which had cut or averaged them: they were too long."""
        self._publications_seen = registry.publications
        self._waker: Waker | None = None
        self._moves_until = math.inf
        self._within: CallShare | None = None

    @property
    def is_waiting(self) -> bool:
        """Whether some inputs are owned by other calls, or their outcomes not yet taken."""
        return bool(self._waiting_for or self._outcomes)

    @property
    def is_waiting_for_others(self) -> bool:
        """Whether some inputs are owned by other calls."""
        return bool(self._waiting_for)

    def will_move_within(self, seconds: float) -> None:
        """Promise a sign of life. Where none is given in time, other calls take the inputs over."""
        until = self._registry.clock() + seconds
        self._moves_until = until if self._moves_until == math.inf else max(self._moves_until, until)
        if self._within is not None:
            self._within.will_move_within(seconds)

    def promise_for(self, within: CallShare | None) -> None:
        """Pass each promise on to a call that is made within this one: its driver knows this one only."""
        self._within = within

    def claim(self, members: Sequence[int]) -> list[int]:
        """Return which of these inputs are ours to send; the others are waited for."""
        with self._registry.lock:
            return [member for member in members if self._claim_one(member)]

    def _claim_one(self, member: int) -> bool:
        name = self._names[member]
        owner = self._owners.setdefault(name, self)
        if owner is self:
            return True
        if name in owner._landed:
            self._waiting_for[name] = member
            self._deliver(name, owner._landed[name].copy())
            return False
        if owner._stands_still():
            self._owners[name] = self
            self._waiting_calls[name] = owner._waiting_calls.pop(name, [])
            return True
        owner._waiting_calls.setdefault(name, []).append(self)
        self._waiting_for[name] = member
        return False

    def follower(self, member: int) -> CallShare:
        """Return the share of a call with one input, which waits for one of ours."""
        other = CallShare(self._registry, self._kind, [self._names[member]])
        other.claim([0])
        return other

    def has_newer_results(self) -> bool:
        """Return whether other calls have published anything since this one began: the cache may know more by now."""
        return self._registry.publications > self._publications_seen

    def publish(
        self, members: Sequence[int], rows: Matrix, *, shortened: Container[int] = (), until_kept: bool = False
    ) -> None:
        """Hand embeddings to the calls that wait for them.

        Args:
            members: What landed.
            rows: Their embeddings.
            shortened: Which of them are of texts that were cut or averaged.
            until_kept: Whether the cache is still to be written. Calls that claim an input meanwhile find it neither in
                flight nor in the cache, so they get it here, until `kept` says that it is written.
        """
        with self._registry.lock:
            self._note_publication()
            for member, row in zip(members, rows, strict=True):
                name = self._names[member]
                for call in self._close(name):
                    # A copy: our caller may change its own array.
                    call._deliver(name, row.copy(), shortened=member in shortened)
                if until_kept and self._owners.setdefault(name, self) is self:
                    self._landed[name] = row

    def kept(self, members: Sequence[int]) -> None:
        """Give up what has landed: from now on the cache has it, or cannot have it."""
        with self._registry.lock:
            for member in members:
                self._close(self._names[member])

    def abandon(self, members: Sequence[int], causes: Mapping[int, EmbeddingError | None]) -> None:
        """Give up what has not been published. Waiting calls get a cause that they share, or send the input themselves."""
        with self._registry.lock:
            for member in members:
                if self._names[member] in self._landed:
                    continue  # `kept` gives it up: the cache may be written after its call is gone
                cause = causes.get(member)
                for call in self._close(self._names[member]):
                    call._deliver(self._names[member], cause if isinstance(cause, _SHAREABLE_ERRORS) else None)

    def leave(self) -> None:
        """Wait for nothing any more: the call is over."""
        with self._registry.lock:
            self._waiting_for.clear()

    def notify_when_resolved(self, waker: Waker) -> None:
        """Have `waker` woken once everything that is waited for was published or abandoned."""
        with self._registry.lock:
            self._waker = waker
            if not self._waiting_for:
                waker.wake()

    def seconds_until_stall(self) -> float:
        """Return after how many seconds an owner that is waited for should have moved."""
        with self._registry.lock:
            owners = [self._owners.get(name) for name in self._waiting_for]
            until = min((owner._moves_until for owner in owners if owner is not None), default=math.inf)
            return max(0.0, until - self._registry.clock())

    def give_up_on_stalled(self) -> bool:
        """Wait no longer for owners that stand still; return whether nothing is waited for any more."""
        with self._registry.lock:
            for name, member in list(self._waiting_for.items()):
                owner = self._owners.get(name)
                if owner is None or owner._stands_still():
                    del self._waiting_for[name]
                    self._outcomes[member] = None
            return not self._waiting_for

    def outcomes(self) -> dict[int, SharedOutcome]:
        """Return what became of the inputs that were waited for, None for those that were not resolved in time."""
        with self._registry.lock:
            unresolved = dict.fromkeys(self._waiting_for.values())
            self._waiting_for.clear()
            self._waker = None
            resolved, self._outcomes = self._outcomes, {}
            return {**unresolved, **resolved}

    def _stands_still(self) -> bool:
        return self._registry.clock() > self._moves_until

    def _note_publication(self) -> None:
        self._registry.publications += 1
        self._publications_seen += 1

    def _close(self, name: Hashable) -> Sequence[CallShare]:
        """Give up the ownership of a name, and return the calls that wait for it."""
        if self._owners.get(name) is not self:
            return ()
        del self._owners[name]
        if self._landed.pop(name, None) is not None:
            self._note_publication()  # from now on the cache has it
        return self._waiting_calls.pop(name, ()) if self._waiting_calls else ()

    def _deliver(self, name: Hashable, outcome: SharedOutcome, *, shortened: bool = False) -> None:
        member = self._waiting_for.pop(name, None)
        if member is None:
            return
        self._outcomes[member] = outcome
        if shortened:
            self.shortened.add(member)
        if not self._waiting_for and self._waker is not None:
            self._waker.wake()
