"""How threads and tasks wait, and how a call is cancelled."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

from openrouter_embeddings._flows import CallShare, Waker

TICK = 0.5
"""Seconds after which a waiting thread looks for signals: one that another thread received does not end its wait."""


class ThreadWaiter:
    """A wait of threads, which one `wake` ends for good.

    The lock is a bare one. Ctrl-C within an `Event` or a `Condition` may leave its lock locked, and the thread that is to
    wake it hangs.
    """

    def __init__(self) -> None:
        self.is_woken = False
        self._gate = threading.Lock()
        self._gate.acquire()

    def wake(self) -> None:
        """End the wait, now and from now on."""
        self.is_woken = True
        try:
            self._gate.release()
        except RuntimeError:
            return  # it is open

    def wait(self, seconds: float) -> None:
        """Return when woken or after `seconds`."""
        while not self.is_woken and seconds > 0.0:
            if self._gate.acquire(timeout=min(seconds, TICK)):
                self.wake()  # for another thread that waits
            seconds -= TICK


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


class CancelScope:
    """One call as its driver sees it: once it is cancelled, nothing more of it is sent and its waits end.

    Args:
        clock: Monotonic seconds.
        seconds: What the call may take in all, or None.
        share: The call among the others of its client; it learns when the call should move next.
    """

    def __init__(
        self, clock: Callable[[], float], seconds: float | None = None, share: CallShare | None = None
    ) -> None:
        self.cancelled = False
        self.claimed: set[bytes] = set()
        """What the call has claimed in the cache, and neither stored nor given up."""
        self._clock = clock
        self._deadline = None if seconds is None else clock() + seconds
        self._share = share
        self._wakers: set[Waker] = set()

    def cancel(self) -> None:
        """Cancel the call, from any thread."""
        self.cancelled = True
        for waker in list(self._wakers):
            waker.wake()

    def register(self, waker: Waker) -> None:
        """Wake this one too when the call is cancelled."""
        self._wakers.add(waker)
        if self.cancelled:
            waker.wake()

    def unregister(self, waker: Waker) -> None:
        """Undo `register`."""
        self._wakers.discard(waker)

    def seconds_left(self, most: float) -> float:
        """Return how many of `most` seconds the call has left."""
        return most if self._deadline is None else max(0.0, min(most, self._deadline - self._clock()))

    @property
    def is_out_of_time(self) -> bool:
        """Whether the call's time is over."""
        return self._deadline is not None and self._clock() >= self._deadline

    def will_move_within(self, seconds: float) -> None:
        """Promise a sign of life, to the calls that wait for this one."""
        if self._share is not None:
            self._share.will_move_within(seconds)
