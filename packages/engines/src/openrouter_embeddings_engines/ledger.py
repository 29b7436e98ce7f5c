"""What a folder's parts have cost: a journal for each attempt at a part, written as its requests leave and land.

`_ledger/<part>.<attempt>.jsonl` is the journal of an attempt, and `.json` its summary once it is over; on file systems
that cannot append, a journal is many small files, one for each line. Whoever is killed leaves a journal without an
end. What it had in flight is known to nobody but the gateway: its requests that had no answer yet are counted.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from threading import Lock
from typing import Any, Literal

from openrouter_embeddings import Usage, UsageTracker

from .folder import Folder

LEDGER = "_ledger"
_READERS = 16
"""Files read at the same time: a store of objects takes a while for each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One attempt at a part.

    Attributes:
        part: The part's name.
        name: The attempt's own name, ascending within a part.
        run: The process that made it.
        concurrency: Most requests that the process had in flight.
        usage: What it has spent, as far as is known.
        landed: Requests that were answered with embeddings.
        dearest: USD of the dearest of them.
        end: How it ended, or None: the process was killed.
        embedded: Rows that have an embedding, once it has ended.
        failed: Rows that have an error instead.
    """

    part: str
    name: str
    run: str = ""
    concurrency: int = 0
    usage: Usage = field(default_factory=Usage)
    landed: int = 0
    dearest: float = 0.0
    end: Literal["committed", "failed"] | None = None
    embedded: int = 0
    failed: int = 0

    @property
    def unanswered(self) -> int:
        """Requests that may have been in flight when the process was killed: at most so many."""
        if self.end is not None:
            return 0
        return min(self.concurrency, max(0, self.usage.requests - self.usage.retries - self.landed))

    def after(self, line: Mapping[str, Any]) -> Attempt:
        """Return the attempt after one line more of its journal."""
        if "usage" not in line:
            return replace(self, **line)
        usage = Usage(**line["usage"])
        return replace(
            self,
            usage=self.usage + usage,
            landed=self.landed + _is_an_answer(usage),
            dearest=max(self.dearest, usage.cost),
        )

    def to_json(self) -> dict[str, Any]:
        """Return the attempt as its summary holds it."""
        return {**asdict(self), "usage": _counted(self.usage)}


def _is_an_answer(usage: Usage) -> bool:
    return not (usage.requests or usage.cached or usage.shared or usage.deduplicated)


def _counted(usage: Usage) -> dict[str, Any]:
    return {name: value for name, value in usage.to_dict().items() if value}


class Journal(UsageTracker):
    """Writes down what every call spends that begins inside its `counting()` block, before anything else happens.

    Args:
        folder: Of the job.
        part: What the attempt is at.
        number: How many attempts at the part there were before.
        run: The process.
        concurrency: Most requests that it has in flight.
    """

    def __init__(self, folder: Folder, part: str, *, number: int, run: str, concurrency: int) -> None:
        super().__init__()
        self.attempt = f"{number:04d}-{secrets.token_hex(4)}"
        self._folder = folder
        self._name = f"{LEDGER}/{part}.{self.attempt}"
        self._write_lock = Lock()
        self._so_far = Attempt(part=part, name=self.attempt, run=run, concurrency=concurrency)
        kind = Lines if folder.is_local else Pieces
        self._out: Lines | Pieces = kind(folder, self._name)
        self._write({"run": run, "concurrency": concurrency})

    def add(self, usage: Usage) -> None:
        """Write down what was spent, and add it to the sum. That a request leaves is written before it does."""
        self._write({"usage": _counted(usage)})
        super().add(usage)

    def end(self, how: Literal["committed", "failed"], *, embedded: int = 0, failed: int = 0) -> None:
        """Write down how the attempt ended, now that nothing of it is in flight."""
        self._write({"end": how, "embedded": embedded, "failed": failed})

    def close(self) -> None:
        """Put a summary in the journal's place."""
        self._folder.write_json(f"{self._name}.json", self._so_far.to_json())
        self._out.delete()

    def _write(self, line: dict[str, Any]) -> None:
        with self._write_lock:
            self._out.write(json.dumps(line).encode() + b"\n")
            self._so_far = self._so_far.after(line)


class Lines:
    """A journal as one file that grows."""

    def __init__(self, folder: Folder, name: str) -> None:
        self._folder = folder
        self._name = f"{name}.jsonl"
        self._file = folder.system.open_append_stream(folder / self._name, compression=None)

    def write(self, line: bytes) -> None:
        """Append a line: a process that is killed then has written it."""
        self._file.write(line)

    def delete(self) -> None:
        """Remove the journal."""
        self._file.close()
        self._folder.delete(self._name)


class Pieces:
    """A journal as many small files, for a store of objects."""

    def __init__(self, folder: Folder, name: str) -> None:
        self._folder = folder
        self._name = name
        self._written: list[str] = []

    def write(self, line: bytes) -> None:
        """Store a line."""
        name = f"{self._name}.{len(self._written):06d}.jsonl"
        self._folder.put(name, line)
        self._written.append(name)

    def delete(self) -> None:
        """Remove the journal."""
        for name in self._written:
            self._folder.delete(name)


def read_attempts(folder: Folder) -> list[Attempt]:
    """Return every attempt that the folder's ledger knows, by part and in order."""
    files: dict[str, list[str]] = {}
    for name in sorted(folder.names(LEDGER)):
        if not name.startswith("_"):
            files.setdefault(".".join(name.split(".")[:2]), []).append(name)
    with ThreadPoolExecutor(_READERS) as pool:
        attempts = pool.map(lambda item: _attempt(folder, *item), files.items())
        return sorted(attempts, key=lambda attempt: (attempt.part, attempt.name))


def _attempt(folder: Folder, name: str, files: Sequence[str]) -> Attempt:
    """Return what the files of an attempt say: its summary, if there is one by now, else its journal."""
    if f"{name}.json" not in files:
        with suppress(FileNotFoundError):  # it has ended since the files were listed
            return _replayed(name, b"".join(folder.read(f"{LEDGER}/{file}") for file in files))
    found = json.loads(folder.read(f"{LEDGER}/{name}.json"))
    return Attempt(**{**found, "usage": Usage(**found["usage"])})


def _replayed(name: str, journal: bytes) -> Attempt:
    part, ident = name.split(".")
    attempt = Attempt(part=part, name=ident)
    for line in journal.split(b"\n")[:-1]:  # a line without an end was being written when the process was killed
        attempt = attempt.after(json.loads(line))
    return attempt
