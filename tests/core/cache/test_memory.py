"""The cache of one process: what is put in comes out, and where there is a limit the rows used longest ago go."""

from __future__ import annotations

import copy
import pickle
import threading

import pytest

from openrouter_embeddings.cache import Cache, MemoryCache
from openrouter_embeddings.errors import ConfigurationError

from .rows import rows


def test_what_is_put_in_comes_out():
    cache = MemoryCache()
    assert isinstance(cache, Cache)
    assert cache, "an empty cache is a cache"
    cache.put(rows(10))
    cache.put(rows(10))
    assert cache.get([b"key-3", b"absent"]) == {b"key-3": rows(10)[b"key-3"]}
    assert (len(cache), cache.size()) == (10, 10 * (64 + 5))


def test_a_row_is_replaced_and_its_bytes_are_counted_once():
    cache = MemoryCache()
    cache.put({b"k": b"1234"})
    cache.put({b"k": bytearray(b"12345678")})
    assert (cache.get([b"k"]), cache.size()) == ({b"k": b"12345678"}, 9)


def test_the_rows_used_longest_ago_make_room():
    cache = MemoryCache(max_bytes=3 * (64 + 5))
    cache.put(rows(3))
    cache.get([b"key-0"])
    cache.put(rows(1, start=3))
    assert set(cache.get(list(rows(4)))) == {b"key-0", b"key-2", b"key-3"}
    assert cache.size() <= 3 * (64 + 5)


def test_a_copy_carries_the_configuration_and_no_row():
    cache = MemoryCache(max_bytes=1000)
    cache.put(rows(3))
    for same in (copy.deepcopy(cache), pickle.loads(pickle.dumps(cache))):
        assert (len(same), repr(same)) == (0, "MemoryCache(max_bytes=1000)")


@pytest.mark.parametrize("wrong", [0, -1])
def test_a_limit_is_positive(wrong):
    with pytest.raises(ConfigurationError, match=f"max_bytes must be positive, not {wrong}"):
        MemoryCache(max_bytes=wrong)


def test_threads_lose_no_row():
    cache, begin = MemoryCache(), threading.Barrier(8)

    def work(number: int) -> None:
        begin.wait(10)
        for start in range(50):
            cache.put(rows(2, start=1000 * number + 2 * start))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(cache) == 8 * 50 * 2
    assert cache.size() == sum(len(key) + len(value) for key, value in cache._rows.items())
