"""`track_usage` around LlamaIndex's own callers: indexes, retrievers, pipelines, jobs, in threads and on loops."""

from __future__ import annotations

import asyncio
import gc
import warnings

import pytest
from llama_index.core import Document, VectorStoreIndex, async_utils
from llama_index.core.async_utils import run_jobs
from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.schema import TextNode

from openrouter_embeddings import track_usage


def documents() -> list[Document]:
    return [Document(text=f"document number {number}") for number in range(12)]


@pytest.mark.parametrize("use_async", [False, True])
def test_an_index_and_its_retriever_are_counted(make, use_async):
    embedder = make(embed_batch_size=4)
    with track_usage() as usage:
        index = VectorStoreIndex.from_documents(documents(), embed_model=embedder, use_async=use_async)
        index.as_retriever().retrieve("one")
        asyncio.run(index.as_retriever().aretrieve("two"))
    assert usage.total == embedder.usage
    assert usage.requests == 5


@pytest.mark.skipif(not hasattr(async_utils, "contextvars"), reason="this LlamaIndex gives that thread no context")
async def test_an_index_built_inside_a_running_loop_is_counted(make):
    """LlamaIndex runs a loop of its own in a thread then, with the context."""
    embedder = make()
    with track_usage() as usage:
        VectorStoreIndex.from_documents(documents(), embed_model=embedder, use_async=True)
    assert usage.total == embedder.usage
    assert usage.requests == 1
    with warnings.catch_warnings():  # it closed that loop without ending what lived on it
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


async def test_jobs_side_by_side_are_counted(make):
    embedder = make()
    with track_usage() as usage:
        await run_jobs([embedder.aget_query_embedding(f"question {number}") for number in range(6)], workers=3)
    assert usage.requests == 6


@pytest.mark.parametrize("how", ["run", "arun"])
def test_a_pipeline_is_counted(make, how):
    embedder = make()
    pipeline = IngestionPipeline(transformations=[embedder], disable_cache=True)
    nodes = [TextNode(text=f"node number {number}") for number in range(12)]
    with track_usage() as usage:
        pipeline.run(nodes=nodes) if how == "run" else asyncio.run(pipeline.arun(nodes=nodes))
    assert usage.total == embedder.usage
    assert usage.total_tokens > 0
