"""How many workers a call runs: as many as it has permits, and one that waits for the next."""

from __future__ import annotations

from collections.abc import Callable

from openrouter_embeddings._fork import Lock

from .effects import Flow


class Workers:
    """The workers of one call, which may run in several threads.

    Args:
        most: How many there may be.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._make: Callable[[], Flow[None]] | None = None
        self._count = self._waiting = 0
        self._lock = Lock()

    def begin(self, make: Callable[[], Flow[None]] | None) -> None:
        """Begin with one; `make` makes each further one, and None keeps to the first."""
        self._make, self._count = make, 1

    def wait(self) -> None:
        """Note that a worker waits for a permit."""
        with self._lock:
            self._waiting += 1

    def wait_no_longer(self) -> None:
        """Note that a worker has its permit, or gave up."""
        with self._lock:
            self._waiting -= 1

    def next(self, *, wanted: bool) -> Flow[None] | None:
        """Return one more worker where a request leaves, one is wanted, and no other waits for a permit."""
        with self._lock:
            self._waiting -= 1
            if self._make is None or not wanted or self._waiting or self._count >= self._most:
                return None
            self._count += 1
        return self._make()

    def end(self) -> None:
        """Note that a worker has nothing left to do."""
        with self._lock:
            self._count -= 1
