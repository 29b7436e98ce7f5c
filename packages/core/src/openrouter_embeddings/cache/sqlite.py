"""The cache in one SQLite file: durable, shared between processes, and never wrong.

Two rules shape it. Trouble with the file must not lose embeddings that are paid for, so reading answers "not there" and
writing warns. And a damaged file must not give a wrong embedding, so every row carries a checksum over key and value.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self

from openrouter_embeddings.errors import ConfigurationError

from .claims_file import ClaimsFile
from .connection import SqliteFile
from .sqlite_file import connect
from .table import delete_damaged, look_up, rows_of, store


class SqliteCache(SqliteFile):
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
        self._secret = secret.encode() if isinstance(secret, str) else secret
        self._max_bytes = max_bytes
        self._synchronous = synchronous
        super().__init__(Path(name).expanduser().absolute())

    def _fresh(self) -> None:
        super()._fresh()
        self._claims = ClaimsFile(Path(f"{self.path}-claims"), self._warned)

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
        """Store all items in one durable transaction, and give up their claims. Trouble warns once and counts in ``failures``.

        Where another process holds the file locked for 30 seconds, nothing is stored for the next 30: work goes on.
        """
        rows = rows_of(items)
        if len(rows) < len(items):
            self._report(ValueError("a value is not float32 bytes"))
        if rows:
            self._run(lambda connection: store(connection, rows, self._max_bytes), None, writes=True)
        self._claims.unclaim(list(items))

    def claim(self, keys: Sequence[bytes], seconds: float) -> set[bytes]:
        """Return the keys that are now this object's to pay for, for so long. Where claims do not work, that is all of them.

        Claims lie in a small file beside the cache, which a power loss may empty and whose name ends in ``-claims``.
        """
        return self._claims.claim(keys, seconds)

    def unclaim(self, keys: Sequence[bytes]) -> None:
        """Give up what this object has claimed."""
        self._claims.unclaim(keys)

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
        super().close()
        self._claims.close()

    def _connect(self) -> sqlite3.Connection:
        return connect(self.path, self._synchronous)

    # ---------------------------------------------------------------------------------------------- an object

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"SqliteCache({str(self.path)!r})"

    def __getstate__(self) -> dict[str, Any]:
        names = ("path", "_secret", "_max_bytes", "_synchronous")
        return {name: getattr(self, name) for name in names}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._fresh()
