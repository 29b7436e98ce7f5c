"""A cache file that was damaged, cut short or is something else: never a wrong vector, never a crash."""

from __future__ import annotations

import os
import random
import sqlite3
import warnings

import numpy as np
import pytest

from openrouter_embeddings import ConfigurationError
from openrouter_embeddings.cache import CacheWarning, SqliteCache

from .support import sized

FLIPS = sized(1000, 120)
CUTS = sized(200, 50)
WIDTH = 384


def rows(count, start=0):
    dice = np.random.default_rng(11)
    return {b"key-%06d" % n: dice.standard_normal(WIDTH).astype("<f4").tobytes() for n in range(start, start + count)}


ROWS = rows(150)


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """The bytes of a sound cache of `ROWS`."""
    path = tmp_path_factory.mktemp("sound") / "embeddings.sqlite"
    with SqliteCache(path) as cache:
        cache.put(ROWS)
    return path.read_bytes()


def used_all_the_same(path):
    """Use a damaged cache for everything; return how many rows it still had, or None if it was refused."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        cache = SqliteCache(path)
        try:
            found = cache.get(list(ROWS))
            cache.put(rows(1, start=999))
            assert cache.get(list(rows(1, start=999))).items() <= rows(1, start=999).items()
            cache.verify()
            assert cache.get(list(ROWS)).items() <= ROWS.items()
        except ConfigurationError:
            return None
        finally:
            cache.close()
    assert [one.category for one in said] in ([], [CacheWarning])
    assert found.items() <= ROWS.items()
    return len(found)


def replaced(path, content):
    for suffix in ("-wal", "-shm", "-journal"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    path.write_bytes(content)


def test_a_thousand_flipped_bytes(sound, tmp_path):
    path, dice = tmp_path / "embeddings.sqlite", random.Random(19)
    outcomes = []
    for number in range(FLIPS):
        damaged = bytearray(sound)
        # Every fourth goes to a page's head, where a flip at random would seldom land.
        place = dice.randrange(len(damaged)) if number % 4 else 32768 * dice.randrange(4) + dice.randrange(200)
        damaged[place] ^= dice.randrange(1, 256)
        replaced(path, damaged)
        outcomes.append(used_all_the_same(path))
    kept = [one for one in outcomes if one is not None]
    assert len(kept) > FLIPS // 2
    assert len(kept) < FLIPS  # some flips make it a file of another kind
    assert min(kept) < len(ROWS)


def test_cut_at_random_lengths(sound, tmp_path):
    path, dice = tmp_path / "embeddings.sqlite", random.Random(20)
    for _ in range(CUTS):
        replaced(path, sound[: dice.randrange(len(sound))])
        found = used_all_the_same(path)
        assert found is None or found < len(ROWS)


def of_another_application(path):
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE vectors (k BLOB PRIMARY KEY, v BLOB NOT NULL, dim INTEGER, crc INTEGER)")
        connection.execute("PRAGMA application_id = 7")
    connection.close()


FOREIGN = {
    "random_bytes": lambda path: path.write_bytes(random.Random(1).randbytes(100_000)),
    "random_after_the_magic": lambda path: path.write_bytes(b"SQLite format 3\0" + random.Random(2).randbytes(99_984)),
    "another_application": of_another_application,
    "a_folder": lambda path: path.mkdir(),
    "a_symlink": lambda path: path.symlink_to(path.with_name("target")),
    "a_symlink_to_a_folder": lambda path: path.symlink_to(path.parent),
    "a_pipe": lambda path: os.mkfifo(path),
}


@pytest.mark.parametrize("kind", sorted(FOREIGN))
def test_a_foreign_file_is_refused_before_anything_is_paid_for(make, embeddings_gateway, tmp_path, kind):
    path = tmp_path / "embeddings.sqlite"
    FOREIGN[kind](path)
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(ConfigurationError, match=r"cache|symlink|regular"):
        make(cache=path).embed_documents(["a"])
    assert embeddings_gateway.paid_inputs() == 0
    assert before == (path.read_bytes() if path.is_file() else None)
    assert len(list(tmp_path.iterdir())) == 1


def test_an_empty_file_becomes_a_cache(make, embeddings_gateway, tmp_path):
    path = tmp_path / "embeddings.sqlite"
    path.write_bytes(b"")
    first = make(cache=path).embed_documents(["a", "b"])
    again = make(cache=path).embed_documents(["a", "b"])
    assert np.array_equal(first.embeddings, again.embeddings)
    assert again.usage.cached == embeddings_gateway.paid_inputs() == 2
