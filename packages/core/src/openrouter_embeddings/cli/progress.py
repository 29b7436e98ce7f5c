"""The progress bar: on a terminal only, on stderr."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

from openrouter_embeddings import StreamProgress


class Bar:
    """Shows how many inputs are done, how fast, and for how much."""

    def __init__(self, total: int | None, *, quiet: bool, console: Console | None = None) -> None:
        console = console or Console(stderr=True)
        self._shown = console.is_terminal and not quiet
        self._progress = Progress(
            SpinnerColumn(),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[said]}"),
            TimeRemainingColumn(),
            console=console,
            disable=not self._shown,
            transient=True,
        )
        self._task = self._progress.add_task("", total=total, said="")

    def __call__(self, now: StreamProgress) -> None:
        """Show how far the stream has come."""
        failed = f", {now.failed:,} failed" if now.failed else ""
        said = f"{now.rate:,.0f}/s, {now.usage.cost:.4f} USD{failed}"
        self._progress.update(self._task, completed=now.done + now.failed + now.missing, said=said)

    def stop(self) -> None:
        """Leave the terminal to others."""
        if self._shown:  # rich 13.0 ends the line of a bar that is disabled, too
            self._progress.stop()

    def __enter__(self) -> Self:
        if self._shown:
            self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
