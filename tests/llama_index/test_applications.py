"""What applications build of LlamaIndex's parts: ingestion that knows its documents, fused queries, graphs, workflows."""

from __future__ import annotations

import asyncio
import json

import pytest
from llama_index.core import Document, PropertyGraphIndex, StorageContext, VectorStoreIndex, load_index_from_storage
from llama_index.core.graph_stores import EntityNode, Relation, SimplePropertyGraphStore
from llama_index.core.graph_stores.types import KG_NODES_KEY, KG_RELATIONS_KEY
from llama_index.core.indices.property_graph import ImplicitPathExtractor, VectorContextRetriever
from llama_index.core.ingestion import DocstoreStrategy, IngestionCache, IngestionPipeline
from llama_index.core.llms import MockLLM
from llama_index.core.retrievers import QueryFusionRetriever
from llama_index.core.schema import TextNode
from llama_index.core.storage.docstore import SimpleDocumentStore
from llama_index.core.vector_stores import SimpleVectorStore
from llama_index.core.workflow import Context, Event, StartEvent, StopEvent, Workflow, step

BREAD = "To bake bread, knead flour, water and yeast."
BOAT = "The sailor trims the mainsail against the wind."
TABLE = "An index makes looking up rows in a table fast."


def document(name: str, text: str) -> Document:
    return Document(text=text, id_=name)


# ------------------------------------------------------------------------------------------------------ ingestion


@pytest.mark.parametrize("run", ["run", "arun"])
@pytest.mark.parametrize("strategy", DocstoreStrategy)
def test_an_ingestion_that_knows_its_documents_pays_for_new_ones(make, embeddings_gateway, strategy, run):
    pipeline = IngestionPipeline(
        transformations=[make()],
        docstore=SimpleDocumentStore(),
        vector_store=SimpleVectorStore(),
        docstore_strategy=strategy,
        disable_cache=True,
    )

    def ingest(*documents):
        before = embeddings_gateway.paid_inputs()
        pipeline.run(documents=documents) if run == "run" else asyncio.run(pipeline.arun(documents=documents))
        return embeddings_gateway.paid_inputs() - before

    assert ingest(document("a", BREAD), document("b", BOAT)) == 2
    assert ingest(document("a", BREAD), document("b", BOAT)) == 0
    assert ingest(document("a", BREAD), document("b", BOAT), document("c", TABLE)) == 1
    assert ingest(document("a", BREAD), document("b", "Another text.")) == 1


def test_a_cache_of_a_pipeline_that_was_written_down_answers_the_next_process(make, embeddings_gateway, tmp_path):
    nodes = [TextNode(text=text, id_=text[:8]) for text in (BREAD, BOAT, TABLE)]
    first = IngestionPipeline(transformations=[make()])
    embedded = first.run(nodes=nodes)
    first.persist(str(tmp_path))
    saved = (tmp_path / "llama_cache").read_text()
    second = IngestionPipeline(transformations=[make(timeout=7.0)], cache=IngestionCache())
    second.load(str(tmp_path))
    assert [one.embedding for one in second.run(nodes=nodes)] == [one.embedding for one in embedded]
    assert embeddings_gateway.paid_inputs() == 3
    assert "sk-or-canary" not in saved
    assert json.loads(saved)


def test_an_index_that_was_written_down_is_asked_with_the_query_alone(make, embeddings_gateway, tmp_path):
    VectorStoreIndex.from_documents(
        [document("a", BREAD), document("b", BOAT)], embed_model=make()
    ).storage_context.persist(str(tmp_path))
    embeddings_gateway.reset()
    index = load_index_from_storage(StorageContext.from_defaults(persist_dir=str(tmp_path)), embed_model=make())
    assert index.as_retriever(similarity_top_k=1).retrieve(BOAT)[0].node.ref_doc_id == "b"
    assert embeddings_gateway.paid_inputs() == 1


# -------------------------------------------------------------------------------------------------------- queries


@pytest.mark.parametrize("use_async", [False, True])
@pytest.mark.parametrize("mode", ["simple", "reciprocal_rerank", "relative_score"])
def test_fused_queries_find_what_each_finds(make, mode, use_async):
    """The framework asks both indexes at once, in threads or on a loop of its own."""
    embedder = make()
    retrievers = [
        VectorStoreIndex.from_documents(documents, embed_model=embedder).as_retriever(similarity_top_k=1)
        for documents in ([document("a", BREAD), document("b", BOAT)], [document("c", TABLE)])
    ]
    fusion = QueryFusionRetriever(
        retrievers, llm=MockLLM(), mode=mode, similarity_top_k=2, num_queries=1, use_async=use_async
    )
    assert {found.node.ref_doc_id for found in fusion.retrieve(BREAD)} == {"a", "c"}
    assert {found.node.ref_doc_id for found in asyncio.run(fusion.aretrieve(BOAT))} == {"b", "c"}


@pytest.mark.parametrize("use_async", [False, True])
def test_the_entities_of_a_graph_are_found_by_meaning(make, use_async):
    baker, bread, sailor = (EntityNode(name=name) for name in ("the baker who bakes bread", "bread", "a sailor"))
    node = TextNode(
        text=BREAD,
        id_="n",
        metadata={
            KG_NODES_KEY: [baker, bread, sailor],
            KG_RELATIONS_KEY: [Relation(label="bakes", source_id=baker.id, target_id=bread.id)],
        },
    )
    embedder = make(dimensions=None)
    index = PropertyGraphIndex(
        nodes=[node],
        llm=MockLLM(),
        kg_extractors=[ImplicitPathExtractor()],
        property_graph_store=SimplePropertyGraphStore(),
        vector_store=SimpleVectorStore(),
        embed_model=embedder,
        use_async=use_async,
    )
    retriever = VectorContextRetriever(
        index.property_graph_store,
        vector_store=index.vector_store,
        embed_model=embedder,
        include_text=False,
        similarity_top_k=1,
    )
    found = retriever.retrieve("the baker who bakes bread")
    assert any("bakes" in one.text for one in found)
    assert [one.text for one in asyncio.run(retriever.aretrieve("the baker who bakes bread"))] == [
        one.text for one in found
    ]


# ------------------------------------------------------------------------------------------------------ workflows


class Asked(Event):
    """One of several questions that are asked side by side."""

    question: str


class Found(Event):
    """What was found for one."""

    name: str


class Search(Workflow):
    """Asks several questions at once, and comes back with what each found."""

    def __init__(self, retriever, questions, **options):
        super().__init__(**options)
        self.retriever = retriever
        self.questions = questions

    @step
    async def ask(self, context: Context, begun: StartEvent) -> Asked | None:
        """Send each question on its way."""
        for question in self.questions:
            context.send_event(Asked(question=question))
        return None

    @step(num_workers=4)
    async def find(self, asked: Asked) -> Found:
        """Find the document of one."""
        hits = await self.retriever.aretrieve(asked.question)
        return Found(name=hits[0].node.ref_doc_id)

    @step
    async def gather(self, context: Context, found: Found) -> StopEvent | None:
        """Wait for all."""
        together = context.collect_events(found, [Found] * len(self.questions))
        return None if together is None else StopEvent(result=sorted(one.name for one in together))


async def test_steps_of_a_workflow_ask_side_by_side(make):
    documents = [document("a", BREAD), document("b", BOAT), document("c", TABLE)]
    index = VectorStoreIndex.from_documents(documents, embed_model=make())
    for _ in range(2):
        flow = Search(index.as_retriever(similarity_top_k=1), [BREAD, BOAT, TABLE], timeout=60)
        assert await flow.run() == ["a", "b", "c"]
