"""The cache in one SQLite file: durable, shared between processes, and never wrong.

Two rules shape it. Trouble with the file must not lose embeddings that are paid for, so reading answers "not there" and
writing warns. And a damaged file must not give a wrong embedding, so every row carries a checksum over key and value.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

from openrouter_embeddings._fork import ForkAware, Lock
from openrouter_embeddings.errors import ConfigurationError

from .protocol import CacheWarning
from .sqlite_file import BUSY_SECONDS, connect
from .table import delete_damaged, error_code, look_up, rows_of, store

_PAUSE_SECONDS = 30.0
_LOCKED = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}

_T = TypeVar("_T")
_opening = Lock()
_inherited: list[sqlite3.Connection] = []  # kept for ever: closing a parent's connection in its child harms the parent


class SqliteCache(ForkAware):
    """Keeps embeddings in one SQLite file that any number of processes and threads may share.

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
        self._closed_until = self._read_only_until = 0.0
        self._lock = threading.Lock()
        self._locked_for_fork = False
        super().__init__()

    @property
    def secret(self) -> bytes | None:
        """What keys are made with."""
        return self._secret

    # -------------------------------------------------------------------------------------------------- rows

    def get(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """Return the stored values; a key that is not stored, or whose row is damaged, is absent."""
        found: dict[bytes, bytes] = {}
        asked = list(dict.fromkeys(keys))

        def read(connection: sqlite3.Connection) -> None:
            self._failed = look_up(connection, asked, found)

        if asked:
            self._run(read, None)
        return found

    def put(self, items: Mapping[bytes, bytes]) -> None:
        """Store all items in one durable transaction. Trouble warns once and counts in ``failures``.

        Where another process holds the file locked for 30 seconds, nothing is stored for the next 30: work goes on.
        """
        rows = rows_of(items)
        if len(rows) < len(items):
            self._report(ValueError("a value is not float32 bytes"))
        if not rows:
            return
        if time.monotonic() < self._read_only_until:
            self.failures += 1
            return
        self._run(lambda connection: store(connection, rows, self._max_bytes), None)

    def __len__(self) -> int:
        return self._run(lambda connection: int(connection.execute("SELECT count(*) FROM vectors").fetchone()[0]), 0)

    def __bool__(self) -> bool:
        return True  # an empty cache is still a cache

    def size(self) -> int:
        """Return the bytes on disk, the write-ahead log included."""
        total = 0
        for suffix in ("", "-wal"):
            with contextlib.suppress(OSError):
                total += Path(f"{self.path}{suffix}").stat().st_size
        return total

    def verify(self) -> int:
        """Read every row, delete the damaged ones, and return how many they were."""
        bad: list[int] = []
        self._run(lambda connection: delete_damaged(connection, bad), None)
        return len(bad)

    def vacuum(self) -> None:
        """Give unused space back to the disk; needs as much room again while it runs."""

        def shrink(connection: sqlite3.Connection) -> None:
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

        self._run(shrink, None)

    # -------------------------------------------------------------------------------------------- connection

    def open(self) -> SqliteCache:
        """Open the file now rather than at first use, so that a wrong one is known early."""
        self._run(lambda _: None, None)
        return self

    def close(self) -> None:
        """Close the file. The next use opens it again."""
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
                    self._closed_until = time.monotonic() + _PAUSE_SECONDS
                elif isinstance(error, sqlite3.Error) and error_code(error) in _LOCKED:
                    self._read_only_until = time.monotonic() + _PAUSE_SECONDS
                self._failed = error
            failed, self._failed = self._failed, None
        if failed is not None:  # outside the lock: a warning may run code of the user's
            self._report(failed)
        return result

    def _connect(self) -> sqlite3.Connection:
        with _opening:
            return connect(self.path, self._synchronous)

    def _report(self, error: Exception) -> None:
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

    # --------------------------------------------------------------------------------------------------- fork

    # SQLite remembers per process which locks it holds, and a child would inherit the memory without the locks. So
    # nothing is open while the process divides; both sides open again at their next use.

    def before_fork(self) -> None:
        """Close the file, and keep it closed."""
        if self._lock.acquire(timeout=BUSY_SECONDS + 5):
            self._locked_for_fork = True
            self._drop()

    def after_fork_in_parent(self) -> None:
        """Let the file be opened again."""
        if self._locked_for_fork:
            self._locked_for_fork = False
            self._lock.release()

    def after_fork(self) -> None:
        """Let the file be opened again: the thread that held its lock may be gone."""
        self._lock = threading.Lock()
        self._locked_for_fork = False
