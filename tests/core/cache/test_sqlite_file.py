"""The cache's file: made for its owner only, recognised before it is written, and opened with the right journal."""

from __future__ import annotations

import os
import sqlite3
import stat
import threading

import pytest

from openrouter_embeddings.cache import CacheWarning, SqliteCache, sqlite_file
from openrouter_embeddings.errors import ConfigurationError

from .rows import rows


@pytest.fixture
def path(tmp_path):
    return tmp_path / "cache" / "embeddings.sqlite"


def test_a_file_is_its_owners_alone_and_has_the_settings_it_needs(path):
    old = os.umask(0)
    try:
        cache = SqliteCache(path)
        cache.put(rows(1))
        for name in path.parent.iterdir():
            assert stat.S_IMODE(name.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    finally:
        os.umask(old)
    pragmas = {"journal_mode": b"wal", "page_size": 32768, "synchronous": 2, "busy_timeout": 30000, "user_version": 1}
    for name, value in pragmas.items():
        assert sqlite_file.pragma(cache._connection, name) == value
    cache.close()
    assert [name.name for name in path.parent.iterdir()] == ["embeddings.sqlite"]


def test_a_damaged_name_that_is_no_utf8_is_no_crash(path):
    with SqliteCache(path) as cache:
        cache.put(rows(1))
    sound = path.read_bytes()
    assert sound.count(b"CREATE TABLE vectors") == 1
    path.write_bytes(sound.replace(b"CREATE TABLE vectors", b"CREATE TABLE vec\xd6ors"))
    with pytest.raises(ConfigurationError, match="damaged"):
        SqliteCache(path).get([b"key-0"])


def test_a_file_of_somebody_elses_is_refused_and_left_as_it_was(tmp_path):
    database = tmp_path / "app.db"
    connection = sqlite3.connect(database)
    connection.execute("CREATE TABLE vectors (k, v)")
    connection.commit()
    connection.close()
    text = tmp_path / "notes.txt"
    text.write_text("not a database " * 100)
    short = tmp_path / "short"
    short.write_bytes(b"x")
    for foreign in (database, text, short):
        before = foreign.read_bytes()
        for use in (lambda c: c.put(rows(1)), lambda c: c.get([b"a"]), lambda c: c.open()):
            with pytest.raises(ConfigurationError, match="not an embedding cache"):
                use(SqliteCache(foreign))
        assert foreign.read_bytes() == before
    assert {name.name for name in tmp_path.iterdir()} == {"app.db", "notes.txt", "short"}


def test_another_format_is_refused(path):
    with SqliteCache(path) as cache:
        cache._connection.execute("PRAGMA user_version = 2")
    with pytest.raises(ConfigurationError, match="format 2"):
        SqliteCache(path).open()


def test_symlinks_folders_and_other_owners_are_refused(path, tmp_path, monkeypatch):
    target = tmp_path / "target"
    link = tmp_path / "link"
    link.symlink_to(target)
    with pytest.raises(ConfigurationError, match="symlink"):
        SqliteCache(link).open()
    assert not target.exists()
    with pytest.raises(ConfigurationError, match="regular"):
        SqliteCache(tmp_path).open()
    SqliteCache(path).open().close()
    monkeypatch.setattr(os, "getuid", lambda: path.stat().st_uid + 1)
    with pytest.raises(ConfigurationError, match="another user"):
        SqliteCache(path).open()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_still_reads(path):
    with SqliteCache(path) as cache:
        cache.put(rows(2))
    path.chmod(0o400)
    path.parent.chmod(0o500)
    try:
        with SqliteCache(path) as cache:
            assert cache.get(list(rows(2))) == rows(2)
            with pytest.warns(CacheWarning):
                cache.put(rows(1, start=7))
    finally:
        path.parent.chmod(0o700)


def test_a_network_file_system_gets_a_rollback_journal(path, monkeypatch):
    path.parent.mkdir()
    SqliteCache(path).open().close()
    monkeypatch.setattr(sqlite_file, "_mounts", lambda: f"x / ext4 rw\ny {path.parent.resolve()} nfs4 rw\n")
    with pytest.warns(CacheWarning, match="nfs4"), SqliteCache(path) as cache:  # noqa: PT031
        cache.put(rows(1))
        assert sqlite_file.pragma(cache._connection, "journal_mode") == b"delete"
        assert cache.get([b"key-0"]) == rows(1)


def test_a_folder_one_cannot_write_in_is_read_without_side_files(path, monkeypatch):
    """As root may write anywhere, what the system would answer to others is put in its place."""
    with SqliteCache(path) as cache:
        cache.put(rows(2))
    raw = sqlite_file._raw

    def refuse_writing(path, mode):
        if mode == "mode=rw":
            raise sqlite3.OperationalError("unable to open database file")
        return raw(path, mode)

    monkeypatch.setattr(sqlite_file, "_raw", refuse_writing)
    with pytest.warns(CacheWarning, match="unable to open"):
        assert SqliteCache(path).get(list(rows(2))) == {}
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with SqliteCache(path) as cache:
        assert cache.get(list(rows(2))) == rows(2)
        with pytest.warns(CacheWarning, match="readonly"):
            cache.put(rows(1, start=7))


def test_the_journal_of_a_writer_that_crashed_is_played_back(path, tmp_path):
    with SqliteCache(path) as cache:
        cache.put(rows(2))
    # A rollback journal beside a file whose pages were written in part: what a crash between the two leaves.
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=delete")
    connection.execute("PRAGMA cache_size=1")
    connection.execute("BEGIN IMMEDIATE")
    items = [(f"x{n}".encode(), b"1234" * 4000, 4000, 0) for n in range(50)]
    connection.executemany("INSERT INTO vectors VALUES (?, ?, ?, ?)", items)
    journal = path.with_name(path.name + "-journal")
    crashed = tmp_path / "crashed"
    crashed.mkdir()
    (crashed / path.name).write_bytes(path.read_bytes())
    (crashed / journal.name).write_bytes(journal.read_bytes())
    connection.execute("ROLLBACK")
    connection.close()
    with SqliteCache(crashed / path.name) as cache:
        assert cache.get(list(rows(2))) == rows(2)
        assert (len(cache), cache.failures) == (2, 0)
    assert not (crashed / journal.name).exists()


def test_the_change_of_the_journal_is_waited_for_and_given_up_in_the_end(path, monkeypatch):
    class Locked:
        """A connection whose journal cannot be changed the first times."""

        def __init__(self, refusals: int) -> None:
            self.refusals, self.mode = refusals, b"delete"

        def execute(self, statement: str):
            if statement == "PRAGMA journal_mode=wal":
                self.refusals -= 1
                if self.refusals >= 0:
                    raise sqlite3.OperationalError("database is locked")
                self.mode = b"wal"
            return self

        def fetchone(self):
            return (self.mode,)

        def fetchall(self):
            return []

    monkeypatch.setattr(sqlite_file.time, "sleep", lambda seconds: None)
    patient = Locked(refusals=3)
    sqlite_file._set_journal(patient, "wal")
    assert patient.mode == b"wal"
    monkeypatch.setattr(sqlite_file, "BUSY_SECONDS", -1.0)
    with pytest.raises(sqlite3.OperationalError):
        sqlite_file._set_journal(Locked(refusals=10**9), "wal")


def test_a_file_that_cannot_be_looked_at_now_is_not_taken_for_somebody_elses(path, monkeypatch):
    SqliteCache(path).open().close()

    def fail(connection, name):
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(sqlite_file, "pragma", fail)
    with pytest.warns(CacheWarning, match="disk I/O error"):
        assert SqliteCache(path).get([b"a"]) == {}


def test_a_cache_whose_table_is_another_is_not_used(path):
    with SqliteCache(path) as cache:
        cache._connection.execute("CREATE INDEX other ON vectors (crc)")
    with pytest.warns(CacheWarning, match="its table is damaged"):
        assert SqliteCache(path).get([b"a"]) == {}


def test_where_no_mounts_are_told_no_network_is_assumed(monkeypatch, path):
    monkeypatch.setattr(sqlite_file.Path, "read_text", lambda *_: (_ for _ in ()).throw(OSError))
    assert sqlite_file._mounts() == ""
    with SqliteCache(path) as cache:
        assert sqlite_file.pragma(cache._connection, "journal_mode") == b"wal"


def test_two_that_make_the_file_at_once_make_it_once(path):
    begin, caches = threading.Barrier(6), [SqliteCache(path) for _ in range(6)]

    def work(number: int) -> None:
        begin.wait(10)
        caches[number].put(rows(1, start=number))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [cache.failures for cache in caches] == [0] * 6
    assert len(caches[0]) == 6
    for cache in caches:
        cache.close()
