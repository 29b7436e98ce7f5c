"""Rows prove themselves: a damaged file gives fewer rows, never a wrong one."""

from __future__ import annotations

import random
import sqlite3
import warnings

import pytest

from openrouter_embeddings.cache import CacheWarning, SqliteCache, table
from openrouter_embeddings.errors import ConfigurationError

from .rows import rows


@pytest.fixture
def path(tmp_path):
    return tmp_path / "cache" / "embeddings.sqlite"


def test_flipped_bits_never_give_wrong_bytes(path):
    items = rows(40, width=1024)
    with SqliteCache(path) as cache:
        cache.put(items)
    sound = path.read_bytes()
    dice = random.Random(5)
    refused = missed = 0
    for round_ in range(300):
        damaged = bytearray(sound)
        # A third goes to the header and the schema, where a flip at random would seldom land.
        place = dice.randrange(100) if round_ % 3 == 0 else dice.randrange(len(damaged))
        damaged[place] ^= 1 << dice.randrange(8)
        path.write_bytes(damaged)
        cache = SqliteCache(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CacheWarning)
            try:
                found = cache.get(list(items))
            except ConfigurationError:
                refused += 1
                continue
            assert found.items() <= items.items()
            missed += len(found) < len(items)
            cache.put(rows(1, width=1024, start=99))
            cache.verify()
            cache.close()
    assert missed > 30
    assert refused > 5


def test_a_file_cut_or_written_over_never_gives_wrong_bytes(path):
    items = rows(200, width=1024)
    with SqliteCache(path) as cache:
        cache.put(items)
    sound = path.read_bytes()
    cuts = [sound[:size] for size in (0, 1, 50, 100, 511, 4096, 32767, 32768, 65536, 100_000, len(sound) - 1)]
    cuts.append(sound[: 4 * 32768] + random.Random(1).randbytes(32768) + sound[5 * 32768 :])
    cuts.append(sound[: 4 * 32768] + bytes(32768) + sound[5 * 32768 :])
    for damaged in cuts:
        path.write_bytes(damaged)
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            cache = SqliteCache(path)
            try:
                found = cache.get(list(items))
                cache.get(list(items))
                cache.put(rows(2, start=500))
            except ConfigurationError:
                continue
            finally:
                cache.close()
        assert found.items() <= items.items()
        assert len(seen) <= 1
    assert found  # one lost page leaves the rows of the others


def test_a_damaged_row_is_a_miss_and_verify_deletes_it(path):
    items = rows(20)
    with SqliteCache(path) as cache:
        cache.put(items)
        cache._connection.execute("UPDATE vectors SET v = zeroblob(64) WHERE k = ?", (b"key-3",))
        cache._connection.execute("UPDATE vectors SET dim = 15 WHERE k = ?", (b"key-4",))
        cache._connection.execute("UPDATE vectors SET v = 'text' WHERE k = ?", (b"key-5",))
        cache._connection.execute("UPDATE vectors SET dim = 'text' WHERE k = ?", (b"key-6",))
        assert set(items) - set(cache.get(list(items))) == {b"key-3", b"key-4", b"key-5", b"key-6"}
        assert cache.verify() == 4
        assert cache.verify() == 0
        assert len(cache) == 16
        cache.put(items)
        assert cache.get(list(items)) == items


def test_verify_ends_on_a_tree_that_leads_back(path, monkeypatch):
    with SqliteCache(path) as cache:
        cache.put(rows(3))
        # As a damaged page answers: whatever rowid is asked for, the same rows come.
        again = "SELECT rowid, k, v, dim, crc FROM vectors WHERE rowid > ? - 9 ORDER BY rowid"
        monkeypatch.setattr(table, "_SCAN", again)
        with pytest.warns(CacheWarning, match="out of order"):
            assert cache.verify() == 0


def test_max_bytes_bounds_the_file(path):
    limit = 600_000
    with SqliteCache(path, max_bytes=limit) as cache:
        for n in range(60):
            cache.put(rows(10, width=6144, start=10 * n))
        last = rows(10, width=6144, start=590)
        assert cache.get(list(last)) == last
        assert cache.get([b"key-0"]) == {}
        assert len(cache) > 50
    assert path.stat().st_size <= limit


def test_a_limit_smaller_than_one_row_keeps_the_file_usable(path):
    with SqliteCache(path, max_bytes=1) as cache:
        cache.put(rows(3))
        assert len(cache) <= 3
        assert cache.failures == 0


def test_a_row_that_can_be_seen_and_not_deleted_ends_the_making_of_room():
    class Tree:
        """A connection to a damaged tree: always full, with a row that no DELETE finds."""

        rowcount = 0

        def __init__(self) -> None:
            self.deleted, self.answer = 0, 1000

        def execute(self, statement, values=()):
            self.deleted += statement.startswith("DELETE")
            self.answer = 0 if "freelist" in statement else 1000
            return self

        def fetchone(self):
            return (self.answer,)

    tree = Tree()
    table._make_room(tree, 10, 100)
    assert tree.deleted == 1


def test_an_error_that_is_no_damage_is_not_taken_for_a_miss(path):
    class Busy:
        def execute(self, *_):
            raise sqlite3.OperationalError("database is locked")

    with pytest.raises(sqlite3.OperationalError):
        table.look_up(Busy(), [b"a"], {})
    assert table.error_code(sqlite3.OperationalError("made by hand")) == 0
