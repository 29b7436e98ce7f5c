"""Inputs: rows of an id and a text, read one after another from JSONL, CSV, Parquet or lines of text."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Any, TextIO

from openrouter_embeddings import ConfigurationError

from .rows import Columns, Row

_LONGEST_FIELD = 2**31 - 1


_AT_ONCE = 1024


class Format(StrEnum):
    """How inputs are written."""

    jsonl = "jsonl"
    csv = "csv"
    parquet = "parquet"
    lines = "lines"


_BY_SUFFIX = {
    ".jsonl": Format.jsonl,
    ".ndjson": Format.jsonl,
    ".csv": Format.csv,
    ".parquet": Format.parquet,
}


def format_of(source: str, given: str | None) -> Format:
    """Return how the inputs are written: as said, else by the file's suffix, else a text a line."""
    if given is not None and given not in set(Format):
        raise ConfigurationError(f"--format takes {', '.join(Format)}, not {given!r}.")
    chosen = Format(given) if given else _BY_SUFFIX.get(Path(source).suffix.lower(), Format.lines)
    if chosen is Format.parquet and source == "-":
        raise ConfigurationError("Parquet cannot be read from a pipe. Name the file.")
    return chosen


@contextmanager
def reading(source: str, format_: Format, columns: Columns) -> Iterator[tuple[Iterator[Row], int | None]]:
    """Open the inputs; yield the rows and, where the file says so, how many there are."""
    if format_ is Format.parquet:
        from .parquet import parquet_rows

        with parquet_rows(source, columns, _AT_ONCE) as rows_and_count:
            yield rows_and_count
        return
    rows = _ROWS[format_]
    with _text_of(source, newline="" if format_ is Format.csv else None) as file:
        yield rows(file, columns), None


@contextmanager
def _text_of(source: str, newline: str | None) -> Iterator[TextIO]:
    # What is not UTF-8 becomes lone surrogates: the row that holds them fails, the others do not.
    if source != "-":
        with Path(source).open(encoding="utf-8-sig", errors="surrogateescape", newline=newline) as file:
            yield file
        return
    stdin = io.TextIOWrapper(sys.stdin.buffer, encoding="utf-8-sig", errors="surrogateescape", newline=newline)
    try:
        yield stdin
    finally:
        stdin.detach()  # stdin stays open


def _lines(file: TextIO, columns: Columns) -> Iterator[Row]:
    if columns.id is not None:
        raise ConfigurationError("Lines of text have no columns. Leave --id-column out; lines are counted from 0.")
    for number, line in enumerate(file):
        yield Row(number, number, line.removesuffix("\n"))


def _jsonl(file: TextIO, columns: Columns) -> Iterator[Row]:
    number = 0
    for line_number, line in enumerate(file, 1):
        if line.isspace():
            continue
        try:
            item = json.loads(line)
        except (ValueError, RecursionError):
            item = None
        if isinstance(item, dict):
            if number == 0:
                columns.check(item)
            yield _from_mapping(number, item, columns)
        elif number == 0:
            raise ConfigurationError(f"Line {line_number} is not a JSON object. Use --format lines for plain text.")
        else:
            yield Row(number, number, None, f"Line {line_number} is not a JSON object.")
        number += 1


def _from_mapping(number: int, item: dict[str, Any], columns: Columns) -> Row:
    missing = [name for name in columns if name is not None and name not in item]
    ident = item.get(columns.id) if columns.id is not None else number
    problem = f"The row has no {missing[0]!r}." if missing else None
    return Row(number, ident, item.get(columns.text), problem)


def _csv(file: TextIO, columns: Columns) -> Iterator[Row]:
    csv.field_size_limit(_LONGEST_FIELD)
    table = csv.DictReader(file, strict=True)
    try:
        columns.check(table.fieldnames or ())
        for number, item in enumerate(table):
            yield _from_mapping(number, item, columns)
    except csv.Error as error:
        raise ConfigurationError(f"Line {table.line_num} of the CSV cannot be read: {error}.") from None


_ROWS: dict[Format, Callable[[TextIO, Columns], Iterator[Row]]] = {
    Format.lines: _lines,
    Format.jsonl: _jsonl,
    Format.csv: _csv,
}
