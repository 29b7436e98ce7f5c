"""One run of `embed`: rows in, embeddings out, failures listed."""

from __future__ import annotations

import json
import signal
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TextIO, cast

from openrouter_embeddings import Client, ConfigurationError, InputType, StreamBatch, StreamProgress

from .exits import say
from .progress import Bar
from .readers import format_of, reading
from .rows import Columns, Row
from .writers import Output, check_out, writing

_SHOWN = 5
_NO_TEXT = ...
"""What goes in the place of a text that cannot be used: an input that is refused, unlike None."""


class Files(NamedTuple):
    """What one run reads and writes. `format` is as given, or None: by the suffix."""

    source: str
    out: Path
    errors: Path | None
    format: str | None
    columns: Columns

    def check(self) -> None:
        """Raise `ConfigurationError` where a file cannot be used, before anything is paid."""
        check_out(self.out)
        if self.source != "-" and not Path(self.source).is_file():
            raise ConfigurationError(f"No such file: {self.source!r}.")
        paths = [Path(self.source), self.out, self.errors]
        named = [path.resolve() for path in paths if path is not None and str(path) != "-"]
        if len(set(named)) < len(named):
            raise ConfigurationError("INPUT, --out and --errors name one file twice.")


class Place(NamedTuple):
    """Which row an embedding or an error belongs to: ids of a file need not be unique, numbers are."""

    number: int
    id: Any
    problem: str | None


class Failures:
    """The rows without an embedding: counted, and written down where that is asked for."""

    def __init__(self, file: TextIO | None) -> None:
        self.kinds: Counter[str] = Counter()
        self.first: list[str] = []
        self._file = file

    def add(self, place: Place, error: Exception) -> None:
        """Take one."""
        kind, message = type(error).__name__, place.problem or str(error)
        self.kinds[kind] += 1
        if len(self.first) < _SHOWN:
            self.first.append(f"  row {place.number}, id {place.id!r}: {kind}: {message}")
        if self._file is not None:
            row = {"id": place.id, "number": place.number, "error": kind, "message": message}
            self._file.write(json.dumps(row, default=repr) + "\n")


@contextmanager
def failures_to(path: Path | None) -> Iterator[Failures]:
    """Collect failures; with a path, write each as a line of JSON."""
    if path is None:
        yield Failures(None)
        return
    with path.open("w", encoding="utf-8", newline="\n") as file:
        yield Failures(file)


def pairs(rows: Iterable[Row], *, empty_is_wrong: bool) -> Iterator[tuple[Place, Any]]:
    """Yield what the stream takes. A row with a problem goes without a text, so that its error comes in its turn."""
    kind: type | None = None
    for row in rows:
        problem = row.problem or _problem_of_id(row.id, kind) or _problem_of_text(row.text, empty_is_wrong)
        if problem is None and kind is None:
            kind = type(row.id)
        yield (
            Place(row.number, row.id if isinstance(row.id, (str, int)) else None, problem),
            _NO_TEXT if problem else row.text,
        )


def _problem_of_id(ident: Any, kind: type | None) -> str | None:
    if isinstance(ident, bool) or not isinstance(ident, (str, int)):
        return f"The row's id is {type(ident).__name__}; ids are strings or whole numbers."
    if kind is not None and type(ident) is not kind:
        return f"The row's id is {type(ident).__name__}, the ids before it are {kind.__name__}."
    if isinstance(ident, int) and not -(2**63) <= ident < 2**63:
        return "The row's id does not fit into 64 bits."
    return _not_utf8(ident, "id") if isinstance(ident, str) else None


def _problem_of_text(text: Any, empty_is_wrong: bool) -> str | None:
    if text is None or text == "":
        how = "null" if text is None else "empty"
        return f"The row's text is {how}; --on-empty zero gives it a zero embedding." if empty_is_wrong else None
    if not isinstance(text, str):
        return f"The row's text is {type(text).__name__}, not a string."
    return _not_utf8(text, "text")


def _not_utf8(value: str, what: str) -> str | None:
    try:
        value.encode()
    except UnicodeEncodeError:
        return f"The row's {what} is not UTF-8."
    return None


def embed_files(client: Client, files: Files, side: InputType, *, quiet: bool) -> Failures:
    """Embed a file with a client, which is closed in the end, and say what came of it."""
    began = time.monotonic()
    with ExitStack() as stack:
        stack.enter_context(client)
        format_ = format_of(files.source, files.format)
        rows, total = stack.enter_context(reading(files.source, format_, files.columns))
        failures = stack.enter_context(failures_to(files.errors))
        output = stack.enter_context(writing(files.out))
        bar = stack.enter_context(Bar(total, quiet=quiet))
        embed_rows(client, rows, output, failures, side, bar)
        bar.stop()
        if not quiet:
            say(summary(client, output, failures, began))
    return failures


def embed_rows(
    client: Client,
    rows: Iterable[Row],
    output: Output,
    failures: Failures,
    side: InputType,
    on_progress: Callable[[StreamProgress], None],
) -> None:
    """Embed every row, in order, and put the output in its place."""
    given = pairs(rows, empty_is_wrong=client.options.on_empty == "error")
    stream = client.embed_stream(given, input_type=side, on_progress=on_progress)
    try:
        with closing(cast("Generator[StreamBatch]", stream)) as batches:
            for batch in batches:
                output.add([place.id for place in batch.ids], batch.embeddings)
                for place, error in batch.errors.items():
                    failures.add(place, error)
    except KeyboardInterrupt:
        # The client waits for its answers when it is closed. Whoever does not want to wait may end the process.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        say("Stopping: requests in flight are paid for, so their answers are waited for. Ctrl-C again to not wait.")
        raise
    output.move()


def summary(client: Client, output: Output, failures: Failures, began: float) -> str:
    """Return what came of the run, in one line, and the first failures below it."""
    usage, failed = client.usage, failures.kinds.total()
    without = f", {failed:,} without one" if failed else ""
    cached = f"{usage.cached:,} from the cache, " if usage.cached else ""
    seconds = time.monotonic() - began
    said = f"{output.rows:,} embeddings{without}: {cached}{usage.requests:,} requests, {usage.cost:.6f} USD, {seconds:.1f} s."
    more = [f"  and {failed - _SHOWN:,} more; --errors PATH lists them all"] if failed > _SHOWN else []
    return "\n".join([said, *failures.first, *more])
