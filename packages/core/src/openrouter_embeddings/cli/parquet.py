"""Parquet, in and out. A module of its own: pyarrow takes a while to import."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from openrouter_embeddings import ConfigurationError

from .rows import Columns, Row

if TYPE_CHECKING:
    from openrouter_embeddings._matrix import Matrix


@contextmanager
def parquet_rows(source: str, columns: Columns, at_once: int) -> Iterator[tuple[Iterator[Row], int | None]]:
    """Open a Parquet file; yield its rows and how many there are."""
    try:
        with Path(source).open("rb") as raw, pq.ParquetFile(raw) as file:
            _check_columns(file.schema_arrow, columns)
            yield _rows(file, columns, at_once), file.metadata.num_rows
    except pa.ArrowException as error:
        raise ConfigurationError(f"{source} cannot be read as Parquet: {error}") from None


def _check_columns(schema: Any, columns: Columns) -> None:
    columns.check(schema.names)
    text, ident = schema.field(columns.text).type, columns.id and schema.field(columns.id).type
    if not _is_text(text):
        raise ConfigurationError(f"Column {columns.text!r} holds {text}, not strings. Choose with --text-column.")
    if ident and not _is_text(ident) and not pa.types.is_integer(ident):
        raise ConfigurationError(f"Column {columns.id!r} holds {ident}; ids are strings or whole numbers.")


def _is_text(kind: Any) -> bool:
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _rows(file: Any, columns: Columns, at_once: int) -> Iterator[Row]:
    number = 0
    wanted = list(dict.fromkeys(name for name in columns if name is not None))
    for batch in file.iter_batches(batch_size=at_once, columns=wanted):
        texts = batch.column(columns.text).to_pylist()
        idents = range(number, number + len(texts)) if columns.id is None else batch.column(columns.id).to_pylist()
        for ident, text in zip(idents, texts, strict=True):
            yield Row(number, ident, text)
            number += 1


class ParquetFile:
    """Writes `id` and `embedding`, a list of fixed size, in row groups that do not depend on how batches fell."""

    group_bytes = 2**24

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: Any = None
        self._schema: Any = None
        self._width = 0
        self._ids: list[Any] = []
        self._held: list[Matrix] = []

    def begin(self, ident: type, width: int) -> None:
        """Open the file for ids of this type and embeddings of this width."""
        id_type = pa.string() if ident is str else pa.int64()
        self._width = width
        self._schema = pa.schema([("id", id_type), ("embedding", pa.list_(pa.float32(), width))])
        self._file = pq.ParquetWriter(self._path, self._schema, use_dictionary=["id"], compression="none")

    def add(self, ids: Sequence[Any], embeddings: Matrix) -> None:
        """Take some rows."""
        self._ids += ids
        self._held.append(embeddings)
        group = max(1, self.group_bytes // (4 * self._width))
        if len(self._ids) >= group:
            ids, rows = self._ids, np.concatenate(self._held)
            whole = len(ids) - len(ids) % group
            for start in range(0, whole, group):
                self._write(ids[start : start + group], rows[start : start + group])
            self._ids, self._held = ids[whole:], [rows[whole:].copy()]

    def _write(self, ids: Sequence[Any], rows: Matrix) -> None:
        flat = pa.array(np.ascontiguousarray(rows).reshape(-1))
        embeddings = pa.FixedSizeListArray.from_arrays(flat, self._width)
        id_array = pa.array(ids, self._schema.field("id").type)
        self._file.write_table(pa.Table.from_arrays([id_array, embeddings], schema=self._schema))

    def finish(self) -> None:
        """Write what is held, and close the file."""
        if self._ids:
            self._write(self._ids, np.concatenate(self._held))
        self.close()

    def close(self) -> None:
        """Close the file, whatever is in it."""
        if self._file is not None:
            self._file.close()
