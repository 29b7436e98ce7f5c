"""In LangGraph's hands: its retries, its memories, and the constructor by name that knows nobody new.

Memories in a database, PostgreSQL or SQLite, are in tests/stores/test_langgraph.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypedDict

import pytest

pytest.importorskip("langgraph", reason="not in the lane of lowest versions")

from langchain.embeddings import init_embeddings
from langgraph.graph import END, START, StateGraph
from langgraph.store.memory import InMemoryStore
from langgraph.types import RetryPolicy

from langchain_openrouter_embeddings import OpenRouterEmbeddings, track_usage
from openrouter_embeddings import InputError, InsufficientCreditsError

if TYPE_CHECKING:
    from openrouter_embeddings_gateway import LocalGateway

Make = Callable[..., OpenRouterEmbeddings]


class State(TypedDict):
    text: str
    width: int


def graph_of(model: OpenRouterEmbeddings) -> tuple[Any, list[str]]:
    """Return a graph of one node that embeds, with the retries that our README shows, and the log of its runs."""
    runs: list[str] = []

    def embed(state: State) -> dict[str, int]:
        runs.append(state["text"])
        return {"width": len(model.embed_query(state["text"]))}

    again = RetryPolicy(retry_on=lambda error: getattr(error, "retryable", False), initial_interval=0.0, jitter=False)
    graph = StateGraph(State)
    graph.add_node("embed", embed, retry_policy=again)
    graph.add_edge(START, "embed")
    graph.add_edge("embed", END)
    return graph.compile(), runs


def test_a_node_is_run_again_where_that_may_help(make: Make, gateway: LocalGateway):
    gateway.trouble("status", status=500, times=1)
    graph, runs = graph_of(make(max_retries=0))
    assert graph.invoke({"text": "a"})["width"] == 64
    assert runs == ["a", "a"]


def test_a_node_is_not_run_again_where_it_cannot_help(make: Make, gateway: LocalGateway):
    gateway.trouble("status", status=402, times=None)
    graph, runs = graph_of(make())
    with pytest.raises(InsufficientCreditsError):
        graph.invoke({"text": "a"})
    assert runs == ["a"]


MARK = "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery:"
NOTES = ("notes",)


def memory(model: OpenRouterEmbeddings) -> InMemoryStore:
    """Return a store in memory, as wide as the embeddings are."""
    return InMemoryStore(index={"embed": model, "dims": model.client.dimensions, "fields": ["text"]})


def test_a_memory_is_found_by_what_it_means_now(make: Make, gateway: LocalGateway):
    store = memory(make(dimensions=None))
    store.put(NOTES, "bread", {"text": "The user bakes bread."})
    store.put(NOTES, "boat", {"text": "The user sails a boat."})
    assert store.search(NOTES, query="Who bakes bread?")[0].key == "bread"
    assert [request.body["input"] for request in gateway.embedding_requests()] == [
        ["The user bakes bread."],
        ["The user sails a boat."],
        [f"{MARK}Who bakes bread?"],
    ]
    store.put(NOTES, "bread", {"text": "The user plants tomatoes."})
    assert store.search(NOTES, query="Who plants tomatoes?")[0].key == "bread"
    assert store.search(NOTES, query="Who sails a boat?")[0].key == "boat"


async def test_a_memory_is_found_by_what_it_means_now_on_an_event_loop(make: Make, gateway: LocalGateway):
    model = make(dimensions=None)
    store = memory(model)
    await store.aput(NOTES, "bread", {"text": "The user bakes bread."})
    await store.aput(NOTES, "boat", {"text": "The user sails a boat."})
    with track_usage() as usage:
        assert (await store.asearch(NOTES, query="Who bakes bread?"))[0].key == "bread"
    assert usage.requests == 1
    assert gateway.embedding_requests()[-1].body["input"] == [f"{MARK}Who bakes bread?"]
    await store.aput(NOTES, "bread", {"text": "The user plants tomatoes."})
    assert (await store.asearch(NOTES, query="Who plants tomatoes?"))[0].key == "bread"
    assert (await store.asearch(NOTES, query="Who sails a boat?"))[0].key == "boat"
    await model.async_client.aclose()


def test_a_memory_without_text_is_kept_where_empty_texts_are_zeros(make: Make):
    store = memory(make(on_empty="zero", dimensions=None))
    store.put(NOTES, "empty", {"text": ""})
    store.put(NOTES, "bread", {"text": "The user bakes bread."})
    assert store.get(NOTES, "empty").value == {"text": ""}
    assert [item.key for item in store.search(NOTES, query="Who bakes bread?")] == ["bread", "empty"]


async def test_a_memory_without_text_is_kept_on_an_event_loop_too(make: Make):
    model = make(on_empty="zero", dimensions=None)
    store = memory(model)
    await store.aput(NOTES, "empty", {"text": ""})
    await store.aput(NOTES, "bread", {"text": "The user bakes bread."})
    assert (await store.aget(NOTES, "empty")).value == {"text": ""}
    assert [item.key for item in await store.asearch(NOTES, query="Who bakes bread?")] == ["bread", "empty"]
    await model.async_client.aclose()


async def test_a_memory_without_text_is_an_error_that_says_so_otherwise(make: Make):
    store = memory(make())
    with pytest.raises(InputError, match="on_empty='zero'"):
        store.put(NOTES, "empty", {"text": ""})
    with pytest.raises(InputError, match="on_empty='zero'"):
        await store.aput(NOTES, "empty", {"text": ""})
    assert store.get(NOTES, "empty") is None


def test_init_embeddings_knows_only_its_own_and_a_store_takes_the_object(make: Make):
    """There is no hook for others: the day there is one, this test asks for it to be used."""
    with pytest.raises(ValueError, match="openrouter"):
        init_embeddings("openrouter:qwen/qwen3-embedding-8b")
    with pytest.raises(ValueError, match="openrouter"):
        InMemoryStore(index={"embed": "openrouter:qwen/qwen3-embedding-8b", "dims": 64})
