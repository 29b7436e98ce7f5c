"""The cache in Redis: shared, never wrong, and never at the cost of an embedding in hand."""

from __future__ import annotations

import copy
import os
import pickle
import time
import warnings

import numpy as np
import pytest

from openrouter_embeddings import Cache, CacheWarning, Client, ConfigurationError
from openrouter_embeddings_engines import redis_connection
from openrouter_embeddings_engines.redis_cache import RedisCache

from ...support.daemons import free_port
from .server import PASSWORD

MODEL = "openai/text-embedding-3-small"
ROWS = {bytes([number]) * 32: np.full(64, number, np.float32).tobytes() for number in range(1, 200)}
KEY, VALUE = next(iter(ROWS.items()))


@pytest.fixture
def cache(redis_server):
    made = RedisCache(redis_server.url)
    yield made
    made.close()


@pytest.fixture
def lost(monkeypatch):
    """A cache whose server is not there."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CacheWarning)
        yield RedisCache(f"redis://:secret@127.0.0.1:{free_port()}/0")


def test_what_was_put_is_found_by_another_cache_at_the_same_server(cache, redis_server):
    assert isinstance(cache, Cache)
    cache.put(ROWS)
    other = RedisCache(redis_server.url)
    assert other.get([*ROWS, KEY, b"unknown"]) == ROWS
    assert other.get([]) == {}
    other.close()


def test_more_rows_than_fit_one_round_trip_are_kept(cache):
    many = {number.to_bytes(32, "big"): np.float32(number).tobytes() for number in range(1, 1000)}
    cache.put(many)
    assert cache.get(list(many)) == many


def test_a_prefix_keeps_caches_apart(cache, redis_server):
    cache.put({KEY: VALUE})
    other = RedisCache(redis_server.url, prefix="other:")
    assert other.get([KEY]) == {}
    other.close()


def test_a_row_expires_where_it_was_told_to(redis_server):
    cache = RedisCache(redis_server.url, expire_seconds=1000)
    cache.put({KEY: VALUE})
    (name,) = redis_server.client().keys()
    assert 990 <= redis_server.client().ttl(name) <= 1000
    kept = RedisCache(redis_server.url)
    kept.put({KEY: VALUE})
    assert redis_server.client().ttl(name) == -1


@pytest.mark.parametrize("damage", [b"", b"x", b"\0" * 260, "flip", "other"])
def test_a_damaged_row_is_a_miss_and_can_be_claimed(cache, redis_server, damage):
    cache.put(ROWS)
    names = sorted(redis_server.client().keys(), key=lambda name: name[-1])
    row = redis_server.client().get(names[0])
    if damage == "flip":
        damage = row[:-1] + bytes([row[-1] ^ 1])
    elif damage == "other":  # a sound row of another key
        damage = redis_server.client().get(names[1])
    redis_server.client().set(names[0], damage)
    assert cache.get(list(ROWS)) == {key: value for key, value in ROWS.items() if key != KEY}
    assert cache.claim([KEY], 10.0) == [KEY]


def test_what_is_no_float32_is_not_kept(cache):
    cache.put({KEY: b"", b"odd": b"12345", b"even": b"1234"})
    assert cache.get([KEY, b"odd", b"even"]) == {b"even": b"1234"}


def test_a_server_that_is_away_warns_once_and_counts(redis_server):
    cache = RedisCache(f"redis://:{PASSWORD}@127.0.0.1:{free_port()}/0".replace("/w", "%2Fw"))
    with pytest.warns(CacheWarning) as told:
        assert cache.get([KEY]) == {}
    cache.put({KEY: VALUE})
    assert cache.claim([KEY], 10.0) == [KEY]
    cache.unclaim([KEY])
    assert len(told) == 1
    assert str(told[0].message).endswith("is not working (ConnectionError). Embedding goes on uncached until it is.")
    assert cache.failures == 4
    assert "w0rd" not in str(told[0].message)


def test_a_pause_keeps_a_lost_server_from_being_asked_at_every_step(lost, monkeypatch):
    lost.get([KEY])
    monkeypatch.setattr(redis_connection.RedisConnection, "_connect", lambda _: pytest.fail("asked"))
    lost.get([KEY])
    assert lost.failures == 2


def test_a_server_that_comes_back_is_used_again(cache, redis_server, monkeypatch):
    cache.put({KEY: VALUE})
    redis_server.stop()
    with pytest.warns(CacheWarning, match="is not working"):
        assert cache.get([KEY]) == {}
    redis_server.start()
    cache.put({KEY: VALUE})  # too soon
    assert cache.get([KEY]) == {}
    later = time.monotonic() + 1.1
    monkeypatch.setattr(redis_connection.time, "monotonic", lambda: later)
    cache.put({KEY: VALUE})
    assert cache.get([KEY]) == {KEY: VALUE}
    assert cache.failures == 3


def test_an_idle_connection_that_was_closed_costs_no_row(cache, redis_server):
    cache.put({KEY: VALUE})
    redis_server.client().client_kill_filter(_type="normal", skipme=True)
    assert cache.get([KEY]) == {KEY: VALUE}
    assert cache.failures == 0


def test_a_server_that_takes_no_more_rows_costs_no_embedding(cache, redis_server, embeddings_gateway):
    redis_server.client().config_set("maxmemory", "1")
    try:
        with pytest.warns(CacheWarning, match="is not working"):
            assert embed(embeddings_gateway, cache, ["a", "b"]).embeddings.shape == (2, 64)
    finally:
        redis_server.client().config_set("maxmemory", "0")


def embed(gateway, cache, texts):
    with Client(MODEL, base_url=gateway.base_url, api_key="k", dimensions=64, cache=cache) as client:
        return client.embed_documents(texts)


def test_a_client_pays_once(cache, embeddings_gateway):
    first = embed(embeddings_gateway, cache, ["a", "b"])
    again = embed(embeddings_gateway, pickle.loads(pickle.dumps(cache)), ["b", "a"])
    assert np.array_equal(first.embeddings[::-1], again.embeddings)
    assert embeddings_gateway.paid_inputs() == 2


# ----------------------------------------------------------------------------------------------------------- claims


def test_a_key_is_claimed_by_one_until_it_is_given_up(cache, redis_server):
    other = RedisCache(redis_server.url)
    assert cache.claim([KEY, b"b", KEY], 10.0) == [KEY, b"b"]
    assert other.claim([KEY, b"c"], 10.0) == [b"c"]
    assert cache.claim([KEY], 10.0) == [KEY]  # its own again
    other.unclaim([KEY])  # not its own
    assert other.claim([KEY], 10.0) == []
    cache.unclaim([KEY])
    assert other.claim([KEY], 10.0) == [KEY]
    other.close()


def test_a_claim_expires_and_can_be_renewed(cache, redis_server):
    cache.claim([KEY], 1000.0)
    (name,) = redis_server.client().keys()
    assert 990 <= redis_server.client().ttl(name) <= 1000
    cache.claim([KEY], 5000.0)
    assert 4990 <= redis_server.client().ttl(name) <= 5000


def test_put_gives_up_the_claims_of_its_own_and_no_others(cache, redis_server):
    other = RedisCache(redis_server.url)
    cache.claim([KEY], 10.0)
    other.claim([b"b"], 10.0)
    cache.put({KEY: VALUE, b"b": VALUE})
    assert list(redis_server.client().scan_iter("*claim*")) == [b"openrouter-embeddings:claim:b"]
    other.close()


def test_a_key_whose_row_is_stored_meanwhile_is_not_given(cache, redis_server):
    other = RedisCache(redis_server.url)
    other.put({KEY: VALUE})
    assert cache.claim([KEY], 10.0) == []
    assert cache.get([KEY]) == {KEY: VALUE}
    other.close()


# -------------------------------------------------------------------------------------------------------- an object


def test_copies_and_children_claim_for_themselves(cache):
    copies = [pickle.loads(pickle.dumps(cache)), copy.deepcopy(cache)]
    cache.put({KEY: VALUE})
    cache.claim([b"b"], 10.0)
    for other in copies:
        assert other.get([KEY]) == {KEY: VALUE}
        assert other.claim([b"b"], 10.0) == []
        other.close()
    reading, writing = os.pipe()
    if not (child := os.fork()):
        right = cache.get([KEY]) == {KEY: VALUE} and cache.claim([b"b"], 10.0) == []
        os.write(writing, b"right" if right else b"wrong")
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reading, 10) == b"right"
    os.close(reading)
    os.close(writing)
    assert cache.get([KEY]) == {KEY: VALUE}


def test_nothing_shows_the_password():
    cache = RedisCache("rediss://user:hunter2@[::1]:7000/3?password=hunter3")
    assert repr(cache) == "RedisCache('rediss://[::1]:7000/3')"
    assert repr(cache._connection) == "RedisConnection('rediss://[::1]:7000/3')"
    assert repr(RedisCache("unix:///run/redis.sock")) == "RedisCache('unix:///run/redis.sock')"
    assert repr(RedisCache("redis://")) == "RedisCache('redis://localhost')"


@pytest.mark.parametrize(
    "url",
    ["http://a:hunter2@b", "redis://a:hunter2/x@b:1", "redis://:hunter2@h:port", "", "hunter2", "redis://h?db=hunter2"],
)
def test_a_wrong_url_is_an_error_that_does_not_quote_it(url):
    with pytest.raises(ConfigurationError, match=r"^The URL of Redis cannot be read") as caught:
        RedisCache(url)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_wrong_options_are_errors():
    with pytest.raises(ConfigurationError, match=r"^The URL of Redis must be a string, not bytes.$"):
        RedisCache(b"redis://")
    with pytest.raises(ConfigurationError, match=r"^expire_seconds must be at least 1, not 0.$"):
        RedisCache("redis://", expire_seconds=0)
    with pytest.raises(ConfigurationError, match=r"^The cache's secret is empty.$"):
        RedisCache("redis://", secret="")
    assert RedisCache("redis://", secret="s").secret == b"s"
