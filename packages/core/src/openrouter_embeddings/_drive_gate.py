"""Who waits where: the limits behind one lock, and the threads and tasks that wait for room."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Generator
from typing import Protocol

from ._effects import NotSent, Withheld
from ._limits import Limits, Overspent, Signal, Ticket, Wait


class Waker(Protocol):
    """Something that waits and can be woken from any thread."""

    def wake(self) -> None:
        """End the wait, now or as soon as it begins."""


class ThreadWaiter:
    """One wait of one thread."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self.wake = self._event.set

    def wait(self, seconds: float | None) -> None:
        """Return when woken or after `seconds`."""
        self._event.wait(seconds)


class TaskWaiter:
    """One wait of one asyncio task, on whichever loop runs it."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._event = asyncio.Event()

    def wake(self) -> None:
        """End the wait. A loop that is closed by now waits for nothing."""
        try:
            self._loop.call_soon_threadsafe(self._event.set)
        except RuntimeError:
            return

    async def wait(self, seconds: float | None) -> None:
        """Return when woken or after `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                await self._event.wait()
        except TimeoutError:
            return


class Scope:
    """One call: when it is stopped, nothing more of it is sent and its waits end."""

    def __init__(self) -> None:
        self.stopped = False
        self._wakers: set[Waker] = set()

    def stop(self) -> None:
        """Stop the call, from any thread."""
        self.stopped = True
        for waker in list(self._wakers):
            waker.wake()

    def watch(self, waker: Waker) -> None:
        """Wake this one too when the call is stopped."""
        self._wakers.add(waker)
        if self.stopped:
            waker.wake()

    def forget(self, waker: Waker) -> None:
        """Undo `watch`."""
        self._wakers.discard(waker)


class Gate:
    """The limits of one client, shared by all its threads, tasks and loops."""

    def __init__(self, limits: Limits, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.limits = limits
        self.clock = clock
        self.chance: Callable[[], float] = random.random
        self._lock = threading.Lock()
        self._waiters: deque[Waker] = deque()
        self._timed: Waker | None = None
        """Who waits for the pace. One is enough: when it leaves it wakes the next."""

    def after_fork(self) -> None:
        """Start afresh in a forked child: whoever held the lock or a place is in the parent."""
        self._lock = threading.Lock()
        self._waiters = deque()
        self._timed = None
        self.limits.forget_all()

    def entering(
        self, tokens: int, patience: float, scope: Scope, waiter: Callable[[], Waker]
    ) -> Generator[tuple[Waker, float | None], None, tuple[Ticket | NotSent, float]]:
        """Yield what to wait for until there is room or reason to give up; return that, and the seconds held.

        Only the time that a closed gate holds us counts against the patience, not our own queue or pace.
        """
        held, woken = 0.0, False
        try:
            while True:
                if scope.stopped:
                    return NotSent(Withheld.STOPPED), held
                mine = waiter()
                got = self._try(tokens, mine)
                if isinstance(got, Ticket):
                    woken = self.limits.pace.gap > 0.0
                    return got, held
                if isinstance(got, Overspent):
                    return NotSent(Withheld.OVERSPENT, spent=self.limits.spent), held
                delay = None if got.until is None else max(0.0, got.until - self.clock())
                if delay is not None and held + delay > patience:
                    woken = self._leave_queue(mine) or woken
                    return NotSent(Withheld.GATE_CLOSED, retry_after=delay, cause=self.limits.closed_by), held
                began = self.clock()
                scope.watch(mine)
                try:
                    yield mine, delay
                finally:
                    scope.forget(mine)
                    woken = self._leave_queue(mine)
                if got.closed:
                    held += self.clock() - began
        finally:
            # Who was woken and goes without a place wakes the next, and so does who leaves at a pace. Who waits again
            # does not: two would wake each other for as long as there is no room.
            if woken:
                self._wake(1)

    def leave(self, ticket: Ticket, signal: Signal | None) -> bool:
        """Give a place back, with what the answer said or None if none came; return whether a replay may follow."""
        with self._lock:
            if signal is None:
                self.limits.give_back(ticket)
            else:
                self.limits.leave(ticket, signal, now=self.clock(), chance=self.chance())
            may_replay = self.limits.may_replay()
        self._wake(max(1, self.limits.room()))
        return may_replay

    def _try(self, tokens: int, mine: Waker) -> Ticket | Wait | Overspent:
        with self._lock:
            got = self.limits.enter(self.clock(), tokens)
            if not isinstance(got, Wait):
                return got
            self._waiters.append(mine)
            if got.paced and self._timed is not None:
                return Wait()
            if got.paced:
                self._timed = mine
            return got

    def _leave_queue(self, mine: Waker) -> bool:
        """Stop waiting, and return whether it was our turn."""
        with self._lock:
            timed = self._timed is mine
            if timed:
                self._timed = None
            try:
                self._waiters.remove(mine)
            except ValueError:
                return True
            return timed

    def _wake(self, count: int) -> None:
        with self._lock:
            chosen = [self._waiters.popleft() for _ in range(min(count, len(self._waiters)))]
        for waker in chosen:
            waker.wake()
