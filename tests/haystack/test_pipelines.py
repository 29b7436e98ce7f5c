"""Whole pipelines: index, save, load, search."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from haystack import Document, Pipeline
from haystack.components.retrievers.in_memory import InMemoryEmbeddingRetriever
from haystack.components.writers import DocumentWriter
from haystack.core.errors import PipelineRuntimeError
from haystack.document_stores.in_memory import InMemoryDocumentStore

from haystack_integrations.components.embedders.openrouter_embeddings import (
    OpenRouterDocumentEmbedder,
    OpenRouterTextEmbedder,
)
from openrouter_embeddings import InvalidRequestError

from .conftest import MARKED

TEXTS = {
    "shutil.copytree": "Recursively copy a directory tree and return the destination directory.",
    "random.choice": "Choose a random element from a non-empty sequence.",
    "tempfile.TemporaryFile": "Create and return a temporary file.",
    "json.loads": "Deserialize a JSON document to a Python object.",
}
QUESTIONS = {
    "copy a whole directory": "shutil.copytree",
    "pick a random element from a list": "random.choice",
    "create a temporary file": "tempfile.TemporaryFile",
}


def documents() -> list[Document]:
    return [Document(content=f"{name}: {line}", meta={"name": name}) for name, line in TEXTS.items()]


def indexing(store: InMemoryDocumentStore, **options: Any) -> Pipeline:
    pipeline = Pipeline()
    pipeline.add_component("embedder", OpenRouterDocumentEmbedder(model=MARKED, progress_bar=False, **options))
    pipeline.add_component("writer", DocumentWriter(store))
    pipeline.connect("embedder.documents", "writer.documents")
    return pipeline


def searching(store: InMemoryDocumentStore) -> Pipeline:
    pipeline = Pipeline()
    pipeline.add_component("embedder", OpenRouterTextEmbedder(model=MARKED))
    pipeline.add_component("retriever", InMemoryEmbeddingRetriever(store, top_k=2))
    pipeline.connect("embedder.embedding", "retriever.query_embedding")
    return pipeline


@pytest.fixture
def store(gateway: Any) -> InMemoryDocumentStore:
    """A store that a loaded pipeline shares, by its index."""
    return InMemoryDocumentStore(index="openrouter-embeddings-tests", embedding_similarity_function="cosine")


@pytest.fixture(autouse=True)
def empty(store: InMemoryDocumentStore) -> None:
    store.delete_documents([one.id for one in store.filter_documents()])


def test_saved_and_loaded_pipelines_index_and_search(run_pipeline: Any, store: InMemoryDocumentStore) -> None:
    index, search = Pipeline.loads(indexing(store).dumps()), Pipeline.loads(searching(store).dumps())
    done = run_pipeline(index, {"embedder": {"documents": documents()}})
    assert done["writer"]["documents_written"] == len(TEXTS)
    assert done["embedder"]["meta"]["model"] == MARKED
    assert set(done["embedder"]) == {"meta"}
    for question, name in QUESTIONS.items():
        found = run_pipeline(search, {"embedder": {"text": question}})["retriever"]["documents"]
        assert found[0].meta["name"] == name


def test_one_pipeline_runs_again_and_after_close(run_pipeline: Any, store: InMemoryDocumentStore) -> None:
    indexing(store).run({"embedder": {"documents": documents()}})
    search = searching(store)
    for _ in range(2):
        found = run_pipeline(search, {"embedder": {"text": "create a temporary file"}})["retriever"]["documents"]
        assert found[0].meta["name"] == "tempfile.TemporaryFile"
        if hasattr(search, "close"):
            search.close()


def test_failed_documents_go_their_own_way(run_pipeline: Any, store: InMemoryDocumentStore, gateway: Any) -> None:
    gateway.trouble("refuse_text", contains="json", times=None)
    found = run_pipeline(indexing(store, raise_on_failure=False), {"embedder": {"documents": documents()}})
    assert found["writer"]["documents_written"] == len(TEXTS) - 1
    assert [one.meta["name"] for one in found["embedder"]["failed_documents"]] == ["json.loads"]
    assert all(one.embedding for one in store.filter_documents())


def test_or_they_stop_the_pipeline_with_what_landed_at_hand(
    run_pipeline: Any, store: InMemoryDocumentStore, gateway: Any
) -> None:
    gateway.trouble("refuse_text", contains="json", times=None)
    with pytest.raises(Exception) as caught:
        run_pipeline(indexing(store), {"embedder": {"documents": documents()}})
    error: Any = caught.value if isinstance(caught.value, InvalidRequestError) else caught.value.__cause__
    assert isinstance(error, InvalidRequestError)
    assert len(vars(error)["documents"]) == len(TEXTS) - 1
    assert store.count_documents() == 0


@pytest.mark.parametrize("cached", [True, False], ids=["cache", "no cache"])
@pytest.mark.parametrize("way", ["snapshot", "from the start"])
@pytest.mark.parametrize("landed", range(8))
def test_a_pipeline_goes_on_and_pays_the_rest(
    store: InMemoryDocumentStore, gateway: Any, tmp_path: Path, way: str, landed: int, cached: bool
) -> None:
    """Without a cache too, as long as it is the same embedder: it keeps what had landed for one more run."""
    cache = tmp_path / "e.sqlite" if cached else None
    pipeline = indexing(store, cache=cache, batch_size=5, max_concurrency=1)
    data = {"embedder": {"documents": [Document(content=f"sentence number {number}") for number in range(40)]}}
    gateway.trouble("status", status=402, after=landed, times=None)
    with pytest.raises(PipelineRuntimeError) as caught:
        pipeline.run(data)
    assert gateway.paid_inputs() == 5 * landed
    gateway.reset()
    if way == "from the start":
        pipeline.run(data)
    elif getattr(caught.value, "pipeline_snapshot", None) is None:
        pytest.skip("this Haystack makes no snapshots")
    else:
        pipeline.run({}, pipeline_snapshot=caught.value.pipeline_snapshot)
    assert gateway.paid_inputs() == 40 - 5 * landed
    written = store.filter_documents()
    assert len(written) == 40
    assert all(one.embedding is not None for one in written)


def test_what_landed_is_kept_for_the_same_texts_and_for_one_run(store: InMemoryDocumentStore, gateway: Any) -> None:
    pipeline = indexing(store, batch_size=5, max_concurrency=1)
    texts = [Document(content=f"sentence number {number}") for number in range(10)]
    gateway.trouble("status", status=402, after=1, times=None)
    with pytest.raises(PipelineRuntimeError):
        pipeline.run({"embedder": {"documents": texts}})
    gateway.reset()
    pipeline.run({"embedder": {"documents": texts[::-1]}})
    assert gateway.paid_inputs() == 10
    pipeline.get_component("embedder").run(texts)
    assert gateway.paid_inputs() == 20


def test_components_are_connected_by_themselves(store: InMemoryDocumentStore) -> None:
    pipeline = Pipeline()
    pipeline.add_component("embedder", OpenRouterDocumentEmbedder(model=MARKED, progress_bar=False))
    pipeline.add_component("writer", DocumentWriter(store))
    pipeline.connect("embedder", "writer")
    assert pipeline.run({"embedder": {"documents": documents()}})["writer"]["documents_written"] == len(TEXTS)


def test_the_multi_query_retriever_calls_one_embedder_from_many_threads(store: InMemoryDocumentStore) -> None:
    retrievers = pytest.importorskip("haystack.components.retrievers")
    if not hasattr(retrievers, "MultiQueryEmbeddingRetriever"):
        pytest.skip("this Haystack has no MultiQueryEmbeddingRetriever")
    indexing(store).run({"embedder": {"documents": documents()}})
    many = retrievers.MultiQueryEmbeddingRetriever(
        retriever=InMemoryEmbeddingRetriever(store, top_k=1), query_embedder=OpenRouterTextEmbedder(model=MARKED)
    )
    found = many.run(queries=list(QUESTIONS))["documents"]
    assert {one.meta["name"] for one in found} == set(QUESTIONS.values())


def test_a_pipeline_that_pauses_at_its_writer_goes_on_without_a_request(
    store: InMemoryDocumentStore, gateway: Any
) -> None:
    """The snapshot holds the documents with their embeddings."""
    breakpoints = pytest.importorskip("haystack.dataclasses.breakpoints")
    errors = pytest.importorskip("haystack.core.errors")
    pipeline = indexing(store)
    with pytest.raises(errors.BreakpointException) as caught:
        pipeline.run({"embedder": {"documents": documents()}}, break_point=breakpoints.Breakpoint("writer"))
    assert store.count_documents() == 0
    paid = gateway.paid_inputs()
    assert paid == len(TEXTS)
    saved = breakpoints.PipelineSnapshot.from_dict(json.loads(json.dumps(caught.value.pipeline_snapshot.to_dict())))
    Pipeline.loads(pipeline.dumps()).run({}, pipeline_snapshot=saved)
    assert all(one.embedding for one in store.filter_documents())
    assert store.count_documents() == len(TEXTS)
    assert gateway.paid_inputs() == paid


def test_an_agent_may_search_through_a_tool(store: InMemoryDocumentStore) -> None:
    """A tool's parameters are read from the signature of `run`; a tool is saved with its component."""
    tools = pytest.importorskip("haystack.tools")
    indexing(store).run({"embedder": {"documents": documents()}})
    tool = tools.ComponentTool(OpenRouterTextEmbedder(model=MARKED), name="embed", description="Embeds a question.")
    assert tool.parameters["required"] == ["text"]
    loaded = tools.ComponentTool.from_dict(tool.to_dict())
    retriever = InMemoryEmbeddingRetriever(store, top_k=1)
    for question, name in QUESTIONS.items():
        embedding = loaded.invoke(text=question)["embedding"]
        assert retriever.run(query_embedding=embedding)["documents"][0].meta["name"] == name
