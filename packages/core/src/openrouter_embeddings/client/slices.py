"""How a stream of inputs becomes slices, one for each request, and what comes of a slice."""

from __future__ import annotations

import io
from collections.abc import Callable, Hashable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import Any

import numpy as np

from openrouter_embeddings._flows import EmbedCall, LearnedLimits, estimated_tokens
from openrouter_embeddings.content import Content
from openrouter_embeddings.errors import InputError
from openrouter_embeddings.inputs import Input, is_table
from openrouter_embeddings.stream import StreamBatch

_CONTENT_TOKENS = 1000
_EMPTY_MAX = 8192
"""So many empty texts, which are never sent, travel along with others."""


class Slicer:
    """Gathers inputs until they fill a request, as large as one may be by what is known then.

    Args:
        learned: What a request may hold.
        marked: Estimated tokens of what is put before each text.
    """

    def __init__(self, learned: LearnedLimits, *, marked: int = 0) -> None:
        self._learned = learned
        self._marked = marked
        self._count = 0
        self._held: list[tuple[Any, Any]] = []
        self._sent = self._tokens = 0

    def add(self, given: Any) -> list[tuple[Any, Any]] | None:
        """Take one input; return a slice when it is full."""
        ident, item = self._pair(given)
        if (item is None or item == "") and len(
            self._held
        ) < _EMPTY_MAX:  # it fills no request, and needs others to know its width
            self._held.append((ident, item))
            return None
        size = estimated_tokens(item) + self._marked if isinstance(item, str) else _CONTENT_TOKENS
        full = self.flush() if self._sent and not self._has_room(size) else None
        self._held.append((ident, item))
        self._sent += 1
        self._tokens += size
        return self.flush() if full is None and not self._has_room(1) else full

    def flush(self) -> list[tuple[Any, Any]]:
        """Return what is gathered so far."""
        held, self._held, self._sent, self._tokens = self._held, [], 0, 0
        return held

    def _has_room(self, size: int) -> bool:
        limits = self._learned.limits_to_try()
        return self._sent < limits.inputs and self._tokens + size <= limits.tokens

    def _pair(self, given: Any) -> tuple[Hashable, Any]:
        ident, item = given if isinstance(given, tuple) and len(given) == 2 else (self._count, given)
        try:
            hash(ident)
        except TypeError:
            # Refused here, where it stands, and not first when an input of that id turns out to be at fault.
            raise InputError(
                f"The id of input {self._count} is {type(ident).__name__}, which cannot be hashed."
                " Give a str, an int or a tuple of these."
            ) from None
        self._count += 1
        return ident, item.as_py() if hasattr(item, "as_py") else item  # an Arrow scalar


def check_stream(inputs: object) -> None:
    """Raise `InputError` for what can be iterated and is no stream of inputs: characters, bytes, keys."""
    if isinstance(inputs, (str, bytes, bytearray, memoryview, Content, Mapping, AbstractSet)) or is_table(inputs):
        raise InputError(
            f"Inputs came as {type(inputs).__name__}. embed_stream takes an iterable of str or Content, or of pairs of"
            " an id and one of them."
        )


def lines_or_items(inputs: Any) -> Any:
    """Return the inputs for iteration: of an open file, the lines without their ends."""
    if isinstance(inputs, io.TextIOBase):
        return (line.removesuffix("\n") for line in inputs)
    return inputs


class Slice:
    """Some inputs of a stream, as one call.

    Args:
        pairs: Ids and inputs.
        prepare: Makes the call that embeds some inputs, and keeps the errors of those that cannot be embedded.
    """

    def __init__(self, pairs: list[tuple[Any, Any]], prepare: Callable[[Iterable[Input | None]], EmbedCall]) -> None:
        self.ids = [ident for ident, _ in pairs]
        self.call = prepare([item for _, item in pairs])
        self.missing = 0
        """How many inputs have neither an embedding nor an error: empty ones, once the result is there."""

    def result(self) -> StreamBatch | None:
        """Return what has come of the slice, or None if it was stopped in the middle."""
        if self.call.unresolved():
            return None
        result = self.call.result()
        if not result.missing_positions:
            return StreamBatch(self.ids, result.embeddings, {})
        self.missing = len(result.missing_positions) - len(result.errors)
        landed = np.flatnonzero(~result.missing)
        errors = {self.ids[position]: error for position, error in result.errors.items()}
        return StreamBatch([self.ids[position] for position in landed], result.embeddings[landed], errors)
