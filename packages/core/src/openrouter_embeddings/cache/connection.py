"""One connection to a file of ours: opened at first use, closed while the process forks, and never a reason to stop."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from openrouter_embeddings._fork import ForkAware, Lock
from openrouter_embeddings._warn import warn

from .protocol import CacheWarning
from .sqlite_file import BUSY_SECONDS
from .table import error_code

_PAUSE_SECONDS = 30.0
_LOCKED = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}

_T = TypeVar("_T")
_opening = Lock()
_inherited: list[sqlite3.Connection] = []  # kept for ever: closing a parent's connection in its child harms the parent


class SqliteFile(ForkAware):
    """One SQLite file, used by any number of threads. Trouble warns once and counts in `failures`.

    Args:
        path: The file.
    """

    trouble = "The embedding cache {path} is not working: {error}."
    """What a warning says."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fresh()

    def _fresh(self) -> None:
        self.failures = 0
        self._warned = threading.Event()
        self._failed: Exception | None = None
        self._connection: sqlite3.Connection | None = None
        self._pid = os.getpid()
        self._closed_until = self._locked_until = 0.0
        self._lock = threading.Lock()
        self._locked_for_fork = False
        super().__init__()

    def close(self) -> None:
        """Close the file. The next use opens it again."""
        with self._lock:
            self._drop()

    def __del__(self) -> None:
        if getattr(self, "_connection", None) is not None:
            self._drop()

    @property
    def _is_locked(self) -> bool:
        """Whether another process held the file locked a moment ago."""
        return time.monotonic() < self._locked_until

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        if self._pid == os.getpid():
            with contextlib.suppress(sqlite3.Error):
                connection.close()
        else:
            _inherited.append(connection)

    def _run(self, work: Callable[[sqlite3.Connection], _T], otherwise: _T, *, writes: bool = False) -> _T:
        result = otherwise
        failed: Exception | None = None
        with self._lock:
            self._failed = None
            if writes and self._is_locked:  # others may have waited for our lock while one waited for the file
                self.failures += 1
                return otherwise
            try:
                if self._pid != os.getpid():
                    self._drop()
                    self._pid = os.getpid()
                if self._connection is None:
                    if time.monotonic() < self._closed_until:
                        self.failures += 1
                        return otherwise
                    with _opening:
                        self._connection = self._connect()
                result = work(self._connection)
            except (sqlite3.Error, OSError, UnicodeDecodeError) as error:  # SQLite quotes damaged names in its errors
                if self._connection is None:
                    self._closed_until = time.monotonic() + _PAUSE_SECONDS
                elif isinstance(error, sqlite3.Error) and error_code(error) in _LOCKED:
                    self._locked_until = time.monotonic() + _PAUSE_SECONDS
                self._failed = error
            except BaseException:
                self._drop()  # Ctrl-C may have left a transaction open, and the file locked for everybody else
                raise
            failed, self._failed = self._failed, None
        if failed is not None:  # outside the lock: a warning may run code of the user's
            self._report(failed)
        return result

    def _connect(self) -> sqlite3.Connection:
        """Open the file."""
        raise NotImplementedError

    def _report(self, error: Exception) -> None:
        self.failures += 1
        if not self._warned.is_set():
            self._warned.set()
            message = self.trouble.format(path=self.path, error=str(error).removesuffix("."))
            warn(message, CacheWarning)

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
