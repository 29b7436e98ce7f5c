"""Options about money and odd texts, as Haystack's pipelines meet them; what a block of code spends."""

from __future__ import annotations

import asyncio
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from haystack import Document, Pipeline
from haystack.components.retrievers.in_memory import InMemoryEmbeddingRetriever
from haystack.components.writers import DocumentWriter
from haystack.document_stores.in_memory import InMemoryDocumentStore

from haystack_integrations.components.embedders.openrouter_embeddings import (
    OpenRouterDocumentEmbedder,
    OpenRouterTextEmbedder,
)
from openrouter_embeddings import (
    Usage,
    track_usage,
)

from .conftest import UNMARKED


def documents(count: int) -> list[Document]:
    return [Document(content=f"text number {one}") for one in range(count)]


# -------------------------------------------------------------------------------------------------------- the cache


def test_a_saved_pipeline_finds_its_cache_again(
    run_pipeline: Any, documents_embedder: Any, gateway: Any, tmp_path: Path
) -> None:
    pipeline = Pipeline()
    pipeline.add_component("embedder", documents_embedder(cache=tmp_path / "e.sqlite"))
    saved = pipeline.dumps()
    assert f"cache: {tmp_path / 'e.sqlite'}\n" in saved
    for _ in range(2):
        run_pipeline(Pipeline.loads(saved), {"embedder": {"documents": documents(12)}})
    assert gateway.paid_inputs() == 12


# ---------------------------------------------------------------------------------------------------------- the sum


def test_meta_is_the_sum_over_retries_splits_replays_and_the_cache(
    call: Any, documents_embedder: Any, gateway: Any, tmp_path: Path
) -> None:
    call(documents_embedder(cache=str(tmp_path / "e.sqlite")), documents=documents(5))
    gateway.reset()
    gateway.trouble("refuse_batch", limit=4, times=None)
    gateway.trouble("status", status=503, retry_after=0.01)
    gateway.trouble("status", status=502)
    given = [*documents(17), Document(id="double", content="text number 3")]
    embedder = documents_embedder(cache=str(tmp_path / "e.sqlite"))
    meta = call(embedder, documents=given)["meta"]
    usage = meta["usage"]
    assert list(usage) == [one.name for one in fields(Usage)]
    assert usage["requests"] == len(gateway.embedding_requests())
    assert (usage["cached"], usage["deduplicated"], usage["retries"], usage["replays"]) == (5, 1, 2, 1)
    whole = documents_embedder().run(documents(17)[5:])["meta"]["usage"]
    assert usage["total_tokens"] == whole["total_tokens"]
    assert usage["cost"] == pytest.approx(whole["cost"])
    assert meta["providers"]
    assert "shortened" not in meta


# -------------------------------------------------------------------------------------------------------- odd texts


def test_a_zero_embedding_is_found_last(gateway: Any, documents_embedder: Any, text_embedder: Any) -> None:
    store = InMemoryDocumentStore(embedding_similarity_function="cosine")
    given = [Document(content="bread"), Document(content="")]
    store.write_documents(documents_embedder(on_empty="zero").run(given)["documents"])
    found = store.embedding_retrieval(text_embedder().run("bread")["embedding"], top_k=2)
    assert [one.content for one in found] == ["bread", ""]


@pytest.mark.parametrize("choice", ["truncate", "average"])
def test_a_text_that_was_really_too_long_is_named_in_meta(
    call: Any, documents_embedder: Any, text_embedder: Any, choice: str
) -> None:
    long = " ".join(f"word{number}" for number in range(9000))  # the model takes 8,191 tokens
    given = [Document(content="a"), Document(content=long), Document(content="b")]
    found = call(documents_embedder(on_too_long=choice), documents=given)
    assert found["meta"]["shortened"] == [1]
    assert [one.content for one in found["documents"]] == ["a", long, "b"]
    assert call(text_embedder(on_too_long=choice), text=long)["meta"]["shortened"] == [0]


# ------------------------------------------------------------------------------------------------ a block of code


def indexing(store: InMemoryDocumentStore) -> Pipeline:
    pipeline = Pipeline()
    pipeline.add_component("embedder", OpenRouterDocumentEmbedder(model=UNMARKED, progress_bar=False))
    pipeline.add_component("writer", DocumentWriter(store))
    pipeline.connect("embedder.documents", "writer.documents")
    return pipeline


def test_a_pipeline_is_counted(run_pipeline: Any, gateway: Any) -> None:
    pipeline = indexing(InMemoryDocumentStore())
    with track_usage() as usage:
        meta = run_pipeline(pipeline, {"embedder": {"documents": documents(12)}})["embedder"]["meta"]
    assert usage.total.to_dict() == meta["usage"]


def test_the_multi_query_retriever_is_counted_on_a_loop_and_by_its_embedder(gateway: Any) -> None:
    """Its sync form runs in plain threads, which carry no block: there the embedder's own total tells."""
    retrievers = pytest.importorskip("haystack.components.retrievers")
    if not hasattr(getattr(retrievers, "MultiQueryEmbeddingRetriever", None), "run_async"):
        pytest.skip("this Haystack has no async MultiQueryEmbeddingRetriever")
    store = InMemoryDocumentStore()
    indexing(store).run({"embedder": {"documents": documents(3)}})
    embedder = OpenRouterTextEmbedder(model=UNMARKED)
    many = retrievers.MultiQueryEmbeddingRetriever(
        retriever=InMemoryEmbeddingRetriever(store, top_k=1), query_embedder=embedder
    )
    with track_usage() as usage:
        asyncio.run(many.run_async(queries=["one", "two"]))
    assert usage.total == embedder.usage
    many.run(queries=["three", "four"])
    assert embedder.usage.requests == 4
