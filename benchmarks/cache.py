"""What the cache costs beside a bare SQLite table: durable writes, reads, a hit, and the size of the file.

Both write the same rows in the same transactions with the same settings; the bare table has no checksum, no dedupe and
no lock. What differs is the price of never being wrong. The goals stand in the table; missing one ends with status 1.

    python benchmarks/cache.py                # 100,000 rows of 1536 numbers: 614 MB, in a folder of its own
    python benchmarks/cache.py --rows 10000
"""

from __future__ import annotations

import argparse
import hashlib
import random
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from openrouter_embeddings.cache import SqliteCache

PER_READ = 256
HITS = 2000
_PATTERNS = 997
"""Vectors are made from so many random ones, so that making them costs less than storing them."""


class Store(Protocol):
    """What is measured."""

    def get(self, keys: Sequence[bytes]) -> Mapping[bytes, bytes]:
        """Return what is stored."""

    def put(self, items: Mapping[bytes, bytes]) -> None:
        """Store in one durable transaction."""

    def close(self) -> None:
        """Close the file."""


class BareTable:
    """A table written by hand, with the same page size and durability."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        for setting in ("page_size=32768", "journal_mode=WAL", "synchronous=FULL"):
            self._connection.execute(f"PRAGMA {setting}").fetchall()
        self._connection.execute("CREATE TABLE vectors (k BLOB PRIMARY KEY, v BLOB NOT NULL)")

    def get(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """Return what is stored."""
        marks = ",".join("?" * len(keys))
        return dict(self._connection.execute(f"SELECT k, v FROM vectors WHERE k IN ({marks})", keys))

    def put(self, items: Mapping[bytes, bytes]) -> None:
        """Store in one durable transaction."""
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?)", items.items())
        self._connection.execute("COMMIT")

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


@dataclass(frozen=True)
class Measured:
    """One store's numbers."""

    puts: float
    commit_p50: float
    commit_p99: float
    gets: float
    hit: float
    size: float


class Rows:
    """Keys and vectors by number, the same in every run."""

    def __init__(self, count: int, dimensions: int) -> None:
        self.count, self.width = count, 4 * dimensions
        table = np.random.default_rng(3).standard_normal((_PATTERNS, dimensions)).astype("<f4")
        self._patterns = [row.tobytes() for row in table]

    @staticmethod
    def key(number: int) -> bytes:
        """Return a key as the library makes them."""
        return hashlib.sha256(b"%d" % number).digest()

    def value(self, number: int) -> bytes:
        """Return a row of its own: a pattern that begins with its number."""
        return number.to_bytes(4, "little") + self._patterns[number % _PATTERNS][4:]

    def batches(self, size: int) -> Iterator[dict[bytes, bytes]]:
        """Yield all rows, one transaction at a time."""
        for start in range(0, self.count, size):
            yield {self.key(one): self.value(one) for one in range(start, min(start + size, self.count))}


def measure(store: Store, path: Path, rows: Rows, *, batch: int) -> Measured:
    """Write everything, read at random, and look at the file."""
    commits = []
    for items in rows.batches(batch):
        began = time.perf_counter()
        store.put(items)
        commits.append(time.perf_counter() - began)
    dice = random.Random(5)
    reading = 0.0
    rounds = max(1, min(rows.count, 50_000) // PER_READ)
    for _ in range(rounds):
        wanted = dice.sample(range(rows.count), min(PER_READ, rows.count))
        keys = [rows.key(one) for one in wanted]
        began = time.perf_counter()
        found = store.get(keys)
        reading += time.perf_counter() - began
        assert all(found[key] == rows.value(one) for key, one in zip(keys, wanted, strict=True))
    hits = []
    for _ in range(HITS):
        key = rows.key(dice.randrange(rows.count))
        began = time.perf_counter()
        store.get([key])
        hits.append(time.perf_counter() - began)
    store.close()
    commits.sort()
    return Measured(
        puts=rows.count / sum(commits),
        commit_p50=commits[len(commits) // 2] * 1e3,
        commit_p99=commits[min(len(commits) - 1, len(commits) * 99 // 100)] * 1e3,
        gets=rounds * min(PER_READ, rows.count) / reading,
        hit=sorted(hits)[HITS // 2] * 1e6,
        size=path.stat().st_size / (rows.count * rows.width),
    )


def table(ours: Measured, bare: Measured) -> bool:
    """Print both, and return whether every goal is met."""
    met = True
    print(f"{'':24} {'ours':>10} {'bare table':>11} {'goal':>10}")
    for name, a, b, goal, most in (
        ("durable puts/s", ours.puts, bare.puts, 5000.0, False),
        ("commit p50, ms", ours.commit_p50, bare.commit_p50, None, True),
        ("commit p99, ms", ours.commit_p99, bare.commit_p99, None, True),
        (f"gets/s, {PER_READ} at once", ours.gets, bare.gets, 20_000.0, False),
        ("a hit, us (median)", ours.hit, bare.hit, 100.0, True),
        ("file / raw bytes", ours.size, bare.size, 1.10, True),
    ):
        good = goal is None or (a <= goal if most else a >= goal)
        met &= good
        told = "" if goal is None else f"{'<=' if most else '>='} {goal:,g}"
        print(f"{name:24} {a:>10,.2f} {b:>11,.2f} {told:>10} {'' if good else 'MISSED'}")
    return met


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--dimensions", type=int, default=1536)
    parser.add_argument("--batch", type=int, default=256, help="rows in one transaction")
    parser.add_argument("--folder", help="where to write; must be a real disk for the numbers to mean anything")
    given = parser.parse_args()
    rows = Rows(given.rows, given.dimensions)
    raw = rows.count * rows.width / 1e6
    print(f"{rows.count:,} rows of {given.dimensions} numbers ({raw:,.0f} MB), {given.batch} a commit")
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        path = Path(folder) / "ours.sqlite"
        ours = measure(SqliteCache(path), path, rows, batch=given.batch)
        path.unlink()
        path = Path(folder) / "bare.sqlite"
        bare = measure(BareTable(path), path, rows, batch=given.batch)
    sys.exit(not table(ours, bare))


if __name__ == "__main__":
    main()
