"""The cache in one SQLite file: durable, shared between processes, and never wrong.

Two rules shape it. Trouble with the file must not lose vectors that are paid for, so reading answers "not there" and
writing warns. And a damaged file must not give a wrong vector, so every row carries a checksum over key and value.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
import warnings
import weakref
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

from ._cache_file import BUSY_SECONDS, CacheWarning, connect, pragma, transaction
from .errors import ConfigurationError

_REOPEN_SECONDS = 30.0
_KEYS_PER_SELECT = 500
_SCAN = "SELECT rowid, k, v, dim, crc FROM vectors WHERE rowid > ? ORDER BY rowid LIMIT 256"

_T = TypeVar("_T")


_opening = threading.Lock()
_live: weakref.WeakSet[SqliteCache] = weakref.WeakSet()


class SqliteCache:
    """Keeps vectors in one SQLite file that any number of processes and threads may share.

    The file is opened at first use, or by `open`. It is created for its owner only. Nothing is ever dropped unless
    ``max_bytes`` is given: then the rows written first go first, and are paid for again when they are needed.

    Args:
        path: The file; it and its folder are created where missing. It should lie on a local disk.
        secret: Makes keys unguessable without it. A pickle of the cache carries it, as workers need the same keys.
        max_bytes: The most the rows may take, the write-ahead log (at most some 32 MiB) not counted.
        synchronous: ``"full"`` survives a power loss; ``"normal"`` may lose the last writes then, and is no less safe
            otherwise.

    Attributes:
        failures: How many reads and writes failed.

    Raises:
        ConfigurationError: An option is wrong, or, when opened, the file is not a cache, a symlink or another user's.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        secret: bytes | str | None = None,
        max_bytes: int | None = None,
        synchronous: Literal["full", "normal"] = "full",
    ) -> None:
        if synchronous not in {"full", "normal"}:
            raise ConfigurationError(f"synchronous must be 'full' or 'normal', not {synchronous!r}.")
        if max_bytes is not None and max_bytes <= 0:
            raise ConfigurationError(f"max_bytes must be positive, not {max_bytes}.")
        if secret is not None and not secret:
            raise ConfigurationError("The cache's secret is empty.")
        name = os.fspath(path)
        if not isinstance(name, str) or not name or "\0" in name:
            raise ConfigurationError("The cache's path is not a file name.")
        self.path = Path(name).expanduser().absolute()
        self._secret = secret.encode() if isinstance(secret, str) else secret
        self._max_bytes = max_bytes
        self._synchronous = synchronous
        self._fresh()

    def _fresh(self) -> None:
        self.failures = 0
        self._warned = False
        self._failed: Exception | None = None
        self._connection: sqlite3.Connection | None = None
        self._pid = os.getpid()
        self._closed_until = 0.0
        self._lock = threading.Lock()
        _live.add(self)

    @property
    def secret(self) -> bytes | None:
        """What keys are made with."""
        return self._secret

    # -------------------------------------------------------------------------------------------------- rows

    def get(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """Returns the stored values; a key that is not stored, or whose row is damaged, is absent."""
        found: dict[bytes, bytes] = {}
        asked = list(dict.fromkeys(keys))

        def read(connection: sqlite3.Connection) -> None:
            for start in range(0, len(asked), _KEYS_PER_SELECT):
                chunk = asked[start : start + _KEYS_PER_SELECT]
                try:
                    _select(connection, chunk, found)
                except sqlite3.DatabaseError as error:
                    if not _is_corrupt(error):
                        raise
                    self._failed = error
                    # One bad page must not hide the other rows: they are paid for.
                    for key in chunk:
                        with contextlib.suppress(sqlite3.Error):
                            _select(connection, [key], found)

        if asked:
            self._run(read, None)
        return found

    def put(self, items: Mapping[bytes, bytes]) -> None:
        """Stores all items in one durable transaction. Trouble warns once and counts in ``failures``."""
        rows = [(k, v, len(v) // 4, zlib.crc32(v, zlib.crc32(k))) for k, v in items.items() if v and len(v) % 4 == 0]

        def write(connection: sqlite3.Connection) -> None:
            with transaction(connection):
                if self._max_bytes is not None:
                    self._make_room(connection, sum(len(row[1]) + 128 for row in rows))
                connection.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?, ?)", rows)
                if self._max_bytes is not None:
                    self._make_room(connection, 0)

        if len(rows) < len(items):
            self._trouble(ValueError("a value is not float32 bytes"))
        if rows:
            self._run(write, None)

    def _make_room(self, connection: sqlite3.Connection, needed: int) -> None:
        assert self._max_bytes is not None
        while (excess := _used(connection) + needed - self._max_bytes) > 0:
            first = connection.execute("SELECT dim FROM vectors ORDER BY rowid LIMIT 1").fetchone()
            if first is None:
                return
            count = max(1, excess // (int(first[0]) * 4 + 128))
            gone = connection.execute(
                "DELETE FROM vectors WHERE rowid IN (SELECT rowid FROM vectors ORDER BY rowid LIMIT ?)", (count,)
            )
            if not gone.rowcount:  # in a damaged tree a row may be seen and not found
                return

    def __len__(self) -> int:
        return self._run(lambda connection: int(connection.execute("SELECT count(*) FROM vectors").fetchone()[0]), 0)

    def __bool__(self) -> bool:
        return True  # an empty cache is still a cache

    def size(self) -> int:
        """Returns the bytes on disk, the write-ahead log included."""
        total = 0
        for suffix in ("", "-wal"):
            with contextlib.suppress(OSError):
                total += Path(f"{self.path}{suffix}").stat().st_size
        return total

    def verify(self) -> int:
        """Reads every row, deletes the damaged ones, and returns how many they were."""
        bad: list[int] = []

        def scan(connection: sqlite3.Connection) -> None:
            last = -(2**63)
            while rows := connection.execute(_SCAN, (last,)).fetchall():
                if rows[-1][0] <= last:  # a damaged tree may lead back to where it has been
                    raise sqlite3.DatabaseError("its rows are out of order")
                bad.extend(row[0] for row in rows if not _is_sound(*row[1:]))
                last = rows[-1][0]
            if bad:
                # A damaged key no longer agrees with the index, and such a row could not be deleted.
                connection.execute("REINDEX vectors")
                with transaction(connection):
                    connection.executemany("DELETE FROM vectors WHERE rowid = ?", [(row,) for row in bad])

        self._run(scan, None)
        return len(bad)

    def vacuum(self) -> None:
        """Gives unused space back to the disk; needs as much room again while it runs."""

        def shrink(connection: sqlite3.Connection) -> None:
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

        self._run(shrink, None)

    # -------------------------------------------------------------------------------------------- connection

    def open(self) -> SqliteCache:
        """Opens the file now rather than at first use, so that a wrong one is known early."""
        self._run(lambda _: None, None)
        return self

    def close(self) -> None:
        """Closes the file. The next use opens it again."""
        with self._lock:
            self._drop()

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        if self._pid == os.getpid():
            with contextlib.suppress(sqlite3.Error):
                connection.close()
        else:
            _inherited.append(connection)

    def _run(self, work: Callable[[sqlite3.Connection], _T], otherwise: _T) -> _T:
        result = otherwise
        failed: Exception | None = None
        with self._lock:
            self._failed = None
            try:
                if self._pid != os.getpid():
                    self._drop()
                    self._pid = os.getpid()
                if self._connection is None:
                    if time.monotonic() < self._closed_until:
                        self.failures += 1
                        return otherwise
                    self._connection = self._connect()
                result = work(self._connection)
            except (sqlite3.Error, OSError, UnicodeDecodeError) as error:  # SQLite quotes damaged names in its errors
                if self._connection is None:
                    self._closed_until = time.monotonic() + _REOPEN_SECONDS
                self._failed = error
            failed, self._failed = self._failed, None
        if failed is not None:  # outside the lock: a warning may run code of the user's
            self._trouble(failed)
        return result

    def _connect(self) -> sqlite3.Connection:
        with _opening:
            return connect(self.path, self._synchronous)

    def _trouble(self, error: Exception) -> None:
        self.failures += 1
        if not self._warned:
            self._warned = True
            warnings.warn(f"The embedding cache {self.path} is not working: {error}.", CacheWarning, stacklevel=4)

    # ---------------------------------------------------------------------------------------------- an object

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_connection", None) is not None:
            self._drop()

    def __repr__(self) -> str:
        return f"SqliteCache({str(self.path)!r})"

    def __getstate__(self) -> dict[str, Any]:
        names = ("path", "_secret", "_max_bytes", "_synchronous")
        return {name: getattr(self, name) for name in names}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._fresh()


# ------------------------------------------------------------------------------------------------------------- rows


def _is_sound(k: object, v: object, dim: object, crc: object) -> bool:
    if not (isinstance(k, bytes) and isinstance(v, bytes) and isinstance(dim, int)):
        return False
    return len(v) == dim * 4 > 0 and crc == zlib.crc32(v, zlib.crc32(k))


def _select(connection: sqlite3.Connection, keys: list[bytes], found: dict[bytes, bytes]) -> None:
    marks = ",".join("?" * len(keys))
    wanted = set(keys)
    for row in connection.execute(f"SELECT k, v, dim, crc FROM vectors WHERE k IN ({marks})", keys):  # noqa: S608  only question marks
        # A damaged index may point at another key's sound row.
        if _is_sound(*row) and row[0] in wanted:
            found[row[0]] = row[1]


def _is_corrupt(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_CORRUPT


def _used(connection: sqlite3.Connection) -> int:
    pages = pragma(connection, "page_count") - pragma(connection, "freelist_count")
    return int(pages * pragma(connection, "page_size"))


# ------------------------------------------------------------------------------------------------------------- fork

_inherited: list[sqlite3.Connection] = []  # kept for ever: closing a parent's connection in its child harms the parent


def _before_fork() -> None:
    # SQLite remembers per process which locks it holds, and a child would inherit the memory without the locks. So
    # nothing is open while the process divides; both sides open again at their next use.
    for cache in list(_live):
        if cache._lock.acquire(timeout=BUSY_SECONDS + 5):  # noqa: SLF001  one module
            cache._drop()  # noqa: SLF001
            _held.append(cache)


def _after_fork_in_parent() -> None:
    while _held:
        _held.pop()._lock.release()  # noqa: SLF001


def _after_fork_in_child() -> None:
    global _opening  # noqa: PLW0603
    _opening = threading.Lock()
    _held.clear()
    for cache in list(_live):
        cache._lock = threading.Lock()  # noqa: SLF001


_held: list[SqliteCache] = []
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
