"""Who pays for what at the moment, over all processes: a small SQLite file beside the cache's own.

Releases before claims open a cache file only if it holds the one table that they know, so claims lie in a file of their
own. Nothing in it is worth a write to the disk at once: a claim that is lost costs at most a second payment.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from openrouter_embeddings.errors import ConfigurationError

from .connection import SqliteFile
from .owners import has_ended, new_owner
from .sqlite_file import connect, transaction
from .table import KEYS_PER_SELECT

_TABLE = "CREATE TABLE claims (k BLOB PRIMARY KEY, owner BLOB NOT NULL, until REAL NOT NULL) WITHOUT ROWID"
_BUSY_SECONDS = 2
"""A request waits for its claim. Where the file is locked for longer, it leaves without one."""


class ClaimsFile(SqliteFile):
    """The claims on one cache file. The clock is the machine's, as processes have no other in common.

    Args:
        path: The file.
        warned: Set once there was a warning of the cache: one is enough.
    """

    trouble = (
        "{path} is not working: {error}. The cache itself is; but what other processes pay for at the same moment is paid"
        " for here too."
    )

    def __init__(self, path: Path, warned: threading.Event) -> None:
        super().__init__(path)
        self._warned = warned
        self._owner = new_owner()
        self._has_claimed = False

    def _connect(self) -> sqlite3.Connection:
        try:
            connection = connect(self.path, "normal", table=_TABLE, page_size=4096)
        except ConfigurationError as error:  # a symlink, or another user's: no reason to stop
            raise OSError(error.message) from None
        connection.execute(f"PRAGMA busy_timeout={_BUSY_SECONDS * 1000}")
        connection.execute("DELETE FROM claims WHERE until < ?", (time.time(),))
        return connection

    def claim(self, keys: Sequence[bytes], seconds: float) -> set[bytes]:
        """Return the keys that no other owner has claimed, and which are this one's from now on."""
        self._has_claimed = True
        return self._run(lambda connection: _claim(connection, keys, self._owner, seconds), set(keys), writes=True)

    def unclaim(self, keys: Sequence[bytes]) -> None:
        """Give up claims of this owner."""
        if self._has_claimed and keys:
            self._run(lambda connection: _unclaim(connection, keys, self._owner), None, writes=True)

    def after_fork(self) -> None:
        """Be another owner than the parent."""
        super().after_fork()
        self._owner = new_owner()


def _claim(connection: sqlite3.Connection, keys: Sequence[bytes], owner: bytes, seconds: float) -> set[bytes]:
    free, now = set(keys), time.time()
    with transaction(connection):
        for chunk in _chunks(keys):
            sql = f"SELECT k, owner FROM claims WHERE owner <> ? AND until > ? AND k IN ({_marks(chunk)})"  # noqa: S608  only question marks
            taken = connection.execute(sql, (owner, now, *chunk)).fetchall()
            ended = {other for other in {other for _, other in taken} if has_ended(other)}
            free.difference_update(key for key, other in taken if other not in ended)
        rows = [(key, owner, now + seconds) for key in sorted(free)]
        connection.executemany("INSERT OR REPLACE INTO claims VALUES (?, ?, ?)", rows)
    return free


def _unclaim(connection: sqlite3.Connection, keys: Sequence[bytes], owner: bytes) -> None:
    with transaction(connection):
        for chunk in _chunks(keys):
            connection.execute(f"DELETE FROM claims WHERE owner = ? AND k IN ({_marks(chunk)})", (owner, *chunk))  # noqa: S608


def _chunks(keys: Sequence[bytes]) -> list[Sequence[bytes]]:
    return [keys[start : start + KEYS_PER_SELECT] for start in range(0, len(keys), KEYS_PER_SELECT)]


def _marks(keys: Sequence[bytes]) -> str:
    return ",".join("?" * len(keys))
