"""Outputs: written in constant memory beside the place they are for, and moved there when they are complete."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from openrouter_embeddings import ConfigurationError, ResponseError

from .locks import held

if TYPE_CHECKING:
    from openrouter_embeddings._matrix import Matrix

_HEADER_BYTES = 128
_MAGIC = b"\x93NUMPY\x01\x00"


class Writer(Protocol):
    """A file of embeddings that is being written."""

    def begin(self, ident: type, width: int) -> None:
        """Open it for ids of this type and embeddings of this width."""
        ...

    def add(self, ids: Sequence[Any], embeddings: Matrix) -> None:
        """Take some rows."""
        ...

    def finish(self) -> None:
        """Write what is held, and close it."""
        ...

    def close(self) -> None:
        """Close it, whatever is in it."""
        ...


class NpyFile:
    """Writes a float32 matrix as numpy does, its ids beside it, one JSON value a line."""

    def __init__(self, path: Path, ids_path: Path) -> None:
        self._matrix = path.open("wb")
        self._ids = ids_path.open("w", encoding="utf-8", newline="\n")
        self._width = self._rows = 0

    def begin(self, ident: type, width: int) -> None:
        """Leave room for the header, which can be written when all rows are."""
        self._width = width
        self._matrix.write(bytes(_HEADER_BYTES))

    def add(self, ids: Sequence[Any], embeddings: Matrix) -> None:
        """Take some rows."""
        self._rows += len(ids)
        self._matrix.write(np.ascontiguousarray(embeddings, dtype="<f4").tobytes())
        self._ids.writelines(json.dumps(one, ensure_ascii=False) + "\n" for one in ids)

    def finish(self) -> None:
        """Write the header, and close the files."""
        self._matrix.seek(0)
        self._matrix.write(_npy_header(self._rows, self._width))
        self.close()

    def close(self) -> None:
        """Close the files, whatever is in them."""
        self._matrix.close()
        self._ids.close()


def _npy_header(rows: int, width: int) -> bytes:
    described = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {width}), }}"
    text = described.ljust(_HEADER_BYTES - len(_MAGIC) - 3) + "\n"
    return _MAGIC + (_HEADER_BYTES - len(_MAGIC) - 2).to_bytes(2, "little") + text.encode("ascii")


class Output:
    """What a command writes: rows as they come, under temporary names until `move` gives them their own."""

    def __init__(self, out: Path) -> None:
        self.rows = 0
        self.width: int | None = None
        self._places = {_partial(one): one for one in _files_of(out)}
        partials = list(self._places)
        self._writer: Writer
        if out.suffix == ".npy":
            self._writer = NpyFile(partials[1], partials[0])
        else:
            from .parquet import ParquetFile

            self._writer = ParquetFile(partials[0])

    def add(self, ids: Sequence[Any], embeddings: Matrix) -> None:
        """Take some rows. All are as wide as the first."""
        if not ids:
            return
        width = int(embeddings.shape[1])
        if self.width is None:
            self._begin(type(ids[0]), width)
        if width != self.width:
            raise ResponseError(f"Embeddings of width {width} came after some of {self.width}; nothing was written.")
        self._writer.add(ids, embeddings)
        self.rows += len(ids)

    def _begin(self, ident: type, width: int) -> None:
        self.width = width
        self._writer.begin(ident, width)

    def move(self) -> None:
        """Close the files and move them to their places. Without a row there is no width either."""
        if self.width is None:
            self._begin(int, 0)
        self._writer.finish()
        for partial, place in self._places.items():
            _to_disk(partial)
            partial.replace(place)
        self._places = {}  # a file of these names is another run's from now on

    def drop(self) -> None:
        """Close the files and remove them."""
        with contextlib.suppress(Exception):  # what went wrong with them is being reported already
            self._writer.close()
        for partial in self._places:
            partial.unlink(missing_ok=True)


@contextmanager
def writing(out: Path) -> Iterator[Output]:
    """Open an output; what is not moved to its place by the end is dropped."""
    with held(_partial(out)):
        output = Output(out)
        try:
            yield output
        finally:
            output.drop()


def check_out(out: Path) -> None:
    """Raise `ConfigurationError` where an output cannot be written, before anything is paid."""
    if out.suffix not in {".parquet", ".npy"}:
        raise ConfigurationError(f"--out takes a name that ends with .parquet or .npy, not {out.name!r}.")
    if not out.parent.is_dir():
        raise ConfigurationError(f"--out: there is no folder {str(out.parent)!r}.")
    if out.is_dir():
        raise ConfigurationError(f"--out {str(out)!r} is a folder.")


def _files_of(out: Path) -> list[Path]:
    # The matrix last: where it is, everything is.
    return [out.with_name(f"{out.name}.ids.jsonl"), out] if out.suffix == ".npy" else [out]


def _partial(path: Path) -> Path:
    return path.with_name(f".{path.name}.partial")


def _to_disk(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())
