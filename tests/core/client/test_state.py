"""What the colours and copies of a client share: its address, its cache, its totals."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading

import pytest

from openrouter_embeddings import (
    CacheWarning,
    Client,
    ConfigurationError,
    ConnectionFailedError,
    MemoryCache,
    Options,
    ServerError,
    Usage,
)
from openrouter_embeddings.client.state import ClientState

from .conftest import MARKED, MODEL, texts


@pytest.fixture
def cached(make, tmp_path):
    """Make clients that share one cache file."""
    return lambda model=MODEL, **options: make(model, **{"cache": tmp_path / "e.sqlite", **options})


def test_sync_and_async_agree_bit_for_bit_and_share_totals(make):
    client = make()
    other = client.as_async()
    first, second = client.embed_documents(texts(9)), asyncio.run(other.embed_documents(texts(9)))
    assert (first.embeddings == second.embeddings).all()
    assert other.usage == client.usage == first.usage + second.usage
    assert other.as_sync().usage == client.usage
    assert other.learned is client.learned


def test_what_is_built_at_first_use_is_built_once_however_many_threads_come_first():
    state = ClientState(Options(model=MODEL, api_key="k"))
    assert state.built is None
    together, seen = threading.Barrier(8), []

    def look() -> None:
        together.wait()
        seen.append((state.runtime(), state.learned, state.batcher()))

    threads = [threading.Thread(target=look) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {tuple(map(id, found)) for found in seen} == {(id(state.built), id(state.learned), id(state.batcher()))}


def test_totals_are_added_up_from_any_number_of_threads():
    state = ClientState(Options(model=MODEL, api_key="k"))
    threads = [threading.Thread(target=lambda: [state.count(Usage(requests=1)) for _ in range(2000)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert state.usage == Usage(requests=8000)


def test_a_key_is_needed_only_where_there_is_something_to_send(make):
    state = ClientState(Options(model=MODEL, on_empty="zero"))
    assert state.call([], "document").unresolved() == []
    assert state.call(["", ""], "document").unresolved() == []
    with pytest.raises(ConfigurationError, match="No API key for openrouter"):
        state.call(["a"], "document")


def test_a_client_stays_with_the_address_it_began_with(embeddings_gateway, monkeypatch):
    cache = MemoryCache()
    monkeypatch.setenv("OPENROUTER_API_BASE", embeddings_gateway.base_url)
    client = Client(MODEL, api_key="sk-test-key", cache=cache)
    client.embed_query("x")
    monkeypatch.setenv("OPENROUTER_API_BASE", "http://127.0.0.1:9/v1")
    client.embed_query("y")
    client.close()
    other = Client(MODEL, api_key="sk-test-key", cache=cache, retry_timeout=0.0, call_timeout=5.0)
    with pytest.raises(ConnectionFailedError):  # what one address answered is nothing that another has said
        other.embed_query("y")


# -------------------------------------------------------------------------------------------------------------- cache


@pytest.mark.parametrize("colour", ["sync", "async"])
def test_a_second_run_pays_nothing_and_is_bit_for_bit_the_same(cached, embeddings_gateway, colour):
    def run(client: Client):
        if colour == "sync":
            return client.embed_documents(texts(20))
        return asyncio.run(client.as_async().embed_documents(texts(20)))

    first, second = run(cached()), run(cached())
    assert (first.embeddings == second.embeddings).all()
    assert embeddings_gateway.paid_inputs() == 20
    assert (second.usage.requests, second.usage.cached, second.usage.cost) == (0, 20, 0.0)
    assert second.model == MODEL


def test_half_of_a_call_may_be_known(make, cached):
    cached().embed_documents(["a", "b"])
    result = cached().embed_documents(["c", "b", "a", "c"])
    assert (result.usage.cached, result.usage.deduplicated) == (2, 1)
    assert (result.embeddings == make().embed_documents(["c", "b", "a", "c"]).embeddings).all()


def test_what_changes_the_numbers_is_a_miss_and_what_does_not_is_a_hit(cached):
    """Which options do which, the tests of `prepare` say."""
    cached(MARKED).embed_documents(["a"])
    assert cached(MARKED, api_key="sk-other-key", normalize=True).embed_documents(["a"]).usage.cached == 1
    assert cached(MARKED, dimensions=256).embed_documents(["a"]).usage.cached == 0
    assert cached(MARKED).embed_query("a").usage.cached == 0


def test_an_error_keeps_what_landed_in_the_cache_too(cached, embeddings_gateway):
    embeddings_gateway.trouble("status", status=500, after=1, times=None)
    with pytest.raises(ServerError) as caught:
        cached(batch_size=2, max_concurrency=1).embed_documents(texts(6))
    assert caught.value.partial.positions_done == (0, 1)
    embeddings_gateway.reset()
    assert cached().embed_documents(texts(2)).usage.requests == 0


@pytest.mark.parametrize("method", ["get", "put"])
def test_a_cache_that_fails_costs_no_embedding_and_is_reported_once(make, method):
    class Failing(MemoryCache):
        def get(self, keys):
            if method == "get":
                raise OSError
            return super().get(keys)

        def put(self, items):
            if method == "put":
                raise OSError
            super().put(items)

    client = make(cache=Failing(), batch_size=1)
    with pytest.warns(CacheWarning, match="The cache could not be") as reported:
        client.embed_documents(texts(3))
    assert len(reported) == 1
    assert len(client.embed_documents(texts(3))) == 3


def test_a_file_that_is_no_cache_is_refused_before_anything_is_paid(make, embeddings_gateway, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ConfigurationError, match="not an embedding cache"):
        make(cache=tmp_path / "notes.txt").embed_documents(["a"])
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert embeddings_gateway.embedding_requests() == []


def test_neither_text_nor_key_is_in_the_file(cached, tmp_path):
    cached().embed_documents(["Quillfeather the canary"])
    for file in tmp_path.glob("e.sqlite*"):
        data = file.read_bytes()
        assert b"Quillfeather" not in data
        assert b"sk-test-key" not in data


def test_kill_9_loses_no_acknowledged_batch(cached, embeddings_gateway, tmp_path):
    embeddings_gateway.trouble("slow", seconds=0.05, times=None)
    script = (
        "import sys\n"
        "from openrouter_embeddings import Client\n"
        f"client = Client({MODEL!r}, api_key='sk-test-key', base_url={embeddings_gateway.base_url!r},\n"
        f"    cache={str(tmp_path / 'e.sqlite')!r}, batch_size=5, max_concurrency=2)\n"
        "client.embed_documents([f'sentence number {i}' for i in range(400)],\n"
        "    on_progress=lambda done, of: print(done, flush=True))\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as child:
        for _ in range(6):
            acknowledged = int(child.stdout.readline())
        child.kill()
        child.wait(10)
    paid = embeddings_gateway.paid_inputs()
    embeddings_gateway.reset()
    result = cached(batch_size=5).embed_documents(texts(400))
    assert result.usage.cached >= acknowledged >= 30
    assert paid + embeddings_gateway.paid_inputs() <= 400 + 2 * 5, "paid again at most what was in flight"
