"""Who may send next: permits are handed over first come, first served, single queries before bulk work.

The limiter stands behind one lock. A permit is given to the request at the head of the queue, whose thread or task is
then woken; there is no race. Three things guard against a thread or an event loop that stalls: a permit that is not
taken up within `START_SECONDS`, or not released in time, is revoked; every waiting request serves the queue each
`HEARTBEAT` seconds, so none depends on the thread of another; and one that has not done so in time is passed over.

Where the user has a limiter, a request asks it with its permit in hand, one of each line at a time: then those who wait
keep no permit from the other line, and nobody overtakes the request that is told to wait. It gives its permit back
meanwhile and stays the head of its line, which nobody leaves until it has asked again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from typing import NamedTuple, TypeVar

from openrouter_embeddings._flows import NotSent, NotSentReason, Waker
from openrouter_embeddings._fork import ForkAware
from openrouter_embeddings._limits import Feedback, OverBudget, Permit, TrafficLimiter, Wait

from .lines import START_SECONDS, Entry, Lines
from .waiting import CancelScope

HEARTBEAT = 5.0
MARGIN = 5.0
"""Seconds for what comes before and after an exchange: building its body, reading its answer."""

W = TypeVar("W", bound=Waker)


class Released(NamedTuple):
    """What a request's answer means for its next attempt. See `Sent`."""

    waits_alone: bool
    may_replay: bool
    refused_for: float


