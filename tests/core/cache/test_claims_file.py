"""Claims on a cache file: who pays for what, until when, and that they never stop work nor touch the file itself."""

from __future__ import annotations

import os
import pickle
import sqlite3
import stat
import warnings

import pytest

from openrouter_embeddings.cache import CacheWarning, ClaimingCache, SqliteCache, claims_file, sqlite_file

KEYS = [b"key-%d" % number for number in range(3)]
VALUE = bytes(8)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "embeddings.sqlite"


@pytest.fixture
def two(path):
    """Two owners, as two processes are."""
    with SqliteCache(path) as first, SqliteCache(path) as second:
        yield first, second


def test_the_first_to_claim_a_key_has_it_and_may_claim_it_anew(two):
    first, second = two
    assert isinstance(first, ClaimingCache)
    assert first.claim(KEYS[:2], 60.0) == set(KEYS[:2])
    assert second.claim(KEYS, 60.0) == {KEYS[2]}
    assert first.claim(KEYS, 60.0) == set(KEYS[:2])


def test_a_claim_that_is_given_up_is_free_and_only_its_owner_gives_it_up(two):
    first, second = two
    first.claim(KEYS, 60.0)
    second.unclaim(KEYS)
    assert second.claim(KEYS, 60.0) == set()
    first.unclaim(KEYS[:1])
    assert second.claim(KEYS, 60.0) == {KEYS[0]}


def test_what_is_stored_is_claimed_no_longer_even_where_it_could_not_be_stored(two):
    first, second = two
    first.claim(KEYS, 60.0)
    with pytest.warns(CacheWarning, match="not float32"):
        first.put({KEYS[0]: VALUE, KEYS[1]: b"odd"})
    assert second.claim(KEYS, 60.0) == set(KEYS[:2])


def test_a_claim_expires_and_the_next_to_open_the_file_sweeps_it_away(two, monkeypatch):
    first, second = two
    now = [1000.0]
    monkeypatch.setattr(claims_file.time, "time", lambda: now[0])
    first.claim(KEYS, 60.0)
    now[0] += 59.0
    assert second.claim(KEYS, 60.0) == set()
    now[0] += 2.0
    assert second.claim(KEYS[:1], 1.0) == {KEYS[0]}
    now[0] += 2.0
    second.close()
    second.claim(KEYS[2:], 60.0)
    assert [row for (row,) in second._claims._connection.execute("SELECT k FROM claims")] == [KEYS[2]]


def test_more_keys_than_one_statement_takes_can_be_claimed(two):
    keys = [b"%d" % number for number in range(1201)]
    assert two[0].claim(keys, 60.0) == set(keys)
    assert two[1].claim(keys, 60.0) == set()
    two[0].unclaim(keys)
    assert two[1].claim(keys, 60.0) == set(keys)


def test_a_pickle_and_a_forked_child_are_owners_of_their_own(two):
    first, _ = two
    first.claim(KEYS, 60.0)
    with pickle.loads(pickle.dumps(first)) as other:
        assert other.claim(KEYS, 60.0) == set()
    owner = first._claims._owner
    first._claims.after_fork()
    assert first._claims._owner != owner


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # of Python 3.12 and later
def test_a_forked_child_meets_the_claims_of_its_parent(two):
    first, _ = two
    first.claim(KEYS, 60.0)
    pid = os.fork()
    if pid == 0:
        os._exit(0 if first.claim(KEYS, 60.0) == set() else 1)
    assert os.waitpid(pid, 0)[1] == 0
    assert first.claim(KEYS, 60.0) == set(KEYS)


def test_the_cache_file_itself_stays_as_older_releases_know_it(two, path):
    first, _ = two
    first.claim(KEYS, 60.0)
    first.put({KEYS[0]: VALUE})
    first.close()
    connection = sqlite3.connect(path)
    tables = connection.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    assert tables == [
        ("CREATE TABLE vectors (k BLOB PRIMARY KEY, v BLOB NOT NULL, dim INTEGER NOT NULL, crc INTEGER NOT NULL)",)
    ]
    assert connection.execute("PRAGMA user_version").fetchone() == (1,)
    connection.close()


def test_a_file_of_an_older_release_gains_claims(path):
    with SqliteCache(path) as cache:
        cache.put({KEYS[0]: VALUE})
    assert not path.with_name(path.name + "-claims").exists(), "nothing was claimed"
    with SqliteCache(path) as cache:
        assert cache.claim(KEYS, 60.0) == set(KEYS)
        assert cache.get(KEYS) == {KEYS[0]: VALUE}
    assert stat.S_IMODE(path.with_name(path.name + "-claims").stat().st_mode) == 0o600


def test_claims_that_another_process_locks_let_everything_through_with_one_warning(two, monkeypatch):
    monkeypatch.setattr(claims_file, "_BUSY_SECONDS", 0)
    first, second = two
    first.claim(KEYS, 60.0)
    second.claim(KEYS, 60.0)
    first._claims._connection.execute("BEGIN IMMEDIATE")
    with pytest.warns(CacheWarning, match="-claims is not working: database is locked"):
        assert second.claim(KEYS, 60.0) == set(KEYS)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert second.claim(KEYS, 60.0) == set(KEYS)
        second.unclaim(KEYS)
    first._claims._connection.execute("ROLLBACK")


@pytest.mark.parametrize("hurt", ["garbage", "symlink", "another table"])
def test_a_claims_file_that_is_not_ours_is_left_alone_and_stops_nothing(path, hurt):
    beside = path.with_name(path.name + "-claims")
    if hurt == "garbage":
        beside.write_bytes(b"garbage" * 1000)
    elif hurt == "symlink":
        beside.symlink_to(path.with_name("other"))
    else:
        connection = sqlite3.connect(beside)
        connection.execute(f"PRAGMA application_id={sqlite_file.APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version={sqlite_file.SCHEMA_VERSION}")
        connection.execute("CREATE TABLE other (x)")
        connection.close()
    before = beside.read_bytes() if hurt == "garbage" else None
    with SqliteCache(path) as cache:
        with pytest.warns(CacheWarning, match=r"-claims is not working: [^.]+.*\. The cache itself is; "):
            assert cache.claim(KEYS, 60.0) == set(KEYS)
        cache.put({KEYS[0]: VALUE})
        assert cache.get(KEYS) == {KEYS[0]: VALUE}
    if before is not None:
        assert beside.read_bytes() == before
