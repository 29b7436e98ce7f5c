"""The cache in one SQLite file: durable, shared between processes and threads, and never at the cost of an embedding."""

from __future__ import annotations

import copy
import gc
import multiprocessing
import os
import pickle
import signal
import sqlite3
import subprocess
import sys
import threading
from types import SimpleNamespace

import pytest

from openrouter_embeddings.cache import CacheWarning, SqliteCache, sqlite_file
from openrouter_embeddings.cache import connection as own_file
from openrouter_embeddings.errors import ConfigurationError

from ...support.interrupts import ends, interrupted_everywhere
from .rows import rows

WRITER = """
import sys, zlib
from openrouter_embeddings.cache import SqliteCache
path, name, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
cache = SqliteCache(path)
for n in range(count):
    keys = [f"{name}-{n}-{i}".encode() for i in range(4)]
    cache.put({key: key.ljust(64, b".") for key in keys})
    if cache.failures:
        sys.exit("failed")
    print(n, flush=True)
"""
READER = """
import sys
from openrouter_embeddings.cache import SqliteCache
cache = SqliteCache(sys.argv[1])
keys = [f"{name}-{n}-{i}".encode() for name in "ab" for n in range(40) for i in range(4)]
for _ in range(40):
    for key, value in cache.get(keys).items():
        assert value == key.ljust(64, b".")
assert not cache.failures
"""


