"""Options about money and odd texts, as LlamaIndex's indexes meet them."""

from __future__ import annotations

import asyncio
import copy
import pickle

import pytest
from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.ingestion.pipeline import get_transformation_hash
from llama_index.core.schema import TextNode

from llama_index.embeddings.openrouter import OpenRouterEmbedding
from openrouter_embeddings import BudgetExceededError, MemoryCache, SqliteCache

TEXTS = [f"text number {number}" for number in range(12)]


@pytest.fixture(params=["sync", "async"])
def batch(request):
    """Embed texts, once in each colour."""

    def embedded(embedder: OpenRouterEmbedding, texts: list[str]) -> list[list[float]]:
        if request.param == "sync":
            return embedder.get_text_embedding_batch(texts)
        return asyncio.run(embedder.aget_text_embedding_batch(texts))

    return embedded


def test_an_index_that_is_built_again_costs_nothing(make, embeddings_gateway, tmp_path, batch):
    rows = [batch(make(cache=str(tmp_path / "e.sqlite"), embed_batch_size=5), TEXTS) for _ in range(2)]
    assert rows[0] == rows[1]
    assert embeddings_gateway.paid_inputs() == len(TEXTS)


def test_queries_are_cached_apart_from_texts(make, embeddings_gateway):
    """LlamaIndex's own embeddings_cache would hand the text's embedding to a query."""
    embedder = make(model_name="qwen/qwen3-embedding-8b", cache=MemoryCache())
    text = embedder.get_text_embedding("a")
    assert embedder.get_query_embedding("a") == embedder.get_query_embedding("a") != text
    assert embeddings_gateway.paid_inputs() == 2


def test_the_limit_on_cost_keeps_what_landed(make, embeddings_gateway, batch):
    probe = make()
    probe.get_text_embedding_batch(TEXTS[:3])
    most = 2.5 * probe.usage.cost
    embedder = make(batch_size=3, max_concurrency=1, max_cost=most)
    with pytest.raises(BudgetExceededError) as caught:
        batch(embedder, TEXTS)
    assert caught.value.partial.positions_done == tuple(range(6))
    assert 0 < embedder.usage.cost <= most


def test_an_empty_node_becomes_zeros_and_stops_nobody(make, batch):
    """`insert_nodes` and pipelines hand over what `from_documents` leaves out."""
    rows = batch(make(on_empty="zero"), ["Copy a directory tree.", "", "Turn it into a date."])
    assert [any(row) for row in rows] == [True, False, True]
    nodes = [TextNode(text="Copy a directory tree."), TextNode(text="")]
    done = IngestionPipeline(transformations=[make(on_empty="zero")], disable_cache=True).run(nodes=nodes)
    assert [any(one.embedding) for one in done] == [True, False]


@pytest.mark.parametrize("kind", ["path", "sqlite", "memory"])
def test_a_cache_is_in_no_dump_and_names_no_embedding(make, tmp_path, kind):
    file = tmp_path / "e.sqlite"
    cache = {"path": lambda: str(file), "sqlite": lambda: SqliteCache(file), "memory": MemoryCache}[kind]()
    embedder = make(cache=cache)
    for shown in (embedder.to_dict(), embedder.to_json(), embedder.model_dump(), embedder.to_payload(), repr(embedder)):
        assert "cache" not in str(shown)
        assert str(file) not in str(shown)
    node = TextNode(text="a")
    assert get_transformation_hash([node], embedder) == get_transformation_hash([node], make())


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))], ids=[
    "copy", "deepcopy", "pickle",
])  # fmt: skip
def test_a_copy_uses_the_same_file(make, embeddings_gateway, tmp_path, copied):
    for cache in (str(tmp_path / "one.sqlite"), SqliteCache(tmp_path / "other.sqlite")):
        embedder = make(cache=cache)
        embedder.get_text_embedding("a")
        assert copied(embedder).get_text_embedding("a") == embedder.get_text_embedding("a")
    assert embeddings_gateway.paid_inputs() == 2
