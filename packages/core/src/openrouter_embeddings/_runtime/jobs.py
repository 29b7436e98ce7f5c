"""Jobs that threads do side by side. A thread that waits for one may be interrupted anywhere, and leaves nothing locked.

The executors and futures of the standard library take their locks in functions written in Python. Ctrl-C within one of those
may leave a lock locked, and the thread that does the work hangs, and the end of the interpreter with it.
"""

from __future__ import annotations

import contextvars
import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from openrouter_embeddings._fork import Lock

from .waiting import TICK, ThreadWaiter

T = TypeVar("T")


class Job(Generic[T]):
    """Some work, done in the context in which this was made.

    Args:
        work: What to call.
    """

    def __init__(self, work: Callable[[], T]) -> None:
        self.outcome: T | BaseException | None = None
        """What the work has returned or raised."""
        self._work = work
        self._context = contextvars.copy_context()
        self._waiter = ThreadWaiter()

    def run(self) -> None:
        """Do it."""
        try:
            self.outcome = self._context.run(self._work)
        except BaseException as error:  # noqa: BLE001  for the thread that waits
            self.outcome = error
        self._waiter.wake()

    def done(self) -> bool:
        """Return whether it is done."""
        return self._waiter.is_woken

    def wait(self) -> None:
        """Return when it is done. Signals are looked for meanwhile."""
        while not self.done():
            self._waiter.wait(TICK)

    def start(self) -> None:
        """Do it in a thread of its own, which the end of the interpreter does not wait for."""
        threading.Thread(target=self.run, name="openrouter-embeddings", daemon=True).start()


class JobThreads:
    """Threads that do jobs in the order in which they came. One that finds nothing to do ends.

    Args:
        most: How many there may be.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._running = 0
        self._jobs: deque[Job[None]] = deque()
        self._lock = Lock()

    def start(self, job: Job[None]) -> None:
        """Have a job done when its turn comes. The end of the interpreter waits for it."""
        with self._lock:
            self._jobs.append(job)
            if self._running == self._most:
                return
            self._running += 1
        threading.Thread(target=self._work, name="openrouter-embeddings").start()

    def _work(self) -> None:
        while (job := self._next()) is not None:
            job.run()

    def _next(self) -> Job[None] | None:
        with self._lock:
            if self._jobs:
                return self._jobs.popleft()
            self._running -= 1
            return None
