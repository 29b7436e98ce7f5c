"""The frameworks' own jobs, run again after a failure."""

from __future__ import annotations

import asyncio

import pytest

from openrouter_embeddings import EmbeddingError

TEXTS = [f"sentence number {one}" for one in range(40)]


@pytest.fixture(
    params=["IngestionPipeline.run", "IngestionPipeline.arun", "VectorStoreIndex", "VectorStoreIndex async"]
)
def ingest(request, options):
    """Run one of LlamaIndex's jobs over all texts, from the start, and return how many nodes it has embedded."""
    pytest.importorskip("llama_index.core")
    from llama_index.core import VectorStoreIndex
    from llama_index.core.ingestion import IngestionPipeline
    from llama_index.core.schema import TextNode

    from llama_index.embeddings.openrouter import OpenRouterEmbedding

    def run() -> int:
        embedder = OpenRouterEmbedding(
            model_name=options["model"], **{k: v for k, v in options.items() if k != "model"}
        )
        nodes = [TextNode(text=text, id_=text) for text in TEXTS]
        if request.param.startswith("VectorStoreIndex"):
            index = VectorStoreIndex(nodes, embed_model=embedder, use_async=request.param.endswith("async"))
            return len(index.vector_store.data.embedding_dict)
        pipeline = IngestionPipeline(transformations=[embedder], disable_cache=True)
        done = pipeline.run(nodes=nodes) if request.param.endswith(".run") else asyncio.run(pipeline.arun(nodes=nodes))
        return sum(one.embedding is not None for one in done)

    return run


@pytest.mark.parametrize("k", range(8))
def test_llama_index_starts_again_and_pays_the_rest(ingest, bill, k):
    bill.fail_at(k)
    with pytest.raises(EmbeddingError):
        ingest()
    assert bill.heal() == 5 * k
    assert ingest() == len(TEXTS)
    bill.heal()
    assert bill.paid == len(TEXTS)


def indexing(options):
    """Return a Haystack pipeline that writes what it has embedded, and its store."""
    from haystack import Pipeline
    from haystack.components.writers import DocumentWriter
    from haystack.document_stores.in_memory import InMemoryDocumentStore

    from haystack_integrations.components.embedders.openrouter_embeddings import OpenRouterDocumentEmbedder

    store = InMemoryDocumentStore()
    pipeline = Pipeline()
    pipeline.add_component("embedder", OpenRouterDocumentEmbedder(**options, progress_bar=False))
    pipeline.add_component("writer", DocumentWriter(store))
    pipeline.connect("embedder.documents", "writer.documents")
    return pipeline, store


@pytest.mark.parametrize("way", ["snapshot", "from the start"])
@pytest.mark.parametrize("k", range(8))
def test_a_haystack_pipeline_goes_on_and_pays_the_rest(bill, options, way, k):
    pytest.importorskip("haystack")
    from haystack import Document
    from haystack.core.errors import PipelineRuntimeError

    pipeline, store = indexing(options)
    data = {"embedder": {"documents": [Document(content=text) for text in TEXTS]}}
    bill.fail_at(k)
    with pytest.raises(PipelineRuntimeError) as caught:
        pipeline.run(data)
    assert bill.heal() == 5 * k
    if way == "from the start":
        pipeline.run(data)
    elif getattr(caught.value, "pipeline_snapshot", None) is None:
        pytest.skip("this Haystack makes no snapshots")
    else:
        pipeline.run({}, pipeline_snapshot=caught.value.pipeline_snapshot)
    bill.heal()
    assert bill.paid == len(TEXTS)
    written = store.filter_documents()
    assert sorted(one.content for one in written) == sorted(TEXTS)
    assert all(one.embedding is not None for one in written)


@pytest.mark.parametrize("colour", ["run", "run_async"])
def test_a_text_embedder_pays_once_for_a_query_that_failed_at_first(bill, options, colour):
    pytest.importorskip("haystack")
    from haystack_integrations.components.embedders.openrouter_embeddings import OpenRouterTextEmbedder

    known = {name: value for name, value in options.items() if name not in {"batch_size", "max_concurrency"}}

    def embed():
        embedder = OpenRouterTextEmbedder(**known)
        if colour == "run":
            return embedder.run(text=TEXTS[0])["embedding"]
        return asyncio.run(embedder.run_async(text=TEXTS[0]))["embedding"]

    bill.fail_at(0)
    with pytest.raises(EmbeddingError):
        embed()
    assert bill.heal() == 0
    assert embed() == embed()
    assert bill.heal() == 1