class Dispatcher(ForkAware):
    """The queue of one client, shared by all its threads, tasks and loops.

    Args:
        limiter: Says whether a request may leave.
        clock: Monotonic seconds.
        jitter: Random numbers in [0, 1).
        asks: Whether a request asks a limiter of the user's before it leaves: see `renew`, `put_back`, `leave`.
    """

    def __init__(
        self, limiter: TrafficLimiter, *, clock: Callable[[], float], jitter: Callable[[], float], asks: bool = False
    ) -> None:
        self.limiter = limiter
        self.jitter = jitter
        self._clock = clock
        self._asks = asks
        self.after_fork()
        super().__init__()

    def after_fork(self) -> None:
        """Start empty in a forked child: waiting requests and those in flight belong to the parent."""
        self._lock = threading.Lock()
        self._lines = Lines()
        self.limiter.forget_in_flight()

    @property
    def waiting(self) -> int:
        """How many requests wait."""
        return len(self._lines)

    def acquire(
        self,
        scope: CancelScope,
        waiter: Callable[[], W],
        *,
        tokens: int,
        wait_budget: float,
        seconds: float,
        urgent: bool,
        goes_first: bool = False,
    ) -> Generator[tuple[W, float], None, tuple[Permit | NotSent, float]]:
        """Yield what to wait on, and for how long, until there is a permit or a reason to give up.

        Only the time for which the open breaker holds the request back counts against the wait budget: not the queue,
        nor our own pace. The call's own time runs all the while.

        Args:
            scope: Of the call.
            waiter: Makes what a thread or a task waits on.
            tokens: Estimated size of the request.
            wait_budget: Seconds that the open breaker may hold it back.
            seconds: What its exchange may take.
            urgent: Whether it goes before bulk work.
            goes_first: Whether it had a permit already, and was put back.

        Returns:
            The permit, or why there is none; and the seconds for which the breaker held the request back.
        """
        entry, held, settled = (
            Entry(self._lines.urgent if urgent else self._lines.bulk, tokens, self._clock()),
            0.0,
            False,
        )
        try:
            self._enter(entry, goes_first=goes_first)
            while True:
                outcome = self._take_up(entry, seconds)
                if outcome is not None:
                    settled = True
                    return outcome, held
                outcome = self._reason_to_give_up(scope, wait_budget - held)
                if outcome is not None:
                    return outcome, held
                began, wait = self._clock(), self._obstacle(entry)
                waker = waiter()
                delay = self._prepare_wait(entry, waker, scope, wait)
                scope.register(waker)
                try:
                    yield waker, delay
                finally:
                    scope.unregister(waker)
                if wait is not None and wait.refused:
                    held += self._clock() - began
                self._look_after_queue()
        finally:
            if not settled:
                self._leave(entry)

    def release(self, permit: Permit, feedback: Feedback | None) -> Released:
        """Take a permit back, with what the answer says about the load, or None if no answer came."""
        now, jitter = self._clock(), self.jitter()
        with self._lock:
            was_open = self.limiter.breaker.open_until
            waits_alone = False
            if feedback is None:
                self.limiter.cancel(permit)
            else:
                waits_alone = self.limiter.release(permit, feedback, now=now, jitter=jitter)
            since = self.limiter.breaker.refusing_since
            released = Released(
                waits_alone=waits_alone,
                may_replay=self.limiter.retry_quota.allows(now),
                refused_for=0.0 if since is None else now - since,
            )
            # Waiting requests are ended first: none may take this permit and get the same answer.
            ends_calls = feedback is not None and feedback.ends_calls
            to_wake = self._end_all(feedback.cause) if feedback is not None and ends_calls else []
            to_wake += self._serve(now)
            if self.limiter.breaker.open_until != was_open:  # some may have to give up now
                to_wake += self._lines.all()
        _wake(to_wake)
        return released

    def renew(self, permit: Permit) -> None:
        """Note that a request with this permit still asks the user's limiter, and that its thread or loop moves."""
        with self._lock:
            permit.expires_at = self._clock() + HEARTBEAT + MARGIN

    def put_back(self, permit: Permit, seconds: float, *, urgent: bool) -> None:
        """Take a permit back, unused, from a request that the user's limiter lets ask again in so many seconds."""
        with self._lock:
            now = self._clock()
            (self._lines.urgent if urgent else self._lines.bulk).asks_again = now + seconds
            self.limiter.cancel(permit)
            to_wake = self._serve(now)
        _wake(to_wake)

    def leave(self, permit: Permit, seconds: float) -> bool:
        """Return whether a request may leave now, for so many seconds; it may not if a refusal came while it asked."""
        if not self._asks:
            return True
        with self._lock:
            now = self._clock()
            if not self.limiter.leave(permit, now):
                return False
            permit.expires_at = now + seconds + MARGIN
            for line in (self._lines.urgent, self._lines.bulk):
                line.asking = None if line.asking is permit else line.asking
            to_wake = self._serve(now)
        _wake(to_wake)
        return True

    def _enter(self, entry: Entry, *, goes_first: bool) -> None:
        with self._lock:
            if goes_first:
                entry.line.entries.appendleft(entry)
            else:
                entry.line.entries.append(entry)
            to_wake = self._serve(self._clock())
        _wake(to_wake)

    def _leave(self, entry: Entry) -> None:
        """Stop waiting. A permit that was handed over meanwhile and not taken up goes to the next."""
        with self._lock:
            if entry in entry.line.entries:
                entry.line.entries.remove(entry)
            if isinstance(entry.outcome, Permit):
                self.limiter.cancel(entry.outcome)
            to_wake = self._serve(self._clock())
        _wake(to_wake)

    def _take_up(self, entry: Entry, seconds: float) -> Permit | NotSent | None:
        """Return what was handed over. A permit that came too long ago is lost, and the wait goes on."""
        with self._lock:
            outcome, entry.outcome = entry.outcome, None
            if isinstance(outcome, Permit):
                if not outcome.active:
                    entry.line.entries.appendleft(entry)
                    return None
                outcome.expires_at = self._clock() + (HEARTBEAT if self._asks else seconds) + MARGIN
            return outcome

    def _reason_to_give_up(self, scope: CancelScope, wait_left: float) -> NotSent | None:
        if scope.cancelled:
            return NotSent(NotSentReason.CALL_STOPPED)
        with self._lock:
            breaker, now = self.limiter.breaker, self._clock()
            cause = breaker.opened_by if breaker.open_until is not None else None
            if scope.is_out_of_time:
                return NotSent(NotSentReason.OUT_OF_TIME, cause=cause)
            if breaker.open_until is not None and breaker.open_until - now > wait_left:
                return NotSent(NotSentReason.BREAKER_OPEN, retry_after=breaker.open_until - now, cause=cause)
        return None

    def _obstacle(self, entry: Entry) -> Wait | None:
        with self._lock:
            now = self._clock()
            wait = self.limiter.obstacle(now)
            return wait if wait is not None and wait.refused else entry.line.obstacle(now) or wait

    def _prepare_wait(self, entry: Entry, waker: Waker, scope: CancelScope, wait: Wait | None) -> float:
        """Return for how long to wait at most: the head of the queue until the time that it waits for."""
        with self._lock:
            now = self._clock()
            entry.waker = waker
            delay = scope.seconds_left(HEARTBEAT)
            entry.wakes_at = now + delay
            if self._lines.next(now) is entry:
                moments = (self.limiter.next_expiry(), wait.until if wait is not None else None)
                delay = min([delay, *(max(0.0, moment - now) for moment in moments if moment is not None)])
                entry.wakes_at = now + delay
            if entry.outcome is not None or scope.cancelled:
                waker.wake()
        scope.will_move_within(HEARTBEAT + MARGIN)
        return delay

    def _look_after_queue(self) -> None:
        with self._lock:
            to_wake = self._serve(self._clock())
        _wake(to_wake)

    def _serve(self, now: float) -> list[Entry]:
        """Hand permits to the head of the queue as long as there are any; return the entries to wake."""
        self.limiter.take_back_expired(now)
        served: list[Entry] = []
        while (entry := self._lines.next(now)) is not None:
            outcome = entry.line.obstacle(now) or self.limiter.acquire(
                now, entry.tokens, seconds=START_SECONDS, leaves=not self._asks
            )
            if isinstance(outcome, Wait):
                if outcome.until is not None and entry.wakes_at > outcome.until:
                    served.append(entry)  # to wait no longer than that
                break
            self._lines.take(entry)
            if isinstance(outcome, OverBudget):
                entry.outcome = NotSent(NotSentReason.OVER_BUDGET, spent=self.limiter.budget.spent)
            else:
                entry.outcome = outcome
                entry.line.asking = outcome if self._asks else None
            served.append(entry)
        return served

    def _end_all(self, cause: object) -> list[Entry]:
        """End every waiting request: each would get the same answer."""
        ended = self._lines.clear()
        for entry in ended:
            entry.outcome = NotSent(NotSentReason.ENDED_BY_OTHERS, cause=cause)
        return ended


def _wake(entries: list[Entry]) -> None:
    for entry in entries:
        if entry.waker is not None:
            entry.waker.wake()
