"""What the base class brings: its cache, here under keys that tell all apart, and its limiter, here for each request."""

from __future__ import annotations

import asyncio
import copy
import pickle

import pytest
from llama_index.core.storage.kvstore import SimpleKVStore

from openrouter_embeddings import InsufficientCreditsError

from .conftest import Counting

TEXTS = [f"text number {number}" for number in range(12)]
MARKED = "qwen/qwen3-embedding-8b"


@pytest.fixture(params=["sync", "async"])
def embedded(request):
    """Embed a batch, a text and a query with an embedder, once in each colour."""

    def run(embedder):
        if request.param == "sync":
            rows = embedder.get_text_embedding_batch(TEXTS)
            return [*rows, embedder.get_text_embedding(TEXTS[0]), embedder.get_query_embedding(TEXTS[0])]

        async def all_of_it():
            rows = await embedder.aget_text_embedding_batch(TEXTS)
            return [*rows, await embedder.aget_text_embedding(TEXTS[0]), await embedder.aget_query_embedding(TEXTS[0])]

        return asyncio.run(all_of_it())

    return run


def test_what_is_in_the_store_is_not_paid_for_again_and_a_query_is_no_document(make, embeddings_gateway, embedded):
    store = SimpleKVStore()
    rows = embedded(make(model_name=MARKED, embeddings_cache=store))
    assert embeddings_gateway.paid_inputs() == len(TEXTS) + 1
    assert rows[-1] != rows[-2] == rows[0]
    assert embedded(make(model_name=MARKED, embeddings_cache=store)) == rows
    assert embeddings_gateway.paid_inputs() == len(TEXTS) + 1


def test_another_width_or_model_gets_nothing_from_the_store(make, embeddings_gateway):
    store = SimpleKVStore()
    for options in ({}, {"dimensions": 32}, {"model_name": MARKED}):
        make(embeddings_cache=store, **options).get_text_embedding("a")
    assert embeddings_gateway.paid_inputs() == 3


def test_whatever_else_changes_the_numbers_gets_nothing_from_the_store_either(
    make, embeddings_gateway, monkeypatch, embedded
):
    """Each of these asks once for itself, and finds its own when it asks again."""
    store = SimpleKVStore()
    local = embeddings_gateway.base_url
    other = local.replace("127.0.0.1", "localhost")
    ways = [
        {},
        {"provider": {"options": {"deepinfra": {"truncate": "END"}}}},
        {"provider": {"options": {"deepinfra": {"truncate": "START"}}}},
        {"provider": {"only": ["deepinfra"]}},
        {"document_prefix": "passage: ", "query_prefix": "query: "},
        {"document_prefix": "document: ", "query_prefix": "search: "},
        {"extra_body": {"seed": 7}},
        {"base_url": other},
    ]
    each = len(TEXTS) + 1  # the query is a text of its own
    rows = []
    for number, options in enumerate(ways, start=1):
        rows.append(embedded(make(model_name=MARKED, embeddings_cache=store, **options)))
        assert embeddings_gateway.paid_inputs() == number * each, options
    for options, own in zip(ways, rows, strict=True):
        assert embedded(make(model_name=MARKED, embeddings_cache=store, **options)) == own
    for address, own in ((local, rows[0]), (other, rows[-1])):
        monkeypatch.setenv("OPENROUTER_API_BASE", address)
        assert embedded(make(model_name=MARKED, embeddings_cache=store, base_url=None)) == own
    assert embeddings_gateway.paid_inputs() == len(ways) * each


def test_an_address_of_the_environment_is_in_the_keys_of_the_store(make, embeddings_gateway, monkeypatch, embedded):
    """A local gateway gives other numbers than the service: what it has answered must not be taken for that."""
    store = SimpleKVStore()
    local = embeddings_gateway.base_url
    for number, address in enumerate((local, local.replace("127.0.0.1", "localhost")), start=1):
        monkeypatch.setenv("OPENROUTER_API_BASE", address)
        for _ in range(2):
            embedded(make(model_name=MARKED, embeddings_cache=store, base_url=None))
        assert embeddings_gateway.paid_inputs() == number * (len(TEXTS) + 1)


def test_what_the_base_class_has_stored_by_the_text_alone_is_not_taken(make, embeddings_gateway):
    store = SimpleKVStore()
    store.put("a", {"id": [0.5]}, collection="embeddings")
    embedder = make(embeddings_cache=store)
    assert len(embedder.get_text_embedding("a")) == len(embedder.get_text_embedding_batch(["a"])[0]) == 64
    assert embeddings_gateway.paid_inputs() == 1


def test_what_landed_before_an_error_is_in_the_store(make, embeddings_gateway):
    store = SimpleKVStore()
    embeddings_gateway.trouble("status", status=402, after=2, times=None)
    with pytest.raises(InsufficientCreditsError):
        make(embeddings_cache=store, embed_batch_size=4, num_workers=1).get_text_embedding_batch(TEXTS)
    embeddings_gateway.reset()
    make(embeddings_cache=store).get_text_embedding_batch(TEXTS)
    assert embeddings_gateway.paid_inputs() == 4


def test_a_store_is_in_no_dump_and_goes_along_with_copies(make, embeddings_gateway):
    store = SimpleKVStore()
    embedder = make(embeddings_cache=store)
    assert embedder.to_dict() == make().to_dict()
    embedder.get_text_embedding("a")
    for twin in (copy.copy(embedder), copy.deepcopy(embedder), pickle.loads(pickle.dumps(embedder))):
        assert twin.get_text_embedding("a") == embedder.get_text_embedding("a")
    assert copy.deepcopy(embedder).embeddings_cache is store
    assert embeddings_gateway.paid_inputs() == 1


def test_a_limiter_is_asked_for_each_request_with_its_tokens(make, embeddings_gateway, embedded):
    limiter = Counting()
    embedder = make(rate_limiter=limiter, embed_batch_size=5, num_workers=1)
    embedded(embedder)
    assert len(limiter.asked) == len(embeddings_gateway.embedding_requests()) == 5
    assert all(tokens > 0 for tokens in limiter.asked)
    assert limiter.asked[0] > limiter.asked[-1]


def test_a_retry_asks_the_limiter_too_and_the_cache_does_not(make, embeddings_gateway):
    limiter = Counting()
    embedder = make(rate_limiter=limiter, cache=None, embeddings_cache=SimpleKVStore())
    embeddings_gateway.trouble("status", status=503, retry_after=0.01)
    for _ in range(3):
        embedder.get_text_embedding("a")
    assert len(limiter.asked) == 2


def test_a_limiter_that_raises_raises_and_nothing_is_sent(make, embeddings_gateway, embedded):
    class Closed(Counting):
        def acquire(self, num_tokens: int = 0) -> None:
            raise RuntimeError("the budget of the day is used up")

    with pytest.raises(RuntimeError, match="of the day"):
        embedded(make(rate_limiter=Closed()))
    assert embeddings_gateway.embedding_requests() == []


def test_llama_indexs_own_limiter_works(make, embeddings_gateway, embedded):
    limiters = pytest.importorskip("llama_index.core.rate_limiter")
    embedder = make(rate_limiter=limiters.TokenBucketRateLimiter(requests_per_minute=6000, tokens_per_minute=600_000))
    assert len(embedded(embedder)) == 14
