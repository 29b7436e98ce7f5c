"""LangGraph's memories in a database: kept, found by what they mean, changed, and found again by the next process."""

from __future__ import annotations

import asyncio
import math
from typing import TypedDict

import pytest
from langgraph.graph import END, START, StateGraph
from langgraph.store.base import BaseStore

from langchain_openrouter_embeddings import OpenRouterEmbeddings, track_usage
from openrouter_embeddings import InputError

from .langgraph_stores import ASYNC, SYNC, in_postgres, in_postgres_async

ANNA = ("anna", "memories")
TOLD = {
    "nuts": "My daughter is allergic to peanuts.",
    "bread": "I bake bread with rye flour on Sundays.",
    "train": "My train to work leaves at seven in the morning.",
}
ASKED = {
    "Which nuts must we keep out of the food?": "nuts",
    "What do I bake?": "bread",
    "When do I leave for work?": "train",
}
# Embeddings have length 1, so this is the cosine; but that of zeros is no number, and their inner product is 0.
INNER_PRODUCT = {"postgres": {"distance_type": "inner_product"}, "sqlite": {}}


@pytest.fixture
def embeddings(options):
    return OpenRouterEmbeddings(**options)


def tell(store, told):
    for key, text in told.items():
        store.put(ANNA, key, {"text": text})


async def atell(store, told):
    await asyncio.gather(*[store.aput(ANNA, key, {"text": text}) for key, text in told.items()])


def recalled(store, question, limit=10):
    return [item.key for item in store.search(ANNA, query=question, limit=limit)]


async def arecalled(store, question, limit=10):
    return [item.key for item in await store.asearch(ANNA, query=question, limit=limit)]


@pytest.mark.parametrize("kind", SYNC)
def test_a_memory_is_found_by_what_it_means_now_and_by_who_opens_the_store_next(
    kind, embeddings, embeddings_gateway, tmp_path
):
    with SYNC[kind](tmp_path / "store", embeddings) as store:
        tell(store, TOLD)
        assert {question: recalled(store, question)[0] for question in ASKED} == ASKED
        paid = embeddings_gateway.paid_inputs()
        tell(store, {"bread": "I have taken up sailing."})
        assert embeddings_gateway.paid_inputs() == paid + 1
    embeddings_gateway.reset()
    with SYNC[kind](tmp_path / "store", embeddings) as again:
        assert recalled(again, "Which boats do I sail?")[0] == "bread"
        assert recalled(again, "When do I leave for work?")[0] == "train"
        assert again.get(ANNA, "bread").value == {"text": "I have taken up sailing."}
    assert embeddings_gateway.paid_inputs() == 2, "the questions"


@pytest.mark.parametrize("kind", ASYNC)
async def test_the_async_stores_find_the_same(kind, embeddings, embeddings_gateway, tmp_path):
    async with ASYNC[kind](tmp_path / "store", embeddings) as store:
        await atell(store, TOLD)
        assert len(embeddings_gateway.embedding_requests()) == 1, "what is told at once is embedded at once"
        assert {question: (await arecalled(store, question))[0] for question in ASKED} == ASKED
        await atell(store, {"bread": "I have taken up sailing."})
    embeddings_gateway.reset()
    async with ASYNC[kind](tmp_path / "store", embeddings) as again:
        assert (await arecalled(again, "Which boats do I sail?"))[0] == "bread"
        assert (await arecalled(again, "When do I leave for work?"))[0] == "train"
    assert embeddings_gateway.paid_inputs() == 2, "the questions"


@pytest.mark.parametrize("kind", SYNC)
def test_a_memory_without_text_is_kept_and_found_last(kind, options, tmp_path):
    embeddings = OpenRouterEmbeddings(**options, on_empty="zero")
    with SYNC[kind](tmp_path / "store", embeddings, **INNER_PRODUCT[kind]) as store:
        tell(store, {"empty": "", **TOLD})
        assert store.get(ANNA, "empty").value == {"text": ""}
        for question, key in ASKED.items():
            found = recalled(store, question)
            assert (found[0], len(found)) == (key, 4)
        assert recalled(store, "What do I bake?")[-1] == "empty"


@pytest.mark.parametrize("kind", ASYNC)
async def test_a_memory_without_text_is_kept_and_found_last_by_the_async_stores(kind, options, tmp_path):
    embeddings = OpenRouterEmbeddings(**options, on_empty="zero")
    async with ASYNC[kind](tmp_path / "store", embeddings, **INNER_PRODUCT[kind]) as store:
        await atell(store, {"empty": "", **TOLD})
        assert (await store.aget(ANNA, "empty")).value == {"text": ""}
        found = await arecalled(store, "What do I bake?")
        assert (found[0], found[-1]) == ("bread", "empty")


