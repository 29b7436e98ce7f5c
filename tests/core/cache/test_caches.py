from __future__ import annotations

import ast
import copy
import multiprocessing
import os
import pickle
import random
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import pytest

from openrouter_embeddings import _cache_file, _sqlite_cache
from openrouter_embeddings import cache as cache_module
from openrouter_embeddings.cache import Cache, CacheWarning, Keyer, MemoryCache, SqliteCache, cache_key, open_cache
from openrouter_embeddings.errors import ConfigurationError

FACTS = ("https://openrouter.ai/api/v1", "openai/text-embedding-3-small", None, "query", 256, b"\x00\x01")

GOLDEN = (
    "72e8cc91b9c876be4be34e20ce687c530f63ac8171a1d958011ec0695bb88576",
    "054b7c08fcb20022a66e984873402d7340fd637406e520d8724b51b293ae5256",
    "418af029acc1f3f11e8d7e0ddc05a27f0f80536d013645c20b4513c64e1d49bb",
)

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


def rows(count, width=64, start=0):
    return {f"key-{n}".encode(): (f"{n}:".encode() * width)[:width] for n in range(start, start + count)}


def run(script, *args, **kwargs):
    return subprocess.Popen([sys.executable, "-W", "error", "-c", script, *map(str, args)], **kwargs)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "cache" / "embeddings.sqlite"


# ------------------------------------------------------------------------------------------------------------- keys


def test_golden_keys():
    # Frozen: a change here makes every stored vector a second payment. Raise KEY_FORMAT only with a reason.
    assert cache_key(FACTS, b"hello", secret=None).hex() == GOLDEN[0]
    assert cache_key(FACTS, b"hello", secret=b"secret").hex() == GOLDEN[1]
    assert cache_key((), b"", secret=None).hex() == GOLDEN[2]


def test_every_fact_and_the_text_change_the_key():
    keys = {cache_key(FACTS, b"text", secret=None), cache_key(FACTS, b"text ", secret=None)}
    keys.add(cache_key(FACTS, b"text", secret=b"s"))
    for place in range(len(FACTS)):
        for other in ("other", 7, b"other", "None", ""):
            keys.add(cache_key((*FACTS[:place], other, *FACTS[place + 1 :]), b"text", secret=None))
    assert len(keys) == 3 + 5 * len(FACTS)


def test_the_key_is_injective_at_borders_and_types():
    tuples = [("ab", "c"), ("a", "bc"), ("abc",), ("abc", ""), ("abc", None), ("1",), (1,), (b"1",), (True,), (), ("",)]
    assert len({cache_key(facts, b"t", secret=None) for facts in tuples}) == len(tuples)
    assert cache_key(("a",), b"bc", secret=None) != cache_key(("a", "b"), b"c", secret=None)


@pytest.mark.parametrize("secret", [None, b"secret"])
def test_the_keyer_agrees_and_keeps_no_text(secret):
    keyer = Keyer(FACTS, secret=secret)
    for text in (b"one", b"two", b"one"):
        assert keyer.key(text) == cache_key(FACTS, text, secret=secret)


# ----------------------------------------------------------------------------------------------------------- memory


def test_memory_round_trip_and_limit():
    cache = MemoryCache()
    assert isinstance(cache, Cache)
    assert cache
    cache.put(rows(10))
    assert cache.get([b"key-3", b"absent"]) == {b"key-3": rows(10)[b"key-3"]}
    assert len(cache) == 10
    small = MemoryCache(max_bytes=3 * (64 + 5))
    small.put(rows(3))
    small.get([b"key-0"])
    small.put(rows(1, start=3))
    assert set(small.get(list(rows(4)))) == {b"key-0", b"key-2", b"key-3"}
    assert small.size() <= 3 * (64 + 5)
    assert len(copy.deepcopy(small)) == 0


# ----------------------------------------------------------------------------------------------------------- sqlite


def test_round_trip_over_reopening(path):
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


def test_file_settings_and_modes(path):
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
        assert _cache_file.pragma(cache._connection, name) == value
    cache.close()
    assert [name.name for name in path.parent.iterdir()] == ["embeddings.sqlite"]


def test_random_flips_never_give_wrong_bytes(path):
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


def test_truncations_and_overwritten_pages(path):
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
        assert set(items) - set(cache.get(list(items))) == {b"key-3", b"key-4", b"key-5"}
        assert cache.verify() == 3
        assert cache.verify() == 0
        assert len(cache) == 17
        cache.put(items)
        assert cache.get(list(items)) == items


