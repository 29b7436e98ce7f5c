"""How a stream of inputs becomes slices, one for each request, and what comes of a slice. Pure."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from ._job import Job
from ._learned import Learned
from ._plan import estimated_tokens
from .errors import EmbeddingError, InputError
from .inputs import Input
from .stream import StreamBatch

_CONTENT_TOKENS = 1000


class Slicer:
    """Gathers inputs until they fill a request, as large as one may be by what is known then."""

    def __init__(self, learned: Learned) -> None:
        self._learned = learned
        self._count = 0
        self._held: list[tuple[Any, Any]] = []
        self._tokens = 0

    def add(self, given: Any) -> list[tuple[Any, Any]] | None:
        """Take one input; return a slice when it is full."""
        pair = given if isinstance(given, tuple) and len(given) == 2 else (self._count, given)
        self._count += 1
        ident, one = pair
        one = one.as_py() if hasattr(one, "as_py") else one  # an Arrow scalar
        self._held.append((ident, one))
        self._tokens += estimated_tokens(one) if isinstance(one, str) else _CONTENT_TOKENS
        full = len(self._held) >= self._learned.max_inputs or self._tokens >= self._learned.max_tokens
        return self.rest() if full else None

    def rest(self) -> list[tuple[Any, Any]]:
        """Return what is gathered so far."""
        held, self._held, self._tokens = self._held, [], 0
        return held


def one_by_one(inputs: Any) -> Any:
    """Return the inputs for iteration: of an open file, the lines without their ends."""
    if isinstance(inputs, io.TextIOBase):
        return (line.removesuffix("\n") for line in inputs)
    return inputs


class Slice:
    """Some inputs on their way: those that can be sent are one job, the others have their errors at once."""

    def __init__(self, pairs: list[tuple[Any, Any]], prepare: Callable[[Iterable[Input]], Job]) -> None:
        self.ids = [ident for ident, _ in pairs]
        self.errors: dict[int, EmbeddingError] = {}
        self._sent = list(range(len(pairs)))
        self.job: Job | None = None
        while self._sent and self.job is None:
            try:
                self.job = prepare([pairs[at][1] for at in self._sent])
            except InputError as error:
                wrong = {self._sent[at] for at in error.positions} or set(self._sent)
                self.errors |= dict.fromkeys(wrong, error)
                self._sent = [at for at in self._sent if at not in wrong]

    def batch(self) -> StreamBatch | None:
        """Return what has come of the slice, or None if it was stopped in the middle."""
        if self.job is None:
            return StreamBatch([], np.empty((0, 0), dtype=np.float32), self._named())
        rows = self.job.result().embeddings
        landed = self.job.landed_positions()
        failed = {at: error for one, error in self.job.failures.items() for at in self.job.positions([one])}
        if len(landed) + len(failed) < len(self._sent):
            return None
        self.errors |= {self._sent[at]: error for at, error in failed.items()}
        ids = [self.ids[self._sent[at]] for at in landed]
        return StreamBatch(ids, rows if len(landed) == len(rows) else rows[landed], self._named())

    def _named(self) -> dict[Any, EmbeddingError]:
        return {self.ids[at]: error for at, error in sorted(self.errors.items(), key=lambda item: item[0])}


def slices(inputs: Iterable[Any], learned: Learned) -> Iterator[list[tuple[Any, Any]]]:
    """Yield the inputs in slices."""
    slicer = Slicer(learned)
    for given in one_by_one(inputs):
        if (full := slicer.add(given)) is not None:
            yield full
    if held := slicer.rest():
        yield held
