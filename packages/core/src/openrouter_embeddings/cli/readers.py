"""Where the texts come from: JSONL, CSV, Parquet or lines, read piece by piece."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, TypeAlias

from ..errors import ConfigurationError

Pair: TypeAlias = tuple[Any, Any]

FORMATS = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".parquet": "parquet"}
_ROWS = 4096


def format_of(path: str, given: str | None) -> str:
    """Return how the input is written: as said, else by its suffix, else a text a line."""
    if given is not None and given not in {*FORMATS.values(), "lines"}:
        raise ConfigurationError(f"--format takes jsonl, csv, parquet or lines, not {given!r}.")
    return given or FORMATS.get(Path(path).suffix.lower(), "lines")


def read(path: str, form: str, *, text: str, ident: str | None) -> Iterator[Pair]:
    """Yield `(id, text)`; without an id column the id is the row's number from 0.

    Raises:
        ConfigurationError: A column is missing, or a line is not what the format says.
    """
    if form == "parquet":
        yield from _parquet(path, text, ident)
        return
    with _opened(path) as file:
        if form == "lines":
            yield from enumerate(line.rstrip("\r\n") for line in file)
        elif form == "csv":
            rows = csv.DictReader(file)
            for at, row in enumerate(rows):
                yield _pair(at, row, text, ident)
        else:
            for at, line in enumerate(file):
                if line.strip():
                    yield _pair(at, _parsed(at, line), text, ident)


@contextmanager
def _opened(path: str) -> Iterator[IO[str]]:
    if path == "-":
        yield sys.stdin
        return
    with Path(path).open(encoding="utf-8", newline="") as file:
        yield file


def _parsed(at: int, line: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError:
        row = None
    if not isinstance(row, dict):
        raise ConfigurationError(f"Line {at + 1} is not a JSON object. Use --format lines for plain text.")
    return row


def _pair(at: int, row: dict[str, Any], text: str, ident: str | None) -> Pair:
    for name in (text, ident):
        if name is not None and name not in row:
            columns = ", ".join(map(str, row))
            raise ConfigurationError(f"Row {at + 1} has no column {name!r}; it has {columns}. See --text-column.")
    return (at if ident is None else row[ident]), row[text]


def _parquet(path: str, text: str, ident: str | None) -> Iterator[Pair]:
    import pyarrow.parquet as parquet

    if path == "-":
        raise ConfigurationError("Parquet cannot be read from a pipe. Give the file's path.")
    file = parquet.ParquetFile(path)
    names = [name for name in (text, ident) if name is not None]
    if missing := [name for name in names if name not in file.schema_arrow.names]:
        columns = ", ".join(file.schema_arrow.names)
        raise ConfigurationError(f"The file has no column {missing[0]!r}; it has {columns}. See --text-column.")
    at = 0
    for batch in file.iter_batches(batch_size=_ROWS, columns=names):
        for row in batch.to_pylist():
            yield (at if ident is None else row[ident]), row[text]
            at += 1
