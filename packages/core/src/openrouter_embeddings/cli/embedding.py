"""`openrouter-embeddings embed`: a stream from a reader to a writer."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from ..client import Client
from ..errors import EmbeddingError
from ..inputs import InputType
from ..stream import StreamProgress
from .readers import Pair
from .writers import Writer


class Run:
    """One run of the command: what it has done, for the summary."""

    def __init__(self, client: Client, *, errors: Path | None, console: Console, quiet: bool) -> None:
        self.client = client
        self.done = self.failed = 0
        self._errors = errors
        self._console = console
        self._quiet = quiet

    def embed(self, pairs: Iterator[Pair], side: InputType, writer: Writer) -> None:
        """Write an embedding for each pair that has one; count and list the others."""
        try:
            with self._progress() as told, self._listed() as failures:
                for batch in self.client.embed_stream(pairs, input_type=side, on_progress=told):
                    if batch.ids:
                        writer.write(batch.ids, batch.embeddings)
                    self.done += len(batch.ids)
                    self._list(batch.errors, failures)
        except BaseException:
            writer.abandon()
            raise
        writer.finish()

    def summary(self) -> str:
        """Return one line about what was done and spent."""
        usage = self.client.usage
        failed = f", {self.failed:,} without one" if self.failed else ""
        cached = f"{usage.cached:,} from the cache, " if usage.cached else ""
        return f"{self.done:,} embeddings{failed}: {cached}{usage.requests:,} requests, {usage.cost:.6f} USD."

    def _list(self, errors: Mapping[Any, EmbeddingError], failures: IO[str] | None) -> None:
        self.failed += len(errors)
        for ident, error in errors.items():
            if failures is not None:
                row = {"id": ident, "error": type(error).__name__, "message": str(error)}
                failures.write(json.dumps(row, ensure_ascii=False, default=str) + "\n")

    @contextmanager
    def _listed(self) -> Iterator[IO[str] | None]:
        if self._errors is None:
            yield None
            return
        with self._errors.open("w", encoding="utf-8") as file:
            yield file

    @contextmanager
    def _progress(self) -> Iterator[Any]:
        if self._quiet or not self._console.is_terminal:
            yield None
            return
        columns = [
            SpinnerColumn(),
            MofNCompleteColumn(),
            BarColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.description}"),
        ]
        with Progress(*columns, console=self._console) as bar:
            task = bar.add_task("", total=None)

            def told(now: StreamProgress) -> None:
                what = f"{now.rate:,.0f}/s, {now.usage.cost:.4f} USD"
                bar.update(task, completed=now.done + now.failed, description=what)

            yield told
