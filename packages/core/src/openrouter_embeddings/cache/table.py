"""The table of the cache file: rows that prove themselves, looked up even where the file is damaged."""

from __future__ import annotations

import contextlib
import sqlite3
import zlib
from collections.abc import Iterator, Mapping, Sequence

from .sqlite_file import pragma, transaction

KEYS_PER_SELECT = 500
_SCAN = "SELECT rowid, k, v, dim, crc FROM vectors WHERE rowid > ? ORDER BY rowid LIMIT 256"
_ROW_OVERHEAD = 128


def rows_of(items: Mapping[bytes, bytes]) -> list[tuple[bytes, bytes, int, int]]:
    """Return the rows that keep these items, each with a checksum over key and value; what is no float32 is left out."""
    return [(k, v, len(v) // 4, zlib.crc32(v, zlib.crc32(k))) for k, v in items.items() if v and len(v) % 4 == 0]


def look_up(connection: sqlite3.Connection, keys: Sequence[bytes], found: dict[bytes, bytes]) -> sqlite3.Error | None:
    """Add the sound rows of these keys to `found`; return the error of a damaged page, if one was met."""
    damage: sqlite3.Error | None = None
    for start in range(0, len(keys), KEYS_PER_SELECT):
        chunk = keys[start : start + KEYS_PER_SELECT]
        try:
            _select(connection, chunk, found)
        except sqlite3.DatabaseError as error:
            if error_code(error) != sqlite3.SQLITE_CORRUPT:
                raise
            damage = error
            # One bad page must not hide the other rows: they are paid for.
            for key in chunk:
                with contextlib.suppress(sqlite3.Error):
                    _select(connection, [key], found)
    return damage


def store(connection: sqlite3.Connection, rows: Sequence[tuple[bytes, bytes, int, int]], max_bytes: int | None) -> None:
    """Store rows in one transaction, the oldest ones making room for them where there is a limit."""
    with transaction(connection):
        if max_bytes is not None:
            _make_room(connection, sum(len(row[1]) + _ROW_OVERHEAD for row in rows), max_bytes)
        connection.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?, ?)", rows)
        if max_bytes is not None:
            _make_room(connection, 0, max_bytes)


def delete_damaged(connection: sqlite3.Connection, bad: list[int]) -> None:
    """Read every row, delete those that are not sound, and list them in `bad`."""
    for rows in _scan(connection):
        bad.extend(row[0] for row in rows if not _is_sound(*row[1:]))
    if bad:
        # A damaged key no longer agrees with the index, and such a row could not be deleted.
        connection.execute("REINDEX vectors")
        with transaction(connection):
            connection.executemany("DELETE FROM vectors WHERE rowid = ?", [(row,) for row in bad])


def error_code(error: sqlite3.Error) -> int:
    """Return SQLite's primary result code of an error, 0 where it has none."""
    return int(getattr(error, "sqlite_errorcode", 0) or 0) & 0xFF


def _scan(connection: sqlite3.Connection) -> Iterator[list[tuple[int, object, object, object, object]]]:
    last = -(2**63)
    while rows := connection.execute(_SCAN, (last,)).fetchall():
        if rows[-1][0] <= last:  # a damaged tree may lead back to where it has been
            raise sqlite3.DatabaseError("its rows are out of order")
        yield rows
        last = rows[-1][0]


def _is_sound(k: object, v: object, dim: object, crc: object) -> bool:
    if not (isinstance(k, bytes) and isinstance(v, bytes) and isinstance(dim, int)):
        return False
    return len(v) == dim * 4 > 0 and crc == zlib.crc32(v, zlib.crc32(k))


def _select(connection: sqlite3.Connection, keys: Sequence[bytes], found: dict[bytes, bytes]) -> None:
    marks = ",".join("?" * len(keys))
    wanted = set(keys)
    for row in connection.execute(f"SELECT k, v, dim, crc FROM vectors WHERE k IN ({marks})", keys):  # noqa: S608  only question marks
        # A damaged index may point at another key's sound row.
        if _is_sound(*row) and row[0] in wanted:
            found[row[0]] = row[1]


def _make_room(connection: sqlite3.Connection, needed: int, max_bytes: int) -> None:
    while (excess := _used(connection) + needed - max_bytes) > 0:
        first = connection.execute("SELECT dim FROM vectors ORDER BY rowid LIMIT 1").fetchone()
        if first is None:
            return
        count = max(1, excess // (int(first[0]) * 4 + _ROW_OVERHEAD))
        gone = connection.execute(
            "DELETE FROM vectors WHERE rowid IN (SELECT rowid FROM vectors ORDER BY rowid LIMIT ?)", (count,)
        )
        if not gone.rowcount:  # in a damaged tree a row may be seen and not found
            return


def _used(connection: sqlite3.Connection) -> int:
    pages = pragma(connection, "page_count") - pragma(connection, "freelist_count")
    return int(pages * pragma(connection, "page_size"))
