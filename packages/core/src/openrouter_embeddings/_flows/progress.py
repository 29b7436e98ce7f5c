"""How a call tells its caller how far it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from openrouter_embeddings._fork import Lock


class ProgressReports:
    """Tells a caller how many inputs are done: one report at a time, each of more than the one before.

    Batches land on many threads: whoever counts first may be about to tell last, and a callback of the caller's may know
    nothing of threads. What is not yet stored is not done, whichever batch is told of meanwhile.

    Args:
        tell: Called with how many of how many inputs are done.
        index_of_position: Which distinct input stands at each position.
    """

    def __init__(self, tell: Callable[[int, int], None], index_of_position: Sequence[int]) -> None:
        self._tell, self._total = tell, len(index_of_position)
        self._positions_left = np.bincount(np.asarray(index_of_position, dtype=np.intp))
        self._done = self._told = 0
        self._lock = Lock()

    def note(self, members: Sequence[int]) -> None:
        """Count distinct inputs, for the next report."""
        with self._lock:
            self._count(members)

    def report(self, members: Sequence[int]) -> None:
        """Count distinct inputs, and tell how many positions are done now."""
        with self._lock:
            self._count(members)
            if self._done > self._told:
                self._told = self._done
                self._tell(self._done, self._total)

    def _count(self, members: Sequence[int]) -> None:
        where = list(members)
        self._done += int(self._positions_left[where].sum())
        self._positions_left[where] = 0
