"""The cache's file: made for its owner only, recognised before it is written, and opened with the right journal."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from openrouter_embeddings._warn import warn
from openrouter_embeddings.errors import ConfigurationError

from .protocol import CacheWarning

APPLICATION_ID = 0x4F52_4543  # "OREC"


SCHEMA_VERSION = 1


BUSY_SECONDS = 30.0


_TABLE = "CREATE TABLE vectors (k BLOB PRIMARY KEY, v BLOB NOT NULL, dim INTEGER NOT NULL, crc INTEGER NOT NULL)"


_NETWORK = ("nfs", "cifs", "smb", "fuse", "9p", "afs", "ceph", "lustre")


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Commit what is written inside, or nothing of it."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise


def pragma(connection: sqlite3.Connection, name: str) -> Any:
    """Read one setting."""
    return connection.execute(f"PRAGMA {name}").fetchone()[0]


def connect(path: Path, synchronous: str, *, table: str = _TABLE, page_size: int = 32768) -> sqlite3.Connection:
    """Open a file of ours with one table, making it first where it is missing; never changes one that is not ours."""
    _prepare_file(path)
    writable = True
    try:
        new = _is_new(path)
        connection = _raw(path, "mode=rw")
    except sqlite3.OperationalError:
        # A WAL file in a folder we cannot write in can be read only without its side files.
        if os.access(path.parent, os.W_OK) and os.access(path, os.W_OK):
            raise
        new, writable = _is_new(path, "mode=ro&immutable=1"), False
        connection = _raw(path, "mode=ro&immutable=1")
    try:
        for setting in ("trusted_schema=OFF", "cell_size_check=ON", f"synchronous={synchronous}"):
            connection.execute(f"PRAGMA {setting}")
        connection.execute("PRAGMA journal_size_limit=67108864").fetchall()
        if new:
            _make_table(connection, table, page_size)
        schema = connection.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
        if schema != [(table.encode(),)]:
            raise sqlite3.DatabaseError("its table is damaged")
        if writable and os.access(path, os.W_OK):
            _set_journal(connection, "delete" if _on_network(path) else "wal")
    except BaseException:
        connection.close()
        raise
    return connection


def _raw(path: Path, mode: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{path.as_uri()}?{mode}", uri=True, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )
    connection.text_factory = bytes  # a damaged value read as text must not fail to decode
    return connection


def _prepare_file(path: Path) -> None:
    # Only stat: opening and closing the file here would release the locks of other connections in this process.
    missing = [folder for folder in path.parents if not folder.exists()]
    for folder in reversed(missing):
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
    with contextlib.suppress(FileExistsError):
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
        if not os.path.lexists(path):
            os.close(os.open(path, flags, 0o600))
    for suffix in ("", "-wal", "-shm", "-journal"):
        try:
            status = os.lstat(f"{path}{suffix}")
        except FileNotFoundError:
            continue
        if not stat.S_ISREG(status.st_mode):
            raise ConfigurationError(f"The cache {path}{suffix} is a symlink or no regular file.")
        if hasattr(os, "getuid") and status.st_uid != os.getuid():
            raise ConfigurationError(f"The cache {path}{suffix} belongs to another user.")


def _is_new(path: Path, mode: str = "mode=ro") -> bool:
    """Return whether the file is empty or our cache; anything else is refused. Reads only."""
    with contextlib.closing(_raw(path, mode)) as connection:
        try:
            if pragma(connection, "page_count") == 0:
                if path.stat().st_size == 1:  # SQLite takes a file of one byte for an empty one, and would overwrite it
                    raise ConfigurationError(f"{path} is not an embedding cache. It was left as it is.")
                return True
            found = pragma(connection, "application_id"), pragma(connection, "user_version")
        except sqlite3.OperationalError as error:
            # A crashed writer's journal is waiting: only a writing connection may play it back, as any reader would.
            if mode == "mode=ro" and getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_READONLY:
                return _is_new(path, "mode=rw")
            raise
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:  # SQLite quotes damaged names in its errors
            raise ConfigurationError(f"{path} is not an embedding cache, or damaged ({error}).") from None
    if found[0] != APPLICATION_ID:
        raise ConfigurationError(f"{path} is not an embedding cache. It was left as it is.")
    if found[1] != SCHEMA_VERSION:
        raise ConfigurationError(f"The cache {path} has format {found[1]}; this release reads {SCHEMA_VERSION}.")
    return False


def _make_table(connection: sqlite3.Connection, table: str, page_size: int) -> None:
    connection.execute(f"PRAGMA page_size={page_size}")
    with transaction(connection):
        if pragma(connection, "application_id") != APPLICATION_ID:  # another process may have been faster
            connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
            connection.execute(table)


def _set_journal(connection: sqlite3.Connection, wanted: str) -> None:
    # SQLite does not wait for this change as it waits for a transaction.
    give_up = time.monotonic() + BUSY_SECONDS
    while pragma(connection, "journal_mode") != wanted.encode():
        try:
            connection.execute(f"PRAGMA journal_mode={wanted}").fetchall()
        except sqlite3.OperationalError:
            if time.monotonic() > give_up:
                raise
            time.sleep(0.02)


def _mounts() -> str:
    try:
        return Path("/proc/mounts").read_text("utf-8", "replace")
    except OSError:
        return ""


def _on_network(path: Path) -> bool:
    real = path.parent.resolve()
    best, kind = -1, ""
    for fields in (line.split(" ") for line in _mounts().splitlines()):
        point = fields[1].replace("\\040", " ")
        if len(point) >= best and real.is_relative_to(point):
            best, kind = len(point), fields[2]
    if not kind.startswith(_NETWORK):
        return False
    warn(f"The cache {path} lies on {kind}: slower, and safe only if its locks work.", CacheWarning)
    return True
