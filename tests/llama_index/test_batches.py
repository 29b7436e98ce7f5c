"""A batch is one call of the core, however many texts it has: positions, what landed, events and the bar are of all."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import numpy as np
import pytest
from llama_index.core.bridge.pydantic import Field
from llama_index.core.callbacks import CallbackManager, CBEventType, LlamaDebugHandler
from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.events.embedding import EmbeddingEndEvent, EmbeddingStartEvent
from llama_index.core.schema import NodeRelationship, RelatedNodeInfo, TextNode
from tqdm.auto import tqdm

from openrouter_embeddings import InputError, InsufficientCreditsError, InvalidRequestError

TEXTS = [f"text number {number}" for number in range(40)]


@pytest.fixture(params=["sync", "async"])
def batch(request):
    """Embed texts, once in each colour."""

    def embedded(embedder, texts, **options):
        if request.param == "sync":
            return embedder.get_text_embedding_batch(texts, **options)
        return asyncio.run(embedder.aget_text_embedding_batch(texts, **options))

    return embedded


@pytest.fixture(params=["run", "arun"])
def run(request):
    """Run a pipeline, once in each colour."""

    def ran(embedder, nodes, **options):
        pipeline = IngestionPipeline(transformations=[embedder], disable_cache=True)
        if request.param == "run":
            return pipeline.run(nodes=nodes, **options)
        return asyncio.run(pipeline.arun(nodes=nodes, **options))

    return ran


def test_a_bad_text_is_named_by_the_callers_position_and_all_others_are_kept(make, embeddings_gateway, batch):
    embeddings_gateway.trouble("refuse_text", contains="number 33", times=None)
    with pytest.raises(InvalidRequestError) as caught:
        batch(make(embed_batch_size=8), TEXTS)
    assert caught.value.positions == (33,)
    assert "input 33 of 40" in str(caught.value)
    assert caught.value.partial.positions_done == (*range(33), *range(34, 40))


def test_beyond_a_window_of_the_frameworks_positions_and_what_landed_are_of_the_whole_call(
    make, embeddings_gateway, batch
):
    texts = [f"text {number}" for number in range(9501)]
    embeddings_gateway.trouble("refuse_text", contains="text 9500", times=None)
    embedder = make(dimensions=8)
    with pytest.raises(InvalidRequestError) as caught:
        batch(embedder, texts)
    partial = caught.value.partial
    assert caught.value.positions == (9500,)
    assert "input 9500 of 9501" in str(caught.value)
    assert partial.positions_done == tuple(range(9500))
    assert embeddings_gateway.paid_inputs() == 9500
    embeddings_gateway.reset()
    rows = batch(embedder, texts, resume=partial)
    assert [len(row) for row in rows] == [8] * 9501
    assert embeddings_gateway.paid_inputs() == 1
    chosen = [0, 8191, 8192, 9499, 9500]
    np.testing.assert_allclose(batch(embedder, [texts[at] for at in chosen]), [rows[at] for at in chosen], atol=1e-6)


def test_what_landed_is_handed_back_by_resume(make, embeddings_gateway, batch):
    embeddings_gateway.trouble("status", status=402, after=3, times=None)
    embedder = make(embed_batch_size=8, num_workers=1)
    with pytest.raises(InsufficientCreditsError) as caught:
        batch(embedder, TEXTS)
    assert caught.value.partial.positions_done == tuple(range(24))
    embeddings_gateway.reset()
    assert batch(embedder, TEXTS, resume=caught.value.partial) == batch(make(), TEXTS)
    assert embeddings_gateway.embedding_requests()[0].inputs == 8
    assert embeddings_gateway.paid_inputs() == 16 + 40


def test_embed_batch_size_and_num_workers_bound_the_requests(make, embeddings_gateway, batch):
    embeddings_gateway.trouble("slow", times=None, seconds=0.02)
    embedder = make(embed_batch_size=5, num_workers=2, batch_size=20)
    assert len(batch(embedder, TEXTS)) == 40
    assert {request.inputs for request in embeddings_gateway.embedding_requests()} == {5}
    assert embeddings_gateway.max_in_flight() <= 2
    embedder.embed_batch_size = 10
    embeddings_gateway.reset()
    batch(embedder, TEXTS)
    assert {request.inputs for request in embeddings_gateway.embedding_requests()} == {10}


def test_a_batch_size_beyond_what_the_model_takes_is_no_bound(make):
    for batch_size in (2048, 100_000):
        embedder = make(embed_batch_size=batch_size)
        assert embedder.embed_batch_size == batch_size
        assert embedder.client.learned.limits() == make().client.learned.limits()


def test_bad_input_is_an_error_that_names_the_method(make, embeddings_gateway):
    model, text = make(), "a text"
    calls = {
        "get_text_embedding: Input 0 is None. Remove it": lambda: model.get_text_embedding(None),
        "get_text_embedding_batch: Input 1 is empty. Remove it": lambda: model.get_text_embedding_batch([text, ""]),
        "get_text_embedding_batch takes a list; wrap it: [text].": lambda: model.get_text_embedding_batch(text),
        "get_query_embedding: Input 0 is list, not str.": lambda: model.get_query_embedding([text]),
        "aget_text_embedding: Input 0 is empty.": lambda: asyncio.run(model.aget_text_embedding("")),
        "aget_text_embedding_batch takes a list of str": lambda: asyncio.run(model.aget_text_embedding_batch({text})),
        "aget_query_embedding: Input 0 is int, not str.": lambda: asyncio.run(model.aget_query_embedding(7)),
    }
    for words, call in calls.items():
        with pytest.raises(InputError) as caught:
            call()
        assert words in str(caught.value)
    assert embeddings_gateway.embedding_requests() == []


def test_an_error_names_the_nodes_of_a_pipeline(make, embeddings_gateway, run):
    embeddings_gateway.trouble("refuse_text", contains="number 3", times=None)
    nodes = [TextNode(id_=f"node-{number}", text=text) for number, text in enumerate(TEXTS[:20])]
    with pytest.raises(InvalidRequestError) as caught:
        run(make(), nodes)
    assert caught.value.positions == (3,)
    assert str(caught.value).endswith(" Nodes: 'node-3'.")
    with pytest.raises(InputError) as caught:
        run(make(), [nodes[0], TextNode(id_="empty", text="")])
    assert str(caught.value).endswith("to get a zero embedding in its place. Nodes: 'empty'.")


def test_an_error_names_the_documents_of_the_nodes(make, embeddings_gateway, run):
    embeddings_gateway.trouble("refuse_text", contains="bad", times=None)
    nodes = [
        TextNode(
            id_=f"node-{number}", text=text, relationships={NodeRelationship.SOURCE: RelatedNodeInfo(node_id=document)}
        )
        for number, (text, document) in enumerate([("good", "a"), ("bad 1", "b"), ("fine", "b"), ("bad 2", "b")])
    ]
    with pytest.raises(InvalidRequestError) as caught:
        run(make(), nodes)
    assert str(caught.value).endswith(" Nodes: 'node-1' and 'node-3'. Documents: 'b'.")
    assert "Pass resume=" not in str(caught.value)


def test_a_pipelines_keywords_for_other_transformations_are_none_of_ours(make, run):
    """A pipeline hands each transformation the keywords of all."""
    done = run(make(), [TextNode(text="a text")], of_another_transformation=True)
    assert len(done[0].embedding) == 64


class Kept(BaseEventHandler):
    """Keeps the events of embeddings."""

    events: list[Any] = Field(default_factory=list)

    def handle(self, event, **kwargs):
        if isinstance(event, (EmbeddingStartEvent, EmbeddingEndEvent)):
            self.events.append(event)


def test_observers_are_told_of_each_batch_once(make, batch):
    handler, debug = Kept(), LlamaDebugHandler(print_trace_on_end=False)
    get_dispatcher().add_event_handler(handler)
    try:
        rows = batch(make(callback_manager=CallbackManager([debug]), embed_batch_size=8), TEXTS)
        assert batch(make(), []) == []
    finally:
        get_dispatcher().event_handlers.remove(handler)
    start, end = handler.events
    assert start.model_dict["model_name"] == "openai/text-embedding-3-small"
    assert (end.chunks, end.embeddings) == (TEXTS, rows)
    assert start.span_id == end.span_id
    ((_, ended),) = debug.get_event_pairs(CBEventType.EMBEDDING)
    assert len(ended.payload["embeddings"]) == len(TEXTS)


def test_the_bar_moves_with_every_batch_and_shows_the_cost(make, batch, monkeypatch):
    steps, costs = [], []
    monkeypatch.setattr(tqdm, "update", lambda self, step=1: steps.append(step) or setattr(self, "n", self.n + step))
    monkeypatch.setattr(tqdm, "set_postfix_str", lambda self, text, **_: costs.append(text))
    embedder = make(batch_size=8)
    batch(embedder, TEXTS)
    assert steps == []
    embedder = make(batch_size=8)
    batch(embedder, TEXTS, show_progress=True)
    assert (len(steps), sum(steps)) == (5, 40)
    assert costs[-1] == f"{embedder.usage.cost:.4f} USD"
    assert all(re.fullmatch(r"\d+\.\d{4} USD", cost) for cost in costs)


def test_the_bar_comes_to_its_end_where_texts_are_empty(make, batch, monkeypatch):
    steps = []
    monkeypatch.setattr(tqdm, "update", lambda self, step=1: steps.append(step) or setattr(self, "n", self.n + step))
    batch(make(on_empty="zero", batch_size=8), ["", *TEXTS, ""], show_progress=True)
    assert sum(steps) == 42


def test_observers_are_told_what_was_spent_and_who_served_it_and_no_key(make, batch, embeddings_gateway):
    embeddings_gateway.trouble("status", status=503, retry_after=0.01)
    handler, debug = Kept(), LlamaDebugHandler(print_trace_on_end=False)
    get_dispatcher().add_event_handler(handler)
    embedder = make(callback_manager=CallbackManager([debug]), embed_batch_size=8)
    try:
        batch(embedder, TEXTS)
        spent = embedder.usage
        embedder.get_query_embedding("a query")
    finally:
        get_dispatcher().event_handlers.remove(handler)
    batched, query = [event for event in handler.events if isinstance(event, EmbeddingEndEvent)]
    assert batched.tags["usage"] == spent.to_dict()
    assert batched.tags["usage"]["retries"] == 1
    assert batched.tags["model_name"] == "openai/text-embedding-3-small"
    assert [len(event.tags["providers"]) for event in (batched, query)] == [1, 1]
    assert TEXTS[0] not in repr([event.tags for event in handler.events])
    assert TEXTS[0] not in repr([event.model_dict for event in handler.events if hasattr(event, "model_dict")])
    assert (query.tags["usage"]["requests"], query.tags["usage"]["cost"] > 0) == (1, True)
    (_, ended), _ = debug.get_event_pairs(CBEventType.EMBEDDING)
    assert ended.payload["usage"] == spent.to_dict()
    assert ended.payload["providers"] == batched.tags["providers"]
    assert "canary" not in repr(handler.events) + repr(ended.payload)


async def test_six_methods_agree(make):
    embedder = make()
    texts = ["first text", "second text"]
    both = embedder._get_text_embeddings(texts)
    assert [len(row) for row in both] == [64, 64]
    assert all(type(number) is float for number in both[0])
    assert await embedder._aget_text_embeddings(texts) == both
    assert embedder._get_text_embedding("first text") == both[0]
    assert await embedder._aget_text_embedding("second text") == both[1]
    assert embedder._get_query_embedding("first text") == await embedder._aget_query_embedding("first text")


async def test_no_texts_are_no_request(make, embeddings_gateway):
    embedder = make()
    assert embedder._get_text_embeddings([]) == []
    assert await embedder._aget_text_embeddings([]) == []
    assert embedder.get_text_embedding_batch([]) == []
    assert await embedder.aget_text_embedding_batch([]) == []
    assert embeddings_gateway.embedding_requests() == []
