"""What `embed_stream` hands out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ._matrix import Matrix
from .errors import EmbeddingError
from .usage import Usage


class StreamBatch(NamedTuple):
    """Some inputs of a stream, in input order.

    Attributes:
        ids: Of those that have an embedding: as given with the inputs, else their number from 0.
        embeddings: float32 of shape `(len(ids), dimensions)`.
        errors: Why the others have none, by id. An id must be hashable and may come more than once: in `ids` each has
            its place, here two inputs with one id and an error each share one. `positions`, and the numbers in a
            message, count within the request. An empty input has neither with `on_empty="null"`.
    """

    ids: list[Any]
    embeddings: Matrix
    errors: Mapping[Any, EmbeddingError]


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamProgress:
    """How far a stream has come.

    Attributes:
        done: Inputs that have an embedding.
        failed: Inputs that have none, but an error.
        missing: Empty inputs, which have neither (`on_empty="null"`).
        seconds: Since the stream began.
        usage: What it has spent.
    """

    done: int
    failed: int
    seconds: float
    usage: Usage = field(default_factory=Usage)
    missing: int = 0

    @property
    def rate(self) -> float:
        """Inputs per second."""
        return (self.done + self.failed + self.missing) / self.seconds if self.seconds > 0.0 else 0.0
