"""What was paid for once is not paid for again, whatever happens to the run, the process or the file."""

from __future__ import annotations

import asyncio
import pickle
import subprocess
import sys

import pytest

from openrouter_embeddings import (
    CacheWarning,
    Client,
    ConfigurationError,
    ConnectionFailedError,
    InsufficientCreditsError,
    MemoryCache,
    ServerError,
    SqliteCache,
)

MODEL = "openai/text-embedding-3-small"
MARKED = "voyageai/voyage-4"


@pytest.fixture
def make(embeddings_gateway, tmp_path):
    """Make clients of the local gateway that share one cache file."""

    def build(model: str = MODEL, **options) -> Client:
        known = {"api_key": "sk-test-key", "base_url": embeddings_gateway.base_url, "cache": tmp_path / "e.sqlite"}
        return Client(model, **known | options)

    return build


def texts(count: int) -> list[str]:
    return [f"sentence number {one}" for one in range(count)]


@pytest.mark.parametrize("colour", ["sync", "async"])
def test_a_second_run_pays_nothing_and_is_bit_for_bit_the_same(make, embeddings_gateway, colour):
    def run(client: Client):
        if colour == "sync":
            return client.embed_documents(texts(20))
        return asyncio.run(client.as_async().embed_documents(texts(20)))

    first, second = run(make()), run(make())
    assert (first.embeddings == second.embeddings).all()
    assert embeddings_gateway.paid_inputs() == 20
    assert (second.usage.requests, second.usage.cached, second.usage.cost) == (0, 20, 0.0)
    assert second.model == MODEL


@pytest.mark.parametrize("k", range(5))
def test_after_a_failure_at_any_batch_the_second_run_pays_exactly_the_rest(make, embeddings_gateway, k):
    embeddings_gateway.trouble("status", status=402, after=k, times=None)
    with pytest.raises(InsufficientCreditsError):
        make(batch_size=4, max_concurrency=1).embed_documents(texts(20))
    embeddings_gateway.reset()
    result = make(batch_size=4).embed_documents(texts(20))
    assert embeddings_gateway.paid_inputs() == 20 - 4 * k
    assert result.usage.cached == 4 * k


def test_what_changes_the_numbers_is_a_miss_and_what_does_not_is_a_hit(make, embeddings_gateway):
    make(MARKED).embed_documents(["a"])
    neutral = [
        {"encoding_format": "float"},
        {"api_key": "sk-other-key"},
        {"app_title": "t"},
        {"batch_size": 3},
        {"max_concurrency": 1},
        {"user": "u"},
        {"provider": {"data_collection": "deny"}},
        {"normalize": True},
    ]
    for options in neutral:
        assert make(MARKED, **options).embed_documents(["a"]).usage.cached == 1, options
    changing = [
        {"dimensions": 256},
        {"document_input_type": ""},
        {"document_prefix": "p: "},
        {"provider": {"order": ["deepinfra"]}},
        {"provider": {"quantizations": ["fp8"]}},
        {"extra_body": {"later": 1}},
    ]
    for options in changing:
        assert make(MARKED, **options).embed_documents(["a"]).usage.cached == 0, options
    assert make(MARKED).embed_documents(["A"]).usage.cached == 0
    assert make(MARKED).embed_query("a").usage.cached == 0
    assert make("voyageai/voyage-4-lite").embed_documents(["a"]).usage.cached == 0


def test_half_of_a_call_may_be_known(make, embeddings_gateway):
    make().embed_documents(["a", "b"])
    result = make().embed_documents(["c", "b", "a", "c"])
    assert (result.usage.cached, result.usage.deduplicated) == (2, 1)
    assert (
        result.embeddings
        == Client(MODEL, api_key="k-1", base_url=embeddings_gateway.base_url)
        .embed_documents(["c", "b", "a", "c"])
        .embeddings
    ).all()


def test_a_row_of_another_width_is_not_used(make, embeddings_gateway):
    class Odd(MemoryCache):
        def get(self, keys):
            return {key: row[: 4 * (at + 1)] for at, (key, row) in enumerate(super().get(keys).items())}

    cache = Odd()
    make(cache=cache).embed_documents(["a", "b"])
    client = make(cache=cache)
    client.embed_documents(["fresh"])
    result = client.embed_documents(["a", "b"])
    assert result.dimensions == 1536
    assert result.usage.cached == 0


