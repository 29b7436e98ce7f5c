"""One input of a file, and where its text and its id stand."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from openrouter_embeddings import ConfigurationError


class Row(NamedTuple):
    """One input as it was read. `problem` says why it cannot be used."""

    number: int
    id: Any
    text: Any
    problem: str | None = None


class Columns(NamedTuple):
    """Where a row has its text and its id. Without an id column rows are counted from 0."""

    text: str
    id: str | None

    def check(self, known: Iterable[str]) -> None:
        """Raise `ConfigurationError` where a column does not exist."""
        names = list(known)
        for option, name in (("--text-column", self.text), ("--id-column", self.id)):
            if name is not None and name not in names:
                shown = ", ".join(map(str, names[:20])) or "none"
                raise ConfigurationError(f"The input has no column {name!r}; it has {shown}. See {option}.")
