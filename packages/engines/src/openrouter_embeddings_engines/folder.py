"""A folder on any file system: a local one, pyarrow's, or fsspec's."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import fs

from openrouter_embeddings import ConfigurationError

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows
    fcntl = None  # type: ignore[assignment]


def located(place: str | os.PathLike[str], filesystem: Any = None) -> tuple[Any, str]:
    """Return the pyarrow file system and the path in it of what a user names.

    Args:
        place: A path, or an address such as `s3://bucket/folder`.
        filesystem: The user's own, pyarrow's or fsspec's; then `place` is a path in it.

    Raises:
        ConfigurationError: No file system is known for the address. The address is not shown: it may hold a key.
    """
    text = os.fspath(place)
    if filesystem is not None:
        return _as_arrow(filesystem), text.rstrip("/")
    scheme, is_address, _ = text.partition("://")
    if not is_address:
        return fs.LocalFileSystem(), Path(text).absolute().as_posix()
    try:
        system, path = fs.FileSystem.from_uri(text)
        return system, path.rstrip("/")
    except (pa.ArrowException, ValueError):
        pass
    try:
        from fsspec.core import url_to_fs

        system, path = url_to_fs(text)
    except (ImportError, ValueError):
        raise ConfigurationError(
            f"No file system is known for {scheme}://. Install fsspec with what it needs for {scheme}, or pass filesystem=."
        ) from None
    return _as_arrow(system), path.rstrip("/")


def _as_arrow(filesystem: Any) -> Any:
    if isinstance(filesystem, fs.FileSystem):
        return filesystem
    if "file" in (getattr(filesystem, "protocol", None) or ()):
        return fs.LocalFileSystem()
    return fs.PyFileSystem(fs.FSSpecHandler(filesystem))


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder on a pyarrow file system, by names within it."""

    system: Any
    path: str

    def __truediv__(self, name: str) -> str:
        return f"{self.path}/{name}"

    def names(self, within: str = "") -> list[str]:
        """Return the names of the files in it, or in a folder of it; none where there is no folder."""
        selector = fs.FileSelector(f"{self.path}/{within}".rstrip("/"), allow_not_found=True)
        return [found.base_name for found in self.system.get_file_info(selector) if found.is_file]

    def has(self, name: str) -> bool:
        """Return whether there is a file of this name."""
        return bool(self.system.get_file_info(self / name).is_file)

    def make(self, within: str = "") -> None:
        """Make the folder, or a folder of it, unless it is there."""
        self.system.create_dir(f"{self.path}/{within}".rstrip("/"), recursive=True)

    def read(self, name: str) -> bytes:
        """Return what a file holds."""
        with self.system.open_input_stream(self / name, compression=None) as file:
            return bytes(file.read())

    def write(self, name: str, content: bytes) -> None:
        """Write a file: all of it is there under its name, or nothing is."""
        head, slash, tail = name.rpartition("/")
        temporary = f"{head}{slash}_{tail}.tmp"
        self.put(temporary, content)
        self.move(temporary, name)

    def put(self, name: str, content: bytes) -> None:
        """Write a file: in a store of objects all of it or nothing, elsewhere maybe a part of it if the process dies."""
        with self.system.open_output_stream(self / name, compression=None) as file:
            file.write(content)

    def write_json(self, name: str, value: Any) -> None:
        """Write a value as `write` does."""
        self.write(name, json.dumps(value, sort_keys=True).encode())

    def move(self, name: str, to: str) -> None:
        """Give a file its name: at once on a file system, by a copy in a store of objects."""
        self.system.move(self / name, self / to)

    def delete(self, name: str) -> None:
        """Delete a file."""
        self.system.delete_file(self / name)

    @property
    def is_local(self) -> bool:
        """Whether it is on this machine's own file system."""
        return isinstance(self.system, fs.LocalFileSystem)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep other runs on this machine out for the length of the block; the lock ends with the process.

        Raises:
            ConfigurationError: Another run is writing here.
        """
        if fcntl is None or not self.is_local:
            yield
            return
        with Path(self / "_lock").open("ab") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ConfigurationError(f"Another run is writing {self.path!r}. Wait for it, or stop it.") from None
            yield
