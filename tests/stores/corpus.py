"""What is indexed and asked for: some functions of the standard library, and what exact search finds among them."""

from __future__ import annotations

import inspect
import json
import random
import shutil
import statistics
import subprocess
import tempfile
import textwrap
import uuid
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

MODEL, WIDTH, BEST = "qwen/qwen3-embedding-8b", 256, 3
MODULES = (json, random, shutil, statistics, subprocess, tempfile, textwrap)
QUESTIONS = ("copy a whole directory", "create a temporary file", "the middle value of some numbers", "fold long lines")


@dataclass(frozen=True)
class Entry:
    """A text with its name. Its id is a UUID, because Qdrant takes no other text."""

    name: str
    module: str
    text: str

    @property
    def id(self) -> str:
        """The same for the same name."""
        return str(uuid.uuid5(uuid.NAMESPACE_DNS, self.name))


class Store(Protocol):
    """A framework's store in a folder, with our embeddings."""

    takes_filters: bool
    methods: tuple[str, ...]
    """Which of the two there are, "sync" and "async"."""
    by_angle: bool
    """Whether hits are ordered by the cosine, or by the inner product. Elsewhere it is the distance."""

    def index(self, entries: list[Entry]) -> None:
        """Embed and store."""

    async def aindex(self, entries: list[Entry]) -> None:
        """Do the same on the running event loop."""

    def update(self, entry: Entry) -> None:
        """Put this in the place of what has the same id."""

    async def aupdate(self, entry: Entry) -> None:
        """Do the same on the running event loop."""

    def ask(self, question: str, module: str | None = None) -> list[str]:
        """Return the names of the best three, best first; of one module only, where that is asked for."""

    async def aask(self, question: str, module: str | None = None) -> list[str]:
        """Do the same on the running event loop."""

    async def aclose(self) -> None:
        """Do what `close` does on the running event loop."""

    def close(self) -> None:
        """Save what is in memory, and let go of the folder."""


@dataclass(frozen=True)
class Ranking:
    """The similarity of each entry to each question."""

    scores: dict[str, Any]

    def best(self, question: str, module: str | None = None) -> list[str]:
        """Return what a store should find."""
        order = np.argsort(-self.scores[question])
        return [ENTRIES[place].name for place in order if module in {None, ENTRIES[place].module}][:BEST]


def _entries() -> list[Entry]:
    by_text = {}
    for module in MODULES:
        for name, function in inspect.getmembers(module, inspect.isroutine):
            words = (inspect.getdoc(function) or "").partition("\n\n")[0].split()
            if words and not name.startswith("_"):
                text = f"{name.replace('_', ' ')}: {' '.join(words)}"
                by_text[text] = Entry(f"{module.__name__}.{name}", module.__name__, text)
    return list(by_text.values())


ENTRIES = _entries()
