"""Files in, files out, with no engine: parts side by side, each one written, then committed once."""

from __future__ import annotations

import math
import os
import secrets
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from contextvars import copy_context
from queue import Empty, SimpleQueue
from threading import Thread, current_thread
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from openrouter_embeddings import BudgetExceededError, Client, ConfigurationError, EmbeddingError

from .columns import embed_table, for_parquet
from .folder import Folder, located
from .ledger import LEDGER, Journal, read_attempts
from .parts import Part, Source, find_sources, read_part
from .plan import Plan, read_plan, settled_plan
from .report import JobReport, report_on
from .spec import JobSpec
from .worker import new_client

_PART_NUMBERS = 2**24
"""A part holds so many numbers, 64 MB: a killed run loses little, and engines like such files."""
_PART_ROWS = 8192
"""Rows of a part where the width is not known."""
_REQUEST_ROWS = 256
_AT_ONCE_MAX = 16
_TICK = 0.1
"""Seconds after which a thread that waits looks for signals: one that another thread received does not end its wait."""


def parts_at_once(concurrency: int, part_rows: int) -> int:
    """Return how many parts are under way: enough to keep the client busy while one is read and one comes to its end."""
    return min(_AT_ONCE_MAX, 2 + math.ceil(concurrency * _REQUEST_ROWS / part_rows))


def embed_files(
    job: JobSpec,
    source: str | os.PathLike[str] | Sequence[str],
    target: str | os.PathLike[str],
    *,
    filesystem: Any = None,
    part_rows: int | None = None,
) -> JobReport:
    """Embed Parquet files into a folder, part by part, and return what all runs over it have come to.

    A run that ended early, however it ended, is started again with the same call: parts that are committed are skipped,
    so at most the open ones are paid for again, and with a `cache` not even these. Files that were added are taken along.
    `max_cost` holds over all runs. One run at a time may write into a folder.

    Args:
        job: What to embed.
        source: A file, a folder, `"folder/*.parquet"` or a list of files: paths, or addresses such as `s3://bucket/in`.
        target: A folder.
        filesystem: Where both are paths in, pyarrow's or fsspec's; None: as the paths say.
        part_rows: Rows of a part. None: as many as make 64 MB; in a folder that was begun, as it was begun.

    Raises:
        ConfigurationError: There is nothing to read, the columns do not fit, the target belongs to another job or is being
            written to.
        BudgetExceededError: The runs so far, or the next batch, would pass `max_cost`.
        EmbeddingError: No more can be embedded. Everything that is committed stays.
    """
    _check_part_rows(job, part_rows)
    folder = Folder(*located(target, filesystem))
    system, sources = _sources(source, filesystem)
    if any(f"{found.path}/".startswith(f"{folder.path}/") for found in sources.values()):
        raise ConfigurationError("The source lies in the target. Choose another target.")
    folder.make(LEDGER)
    with folder.held():
        plan = settled_plan(folder, job, system, sources, part_rows or _part_rows(folder, job))
        there = set(folder.names())
        todo = [part for part in plan.parts(sources) if part.file not in there]
        so_far = _report(folder, plan, there)
        if todo:
            _clean(folder, there)
            with new_client(job, max_cost=_left(job, so_far)) as client:
                Run(job, folder, system, client, so_far, plan.part_rows).embed(todo)
    return report_files(target, filesystem=filesystem)


def report_files(target: str | os.PathLike[str], *, filesystem: Any = None) -> JobReport:
    """Return what all runs into a folder have come to.

    Raises:
        ConfigurationError: No job has written there.
    """
    folder = Folder(*located(target, filesystem))
    plan = read_plan(folder)
    if plan is None:
        raise ConfigurationError("No job has written into the target.")
    return _report(folder, plan, set(folder.names()))


def _check_part_rows(job: JobSpec, part_rows: int | None) -> None:
    if part_rows is not None and (not isinstance(part_rows, int) or part_rows < 1):
        raise ConfigurationError(f"part_rows takes a whole number of at least 1, not {part_rows!r}.")
    if (part_rows or 1) * (job.dimensions or 1) >= 2**31:
        raise ConfigurationError(f"part_rows={part_rows} makes parts of more numbers than an Arrow list holds.")


