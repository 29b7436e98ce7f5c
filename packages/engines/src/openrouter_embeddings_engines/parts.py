"""How files of rows become parts: the same ones each time, whoever asks, however often."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from openrouter_embeddings import ConfigurationError

_WILD = re.compile(r"[*?\[]")


class Source(NamedTuple):
    """A Parquet file of rows."""

    path: str
    size: int


@dataclass(frozen=True, slots=True)
class Part:
    """Some rows of one file: what is embedded, written and committed as one.

    Attributes:
        name: Of its file, without the suffix.
        path: Of the file that it is part of.
        first: The first row.
        rows: How many.
    """

    name: str
    path: str
    first: int
    rows: int

    @property
    def file(self) -> str:
        """The name of its file."""
        return f"{self.name}.parquet"


def find_sources(system: Any, place: str) -> dict[str, Source]:
    """Return the Parquet files that a path means, by their names below the folder that it names.

    Args:
        system: The file system.
        place: A file, a folder with everything below it, or a folder with a pattern for the names in it.

    Raises:
        ConfigurationError: There are none, or the pattern is not in the last place.
    """
    folder, _, last = place.rpartition("/")
    if _WILD.search(folder):
        raise ConfigurationError("A pattern may stand for names of files only: 'folder/*.parquet'.")
    info = None if _WILD.search(last) else system.get_file_info(place)
    if info is not None and info.is_file:
        return {last: Source(info.path, info.size)}
    base, deep = (folder, False) if info is None else (place, True)
    selector = fs.FileSelector(base, recursive=deep, allow_not_found=True)
    found = {}
    for file in system.get_file_info(selector):
        name = file.path.removeprefix(base).lstrip("/")
        hidden = any(step.startswith(("_", ".")) for step in name.split("/"))
        if file.is_file and not hidden and (name.endswith(".parquet") if deep else fnmatchcase(name, last)):
            found[name] = Source(file.path, file.size)
    if not found:
        raise ConfigurationError("There is no Parquet file at the source. Name a file, a folder or 'folder/*.parquet'.")
    return dict(sorted(found.items()))


def rows_in(system: Any, path: str) -> int:
    """Return how many rows a Parquet file has."""
    with _opened(system, path) as file:
        return int(file.metadata.num_rows)


def parts_of(sources: Mapping[str, Source], rows: Mapping[str, int], part_rows: int) -> Iterator[Part]:
    """Yield the parts of some files. A file without rows is one part, so that its columns are known.

    Args:
        sources: The files by name.
        rows: How many rows each has.
        part_rows: How many rows a part has; the last one of a file has fewer.
    """
    for name, source in sources.items():
        stem = re.sub(r"[^A-Za-z0-9_-]", "-", name.rpartition("/")[2].removesuffix(".parquet"))[:60]
        digest = hashlib.blake2b(name.encode(), digest_size=4).hexdigest()
        for number, first in enumerate(range(0, max(1, rows[name]), part_rows)):
            size = min(part_rows, rows[name] - first)
            yield Part(f"part-{stem}-{digest}-{number:05d}", source.path, first, size)


def read_part(system: Any, part: Part) -> pa.Table:
    """Return the rows of a part."""
    with _opened(system, part.path) as file:
        groups, skip = _groups_of(file.metadata, part)
        batches, there = [], -skip
        for batch in file.iter_batches(batch_size=65_536, row_groups=groups):
            batches.append(batch.slice(max(0, -there)) if there < 0 else batch)
            there += batch.num_rows
            if there >= part.rows:
                break
        return pa.Table.from_batches(batches, file.schema_arrow).slice(0, part.rows)


def _groups_of(metadata: Any, part: Part) -> tuple[Sequence[int], int]:
    """Return the row groups that hold a part, and how many rows of them come before it."""
    groups: list[int] = []
    skip = start = 0
    for group in range(metadata.num_row_groups):
        end = start + metadata.row_group(group).num_rows
        if start < part.first + part.rows and end > part.first:
            skip = part.first - start if not groups else skip
            groups.append(group)
        start = end
    return groups, skip


def _opened(system: Any, path: str) -> Any:
    try:
        return pq.ParquetFile(path, filesystem=system)
    except pa.ArrowInvalid as error:
        raise ConfigurationError(f"{path} cannot be read as Parquet: {error}") from None