def run(script, *args, **kwargs):
    return subprocess.Popen([sys.executable, "-W", "error", "-c", script, *map(str, args)], **kwargs)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "cache" / "embeddings.sqlite"


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until it is set."""
    still = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(own_file, "time", SimpleNamespace(monotonic=lambda: still.now))
    return still


def test_what_is_put_in_comes_out_of_the_file_opened_again(path):
    items = rows(1200)
    with SqliteCache(path) as cache:
        cache.put(items)
        cache.put(rows(3))
        assert cache.get([*items, b"absent", b"key-1"]) == items
        assert len(cache) == 1200
        assert cache
    with SqliteCache(path) as cache:
        assert cache.get(list(items)) == items
        assert cache.verify() == 0
        cache.vacuum()
        assert 1200 * 64 < cache.size() == path.stat().st_size
        assert cache.failures == 0
        assert cache.get([]) == {}


@pytest.mark.parametrize("message", ["attempt to write a readonly database", "database or disk is full"])
def test_trouble_on_put_warns_once_and_never_raises(path, message):
    class Broken:
        def __init__(self, connection):
            self.connection = connection

        def execute(self, *args):
            return self.connection.execute(*args)

        def executemany(self, *args):
            raise sqlite3.OperationalError(message)

        def close(self):
            self.connection.close()

    with SqliteCache(path) as cache:
        cache.put(rows(1))
        cache._connection = Broken(cache._connection)
        with pytest.warns(CacheWarning, match=message) as seen:  # noqa: PT031
            cache.put(rows(1, start=1))
            cache.put(rows(1, start=2))
        assert len(seen) == 1
        assert cache.failures == 2
        assert cache.get(list(rows(3))) == rows(1)


def test_a_file_that_cannot_be_opened_is_an_empty_cache(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    cache = SqliteCache(tmp_path / "file" / "below" / "cache")
    with pytest.warns(CacheWarning) as seen:  # noqa: PT031
        assert cache.get([b"a"]) == {}
        cache.put(rows(1))
        assert len(cache) == 0
    assert len(seen) == 1
    assert cache.failures == 3


def test_a_file_that_cannot_be_opened_is_tried_again_after_a_while(tmp_path, clock):
    (tmp_path / "file").write_bytes(b"")
    cache = SqliteCache(tmp_path / "file" / "cache")
    with pytest.warns(CacheWarning):
        cache.put(rows(1))
    (tmp_path / "file").unlink()
    clock.now += 29.0
    assert cache.get(list(rows(1))) == {}
    assert cache.failures == 2
    clock.now += 2.0
    cache.put(rows(1))
    assert cache.get(list(rows(1))) == rows(1)
    cache.close()


def test_a_lock_of_another_process_costs_one_wait_then_writing_pauses_and_is_told_once(path, monkeypatch, clock):
    monkeypatch.setattr(sqlite_file, "BUSY_SECONDS", 0.05)
    with SqliteCache(path) as cache:
        cache.put(rows(1))
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.warns(CacheWarning, match="locked") as seen:  # noqa: PT031
            cache.put(rows(1, start=1))
            other.execute("ROLLBACK")
            clock.now += 29.0
            cache.put(rows(1, start=2))  # the file is free, but nobody looks
        assert (len(seen), cache.failures) == (1, 2)
        assert cache.get(list(rows(3))) == rows(1), "reading goes on"
        clock.now += 2.0
        cache.put(rows(1, start=1))
        assert cache.get(list(rows(3))) == rows(2)
        other.close()


def test_what_is_no_float32_is_left_out_and_told(path):
    with SqliteCache(path) as cache:
        with pytest.warns(CacheWarning, match="a value is not float32 bytes"):
            cache.put({b"a": b"123", b"b": b"", **rows(1)})
        cache.put({b"a": b"12345"})
        assert (len(cache), cache.failures) == (1, 2)


def test_two_processes_write_while_two_read(path):
    writers = [run(WRITER, path, name, 40, stdout=subprocess.DEVNULL) for name in "ab"]
    readers = [run(READER, path) for _ in range(2)]
    assert [process.wait(60) for process in writers + readers] == [0] * 4
    with SqliteCache(path) as cache:
        assert len(cache) == 2 * 40 * 4
        assert cache.verify() == 0


@pytest.mark.parametrize("round_", range(3))
def test_a_killed_writer_loses_no_acknowledged_row(path, round_):
    process = run(WRITER, path, "a", 100_000, stdout=subprocess.PIPE, text=True)
    for _ in range(20 + 15 * round_):
        process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    acknowledged = 20 + 15 * round_ + len(process.stdout.read().splitlines())
    process.stdout.close()
    process.wait()
    keys = [f"a-{n}-{i}".encode() for n in range(acknowledged) for i in range(4)]
    with SqliteCache(path) as cache:
        assert cache.get(keys) == {key: key.ljust(64, b".") for key in keys}


fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
multi_threaded = pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # of Python 3.12 and later


@fork
@multi_threaded
def test_forked_and_spawned_processes_write_to_the_same_file(path):
    with SqliteCache(path) as cache:
        cache.put(rows(5))
        for place, method in enumerate(("fork", "fork", "spawn")):
            child = multiprocessing.get_context(method).Process(
                target=cache.put, args=(rows(20, start=100 * place + 100),)
            )
            child.start()
            cache.put(rows(1, start=place))
            child.join(60)
            assert child.exitcode == 0
        assert len(cache) == 65
        assert cache.get(list(rows(20, start=300))) == rows(20, start=300)
        assert not cache.failures


def test_nothing_is_open_while_a_process_divides(path):
    with SqliteCache(path) as cache:
        cache.put(rows(1))
        cache.before_fork()
        assert cache._connection is None
        assert cache._lock.locked()
        cache.after_fork_in_parent()
        cache.after_fork_in_parent()
        assert not cache._lock.locked()
        assert cache.get(list(rows(1))) == rows(1)


@fork
@multi_threaded
def test_a_child_is_not_held_by_a_thread_that_would_not_let_go(path, monkeypatch):
    monkeypatch.setattr(own_file, "BUSY_SECONDS", -5.0)  # the fork waits for no time at all
    held, release = threading.Event(), threading.Event()
    with SqliteCache(path) as cache:
        cache.put(rows(1))

        def hold() -> None:
            with cache._lock:
                held.set()
                release.wait(10)

        thread = threading.Thread(target=hold)
        thread.start()
        held.wait(10)
        pid = os.fork()
        if pid == 0:
            os._exit(0 if cache.get(list(rows(1))) == rows(1) and own_file._inherited else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        release.set()
        thread.join()
        assert cache.get(list(rows(1))) == rows(1)


def test_a_cache_that_is_forgotten_leaves_no_open_file(path):
    cache = SqliteCache(path).open()
    connection = cache._connection
    del cache
    gc.collect()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        connection.execute("SELECT 1")


def test_threads_share_one_cache(path):
    wrong = []

    def work(number):
        for n in range(10):
            items = rows(5, start=1000 * number + 5 * n)
            cache.put(items)
            if cache.get(list(items)) != items:
                wrong.append(number)

    with SqliteCache(path) as cache:
        threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not wrong
        assert len(cache) == 400


def test_a_copy_carries_the_configuration_and_shows_no_secret(path):
    with SqliteCache(path, secret=b"hush-hush", max_bytes=10**7, synchronous="normal") as cache:
        cache.put(rows(2))
        for other in (pickle.loads(pickle.dumps(cache)), copy.deepcopy(cache)):
            assert other._connection is None
            assert other.secret == b"hush-hush"
            assert other.get(list(rows(2))) == rows(2)
            other.close()
        assert "hush" not in repr(cache) + str(cache)
        assert SqliteCache(path, secret="hush").secret == b"hush"
        assert len(pickle.dumps(cache)) < 4096


@pytest.mark.parametrize(
    "options", [{"synchronous": "off"}, {"max_bytes": 0}, {"secret": b""}, {"path": ""}, {"path": "a\0b"}]
)
def test_a_wrong_option_is_refused(options):
    with pytest.raises(ConfigurationError):
        SqliteCache(**{"path": "x", **options})


def test_ctrl_c_anywhere_leaves_no_transaction_open_for_others_to_wait_for(tmp_path):
    ours, theirs = SqliteCache(tmp_path / "c.sqlite"), SqliteCache(tmp_path / "c.sqlite")

    def use() -> None:
        ours.claim([b"key"], 60.0)
        ours.put(rows(2))
        ours.unclaim([b"key"])

    def use_theirs() -> None:
        assert theirs.claim([b"other"], 60.0) == {b"other"}
        theirs.put(rows(3))
        theirs.unclaim([b"other"])

    def warm():
        use()
        return use

    points = 0
    for points in interrupted_everywhere("openrouter_embeddings/cache", warm):
        assert ends(use_theirs), points
        assert not ours.failures, points
        assert not theirs.failures, points
    assert points > 50
    ours.close()
    theirs.close()