def _part_rows(folder: Folder, job: JobSpec) -> int:
    begun = read_plan(folder)
    if begun is not None:
        return begun.part_rows
    return max(1, _PART_NUMBERS // job.dimensions) if job.dimensions else _PART_ROWS


class Run:
    """One process at work on a folder's open parts.

    Args:
        job: What to embed.
        folder: Where the parts go.
        system: Where the rows are.
        client: Embeds them, and is closed if a part fails.
        so_far: What earlier runs have come to.
        part_rows: Rows of a part.
    """

    def __init__(
        self, job: JobSpec, folder: Folder, system: Any, client: Client, so_far: JobReport, part_rows: int
    ) -> None:
        self._job = job
        self._folder = folder
        self._system = system
        self._client = client
        self._name = secrets.token_hex(4)
        self._attempts = Counter({name: part.attempts for name, part in so_far.parts.items()})
        self._open: set[Journal] = set()
        self._ends: SimpleQueue[tuple[Thread, BaseException | None]] = SimpleQueue()
        """Threads whose part is through. Unlike a future, it is left usable wherever Ctrl-C strikes."""
        self._stopped = False
        self._at_once = parts_at_once(client.options.max_concurrency, part_rows)

    def embed(self, parts: Iterable[Part]) -> None:
        """Embed parts and commit them. The first failure stops the others; what is in flight by then lands."""
        running: set[Thread] = set()
        try:
            for part in parts:
                if len(running) == self._at_once:
                    self._see_one_end(running)
                run = copy_context().run
                thread = Thread(target=run, args=(self._run, part), name="openrouter-embeddings-part")
                running.add(thread)
                thread.start()
            while running:
                self._see_one_end(running)
        finally:
            self._stop(running)

    def _run(self, part: Part) -> None:
        failed: BaseException | None = None
        try:
            self._embed(part)
        except BaseException as error:  # noqa: BLE001  for the thread that waits
            failed = error
        self._ends.put((current_thread(), failed))

    def _see_one_end(self, running: set[Thread]) -> None:
        """Wait until a part is through; raise what made it fail."""
        ended = None
        while ended is None:
            with suppress(Empty):
                ended = self._ends.get(timeout=_TICK)
        thread, failed = ended
        running.remove(thread)
        if failed is not None:
            raise failed

    def _stop(self, running: set[Thread]) -> None:
        self._stopped = True
        while any(thread.is_alive() for thread in running):
            self._client.close()  # again, for a part that was about to begin
            with suppress(Empty):
                self._ends.get(timeout=_TICK)
        self._client.close()  # waits for what is in flight: it belongs into the journals
        for journal in self._open:
            journal.end("failed")
            journal.close()

    def _embed(self, part: Part) -> None:
        if self._stopped:
            return
        rows = read_part(self._system, part)
        journal = Journal(
            self._folder,
            part.name,
            number=self._attempts[part.name] + 1,
            run=self._name,
            concurrency=self._client.options.max_concurrency,
        )
        self._open.add(journal)
        try:
            with journal.counting():
                table = embed_table(self._client, self._job, rows)
        except EmbeddingError as error:
            raise error.reworded(f"{part.path}, from row {part.first:,} on: {error.message}") from error.__cause__
        self._commit(part, table, journal)
        self._open.discard(journal)

    def _commit(self, part: Part, table: pa.Table, journal: Journal) -> None:
        """Write a part under another name, end its account, then give it its own name."""
        temporary = f"_{part.file}.{journal.attempt}.tmp"
        others = [name for name in table.column_names if name != self._job.out]  # no two embeddings share their numbers
        pq.write_table(
            for_parquet(self._job, table),
            self._folder / temporary,
            filesystem=self._folder.system,
            use_dictionary=others,
        )
        embedded = table.num_rows - table.column(self._job.out).null_count
        failed = table.num_rows - table.column(self._job.error_column).null_count
        journal.end("committed", embedded=embedded, failed=failed)
        self._folder.move(temporary, part.file)
        journal.close()


def _sources(source: str | os.PathLike[str] | Sequence[str], filesystem: Any) -> tuple[Any, Mapping[str, Source]]:
    if isinstance(source, str | os.PathLike):
        system, path = located(source, filesystem)
        return system, find_sources(system, path)
    found: dict[str, Source] = {}
    system = None
    for place in source:
        system, path = located(place, filesystem)
        found |= {name.path: name for name in find_sources(system, path).values()}
    if not found:
        raise ConfigurationError("The list of sources is empty.")
    return system, dict(sorted(found.items()))


def _left(job: JobSpec, so_far: JobReport) -> float | None:
    """Return what may still be spent."""
    if job.max_cost is None:
        return None
    if so_far.cost_at_most + so_far.dearest >= job.max_cost:  # a client learns prices by its first request
        raise BudgetExceededError(
            f"Earlier runs have spent {so_far.cost_at_most:.6g} USD, and one request more may pass max_cost={job.max_cost:g}."
            " Raise max_cost to go on.",
            model=job.model,
        )
    return job.max_cost - so_far.cost_at_most


def _clean(folder: Folder, names: Iterable[str]) -> None:
    """Delete what killed runs were writing."""
    for name in names:
        if name.startswith("_part-") and name.endswith(".tmp"):
            folder.delete(name)


def _report(folder: Folder, plan: Plan, there: set[str]) -> JobReport:
    parts = list(plan.parts())
    committed = [part.name for part in parts if part.file in there]
    return report_on(read_attempts(folder), committed, len(parts) - len(committed))