def test_by_pgvectors_cosine_zeros_are_no_number_and_come_first(options, tmp_path):
    """Why our pages ask for the inner product. The store's default is the cosine; PostgreSQL sorts NaN above all."""
    embeddings = OpenRouterEmbeddings(**options, on_empty="zero")
    with in_postgres(tmp_path / "store", embeddings) as store:
        tell(store, {"empty": "", **TOLD})
        first, second, *_ = store.search(ANNA, query="What do I bake?")
        assert (first.key, second.key) == ("empty", "bread")
        assert math.isnan(first.score)
        # Where more is stored than is looked at, the zeros are not seen.
        assert recalled(store, "What do I bake?", limit=1) == ["bread"]


@pytest.mark.parametrize("kind", ASYNC)
async def test_what_is_told_at_once_is_lost_at_once_where_an_empty_text_is_an_error(kind, embeddings, tmp_path):
    """Why our pages ask for zeros: one empty message, and no memory of the same moment is kept."""
    async with ASYNC[kind](tmp_path / "store", embeddings) as store:
        with pytest.raises(InputError, match="on_empty='zero'"):
            await atell(store, {"empty": "", **TOLD})
        assert [await store.aget(ANNA, key) for key in TOLD] == [None] * len(TOLD)


@pytest.mark.parametrize("kind", SYNC)
def test_a_question_reaches_the_model_as_a_document(kind, embeddings, embeddings_gateway, tmp_path):
    """The stores call `embed_documents` for it (langchain-ai/langgraph#9007): the model's mark is the caller's to write."""
    with SYNC[kind](tmp_path / "store", embeddings) as store:
        tell(store, TOLD)
        store.search(ANNA, query="What do I bake?")
    assert embeddings_gateway.embedding_requests()[-1].body["input"] == ["What do I bake?"]


class State(TypedDict, total=False):
    message: str
    memory: str


def assistant(recall, store):
    """Return a graph of one node."""
    graph = StateGraph(State)
    graph.add_node("recall", recall)
    graph.add_edge(START, "recall")
    graph.add_edge("recall", END)
    return graph.compile(store=store)


def recall(state: State, *, store: BaseStore) -> State:
    return {"memory": recalled(store, state["message"], limit=1)[0]}


async def arecall(state: State, *, store: BaseStore) -> State:
    return {"memory": (await arecalled(store, state["message"], limit=1))[0]}


MESSAGES = [{"message": question} for question in ASKED] * 5


def test_many_runs_of_a_graph_recall_in_threads(embeddings, tmp_path):
    with in_postgres(tmp_path / "store", embeddings) as store:
        tell(store, TOLD)
        said = assistant(recall, store).batch(MESSAGES)
    assert [state["memory"] for state in said] == [*ASKED.values()] * 5


@pytest.mark.parametrize("node", [recall, arecall])
async def test_many_runs_of_a_graph_recall_on_one_event_loop(node, embeddings, tmp_path):
    """A node that is no coroutine runs in a thread, and the store has its question embedded on the loop."""
    async with in_postgres_async(tmp_path / "store", embeddings) as store:
        await atell(store, TOLD)
        said = await assistant(node, store).abatch(MESSAGES)
    assert [state["memory"] for state in said] == [*ASKED.values()] * 5


@pytest.mark.parametrize("kind", ASYNC)
async def test_what_an_async_store_spends_is_counted_by_the_embeddings_and_by_no_block(kind, embeddings, tmp_path):
    """It embeds in a task that began with the store, outside of the block."""
    async with ASYNC[kind](tmp_path / "store", embeddings) as store:
        with track_usage() as usage:
            await atell(store, TOLD)
            await arecalled(store, "What do I bake?")
    assert (embeddings.usage.requests, usage.requests) == (2, 0)


@pytest.mark.parametrize("kind", SYNC)
def test_what_a_sync_store_spends_is_counted_by_a_block_too(kind, embeddings, tmp_path):
    with SYNC[kind](tmp_path / "store", embeddings) as store, track_usage() as usage:
        store.put(ANNA, "nuts", {"text": TOLD["nuts"]})
        recalled(store, "What do I bake?")
    assert embeddings.usage.requests == usage.requests == 2