def test_a_damaged_name_that_is_no_utf8_is_no_crash(path):
    with SqliteCache(path) as cache:
        cache.put(rows(1))
    sound = path.read_bytes()
    assert sound.count(b"CREATE TABLE vectors") == 1
    path.write_bytes(sound.replace(b"CREATE TABLE vectors", b"CREATE TABLE vec\xd6ors"))
    with pytest.raises(ConfigurationError, match="damaged"):
        SqliteCache(path).get([b"key-0"])


def test_verify_ends_on_a_tree_that_leads_back(path, monkeypatch):
    with SqliteCache(path) as cache:
        cache.put(rows(3))
        # As a damaged page answers: whatever rowid is asked for, the same rows come.
        again = "SELECT rowid, k, v, dim, crc FROM vectors WHERE rowid > ?1 - 9 ORDER BY rowid"
        monkeypatch.setattr(_sqlite_cache, "_SCAN", again)
        with pytest.warns(CacheWarning, match="out of order"):
            assert cache.verify() == 0


def test_foreign_files_are_refused_and_left_alone(tmp_path):
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


@pytest.mark.parametrize("message", ["attempt to write a readonly database", "database or disk is full"])
def test_trouble_on_put_warns_once_and_never_raises(path, message):
    class MalformedAnswer:
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
        cache._connection = MalformedAnswer(cache._connection)
        with pytest.warns(CacheWarning, match=message) as seen:  # noqa: PT031
            cache.put(rows(1, start=1))
            cache.put(rows(1, start=2))
        assert len(seen) == 1
        assert cache.failures == 2
        assert cache.get(list(rows(3))) == rows(1)


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


def test_a_file_that_cannot_be_opened_is_a_miss(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    cache = SqliteCache(tmp_path / "file" / "below" / "cache")
    with pytest.warns(CacheWarning) as seen:  # noqa: PT031
        assert cache.get([b"a"]) == {}
        cache.put(rows(1))
        assert len(cache) == 0
    assert len(seen) == 1
    assert cache.failures == 3


def test_a_locked_file_is_counted(path, monkeypatch):
    monkeypatch.setattr(_cache_file, "BUSY_SECONDS", 0.05)
    with SqliteCache(path) as cache:
        cache.put(rows(1))
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.warns(CacheWarning, match="locked"):
            cache.put(rows(1, start=1))
        assert cache.get(list(rows(2))) == rows(1)
        other.execute("ROLLBACK")
        other.close()
        cache.put(rows(1, start=1))
        assert len(cache) == 2


def test_two_processes_write_and_two_read(path):
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


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # multi-threaded fork: said by 3.12 and later
def test_fork_and_spawn(path):
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


def test_threads(path):
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


def test_pickle_copy_and_repr(path):
    with SqliteCache(path, secret=b"hush-hush", max_bytes=10**7, synchronous="normal") as cache:
        cache.put(rows(2))
        for other in (pickle.loads(pickle.dumps(cache)), copy.deepcopy(cache)):
            assert other._connection is None
            assert other.secret == b"hush-hush"
            assert other.get(list(rows(2))) == rows(2)
            other.close()
        assert "hush" not in repr(cache) + str(cache)
        assert len(pickle.dumps(cache)) < 4096


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


def test_a_network_file_system_gets_a_rollback_journal(path, monkeypatch):
    path.parent.mkdir()
    SqliteCache(path).open().close()
    monkeypatch.setattr(_cache_file, "_mounts", lambda: f"x / ext4 rw\ny {path.parent.resolve()} nfs4 rw\n")
    with pytest.warns(CacheWarning, match="nfs4"), SqliteCache(path) as cache:  # noqa: PT031
        cache.put(rows(1))
        assert _cache_file.pragma(cache._connection, "journal_mode") == b"delete"
        assert cache.get([b"key-0"]) == rows(1)


@pytest.mark.parametrize(
    "options", [{"synchronous": "off"}, {"max_bytes": 0}, {"secret": b""}, {"path": ""}, {"path": "a\0b"}]
)
def test_wrong_options(options):
    with pytest.raises(ConfigurationError):
        SqliteCache(**{"path": "x", **options})


def test_open_cache(path):
    memory = MemoryCache()
    assert open_cache(None) is None
    assert open_cache(memory) is memory
    assert open_cache(path).path == open_cache(str(path)).path == path
    assert not path.exists()
    for wrong in (3, {}, MemoryCache):
        with pytest.raises(ConfigurationError):
            open_cache(wrong)


def test_no_pickle():
    for module in (cache_module, _sqlite_cache, _cache_file):
        tree = ast.parse(Path(module.__file__).read_text("utf-8"))
        names = {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
        assert not names & {"pickle", "shelve", "marshal"}
