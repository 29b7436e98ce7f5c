"""How a call tells its caller how far it is."""

from __future__ import annotations

from collections.abc import Callable

from openrouter_embeddings._fork import Lock


class Progress:
    """How many inputs are done, told one report at a time and never fewer than before.

    Batches land on many threads; so who counted first may be about to tell it last, and a callback of the caller's may
    know nothing of threads.

    Args:
        tell: Called with how many of how many inputs are done.
        total: How many there are.
    """

    def __init__(self, tell: Callable[[int, int], None], total: int) -> None:
        self._tell, self._total, self._told = tell, total, 0
        self._lock = Lock()

    def report(self, count: Callable[[], int]) -> None:
        """Tell how many are done now, if they are more than were told."""
        with self._lock:
            done = count()
            if done > self._told:
                self._told = done
                self._tell(done, self._total)