@pytest.mark.parametrize("method", ["get", "put"])
def test_a_cache_that_fails_costs_no_embedding(make, method):
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
    with pytest.warns(CacheWarning, match="The cache could not be") as told:
        client.embed_documents(texts(3))
    assert len(told) == 1
    assert len(client.embed_documents(texts(3))) == 3, "and it is told once"


def test_a_file_that_is_no_cache_is_refused_before_anything_is_paid(make, embeddings_gateway, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ConfigurationError, match="not an embedding cache"):
        make(cache=tmp_path / "notes.txt").embed_documents(["a"])
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert embeddings_gateway.embedding_requests() == []


def test_the_three_frameworks_share_one_file(make, embeddings_gateway, tmp_path):
    langchain = pytest.importorskip("langchain_openrouter_embeddings")
    llama = pytest.importorskip("llama_index.embeddings.openrouter")
    haystack = pytest.importorskip("haystack_integrations.components.embedders.openrouter_embeddings")
    from haystack import Document
    from haystack.utils import Secret

    path, url = str(tmp_path / "shared.sqlite"), embeddings_gateway.base_url
    rows = langchain.OpenRouterEmbeddings(
        model=MARKED, api_key="sk-test-key", base_url=url, cache=path
    ).embed_documents(["shared"])
    other = llama.OpenRouterEmbedding(model_name=MARKED, api_key="sk-test-key", base_url=url, cache=path)
    assert other.get_text_embedding("shared") == rows[0]
    embedder = haystack.OpenRouterDocumentEmbedder(
        model=MARKED, api_key=Secret.from_token("sk-test-key"), api_base_url=url, cache=path, progress_bar=False
    )
    answer = embedder.run([Document(content="shared")])
    assert answer["documents"][0].embedding == rows[0]
    assert answer["meta"]["usage"]["cached"] == 1
    assert embeddings_gateway.paid_inputs() == 1


def test_kill_9_loses_no_acknowledged_batch(make, embeddings_gateway, tmp_path):
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
    result = make(batch_size=5).embed_documents(texts(400))
    assert result.usage.cached >= acknowledged >= 30
    assert paid + embeddings_gateway.paid_inputs() <= 400 + 2 * 5, "paid again at most what was in flight"


def test_a_client_with_a_cache_pickles(make):
    client = make()
    client.embed_documents(["a"])
    again = pickle.loads(pickle.dumps(client))
    assert isinstance(again.options.cache, SqliteCache)
    assert again.embed_documents(["a"]).usage.cached == 1


def test_neither_text_nor_key_is_in_the_file(make, tmp_path):
    make().embed_documents(["Quillfeather the canary"])
    for file in tmp_path.glob("e.sqlite*"):
        data = file.read_bytes()
        assert b"Quillfeather" not in data
        assert b"sk-test-key" not in data


def test_an_error_keeps_what_landed_in_the_cache_too(make, embeddings_gateway):
    embeddings_gateway.trouble("status", status=500, after=1, times=None)
    with pytest.raises(ServerError) as caught:
        make(batch_size=2, max_concurrency=1).embed_documents(texts(6))
    assert caught.value.partial.positions_done == (0, 1)
    embeddings_gateway.reset()
    assert make().embed_documents(texts(2)).usage.requests == 0


def test_a_client_stays_with_the_address_it_began_with(embeddings_gateway, monkeypatch):
    cache = MemoryCache()
    monkeypatch.setenv("OPENROUTER_API_BASE", embeddings_gateway.base_url)
    client = Client(MODEL, api_key="sk-test-key", cache=cache)
    client.embed_query("x")
    monkeypatch.setenv("OPENROUTER_API_BASE", "http://127.0.0.1:9/v1")
    client.embed_query("y")
    other = Client(MODEL, api_key="sk-test-key", cache=cache, max_retries=0)
    with pytest.raises(ConnectionFailedError):  # what one address answered is nothing that another has said
        other.embed_query("y")
