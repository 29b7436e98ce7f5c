"""Where the embeddings go: Parquet or .npy, written batch by batch beside their place and moved there when complete."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet

from ..errors import ConfigurationError
from ..results import Matrix

_HEADER_ROOM = 128
"""Bytes of a version 1.0 .npy header, which names the shape and is written anew at the end."""


class Writer(Protocol):
    """Takes batches in order."""

    def write(self, ids: list[Any], rows: Matrix) -> None:
        """Append rows and the ids they belong to."""
        ...

    def finish(self) -> None:
        """Put the complete file in its place."""
        ...

    def abandon(self) -> None:
        """Remove what is incomplete."""
        ...


def writer_for(out: Path) -> Writer:
    """Return the writer for a file by its suffix."""
    if not out.parent.is_dir():
        raise ConfigurationError(f"--out: there is no folder {str(out.parent)!r}.")
    if out.suffix == ".parquet":
        return ParquetWriter(out)
    if out.suffix == ".npy":
        return NumpyWriter(out)
    raise ConfigurationError(f"--out takes a name that ends with .parquet or .npy, not {out.name!r}.")


class ParquetWriter:
    """Columns `id` (whole numbers or text) and `embedding` (a list of float32 of fixed size)."""

    def __init__(self, out: Path) -> None:
        self._out = out
        self._partial = out.with_name(f".{out.name}.partial")
        self._writer: parquet.ParquetWriter | None = None
        self._id_type: pa.DataType = pa.int64()

    def write(self, ids: list[Any], rows: Matrix) -> None:
        """Append one row group."""
        if self._writer is None:
            self._id_type = pa.int64() if all(type(one) is int for one in ids) else pa.string()
            self._open(rows.shape[1])
        assert self._writer is not None
        named = pa.array(ids if self._id_type == pa.int64() else [str(one) for one in ids], self._id_type)
        flat = pa.array(np.ascontiguousarray(rows).reshape(-1))
        columns = [named, pa.FixedSizeListArray.from_arrays(flat, rows.shape[1])]
        self._writer.write_table(pa.Table.from_arrays(columns, names=["id", "embedding"]))

    def _open(self, width: int) -> None:
        fields = [("id", self._id_type), ("embedding", pa.list_(pa.float32(), width))]
        # Numbers without a pattern do not compress: dictionaries would only cost time.
        self._writer = parquet.ParquetWriter(self._partial, pa.schema(fields), compression="zstd", use_dictionary=False)

    def finish(self) -> None:
        """Close the file and move it to its place."""
        if self._writer is None:
            self._open(0)
        assert self._writer is not None
        self._writer.close()
        self._partial.replace(self._out)

    def abandon(self) -> None:
        """Remove the file."""
        if self._writer is not None:
            self._writer.close()
        self._partial.unlink(missing_ok=True)


class NumpyWriter:
    """One float32 matrix, and the ids beside it in `<name>.ids.jsonl`, a line each."""

    def __init__(self, out: Path) -> None:
        self._out = out
        self._partial = out.with_name(f".{out.name}.partial")
        self._ids = out.with_name(f"{out.name}.ids.jsonl")
        self._partial_ids = out.with_name(f".{out.name}.ids.partial")
        self._rows = self._partial.open("wb")
        self._names = self._partial_ids.open("w", encoding="utf-8")
        self._count = self._width = 0
        self._rows.write(b" " * _HEADER_ROOM)

    def write(self, ids: list[Any], rows: Matrix) -> None:
        """Append rows."""
        self._width = rows.shape[1]
        self._count += len(rows)
        self._rows.write(np.ascontiguousarray(rows, dtype="<f4").tobytes())
        self._names.writelines(json.dumps(one, ensure_ascii=False, default=str) + "\n" for one in ids)

    def finish(self) -> None:
        """Write the header, now that the shape is known, and move both files to their places."""
        facts = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({self._count}, {self._width}), }}"
        start = b"\x93NUMPY\x01\x00" + (_HEADER_ROOM - 10).to_bytes(2, "little")
        self._rows.seek(0)
        self._rows.write(start + facts.ljust(_HEADER_ROOM - 11).encode("latin-1") + b"\n")
        self._close()
        self._partial_ids.replace(self._ids)
        self._partial.replace(self._out)

    def abandon(self) -> None:
        """Remove both files."""
        self._close()
        self._partial.unlink(missing_ok=True)
        self._partial_ids.unlink(missing_ok=True)

    def _close(self) -> None:
        self._rows.close()
        self._names.close()
