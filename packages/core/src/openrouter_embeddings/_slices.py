"""How a stream of inputs becomes slices, one for each request, and what comes of a slice. Pure."""

from __future__ import annotations

import io
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Any

import numpy as np

from ._job import Job
from ._learned import Learned
from ._plan import estimated_tokens
from .errors import EmbeddingError, InputError
from .inputs import Content, Input
from .stream import StreamBatch

_CONTENT_TOKENS = 1000


class Slicer:
    """Gathers inputs until they fill a request, as large as one may be by what is known then."""

    def __init__(self, learned: Learned, *, marked: int = 0) -> None:
        self._learned = learned
        self._marked = marked
        """Estimated tokens of what is put before each text."""
        self._count = 0
        self._held: list[tuple[Any, Any]] = []
        self._tokens = 0

    def add(self, given: Any) -> list[tuple[Any, Any]] | None:
        """Take one input; return a slice when it is full."""
        ident, one = self._pair(given)
        size = estimated_tokens(one) + self._marked if isinstance(one, str) else _CONTENT_TOKENS
        full = self.rest() if self._held and not self._has_room(size) else None
        self._held.append((ident, one))
        self._tokens += size
        return self.rest() if full is None and not self._has_room(1) else full

    def rest(self) -> list[tuple[Any, Any]]:
        """Return what is gathered so far."""
        held, self._held, self._tokens = self._held, [], 0
        return held

    def _has_room(self, size: int) -> bool:
        return len(self._held) < self._learned.max_inputs and self._tokens + size <= self._learned.max_tokens

    def _pair(self, given: Any) -> tuple[Hashable, Any]:
        ident, one = given if isinstance(given, tuple) and len(given) == 2 else (self._count, given)
        try:
            hash(ident)
        except TypeError:
            # Refused here, where it stands, and not first when an input of that id turns out to be at fault.
            raise InputError(
                f"The id of input {self._count} is {type(ident).__name__}, which cannot be hashed."
                " Give a str, an int or a tuple of these."
            ) from None
        self._count += 1
        return ident, one.as_py() if hasattr(one, "as_py") else one  # an Arrow scalar


def check_stream(inputs: object) -> None:
    """Raise `InputError` for what can be iterated and is no stream of inputs: characters, bytes, keys."""
    if isinstance(inputs, (str, bytes, bytearray, memoryview, Content, Mapping, AbstractSet)):
        raise InputError(
            f"Inputs came as {type(inputs).__name__}. embed_stream takes an iterable of str or Content, or of pairs of"
            " an id and one of them."
        )


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


def slices(inputs: Iterable[Any], slicer: Slicer) -> Iterator[list[tuple[Any, Any]]]:
    """Yield the inputs in slices."""
    for given in one_by_one(inputs):
        if (full := slicer.add(given)) is not None:
            yield full
    if held := slicer.rest():
        yield held
