"""`track_usage` around LangChain's own callers: what a block of an application spends, whichever threads it uses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.runnables import RunnableLambda, RunnableParallel
from langchain_core.runnables.config import run_in_executor
from langchain_core.vectorstores import InMemoryVectorStore, VectorStoreRetriever

from langchain_openrouter_embeddings import OpenRouterEmbeddings, track_usage

Make = Callable[..., OpenRouterEmbeddings]

TEXTS = ["Copy a whole directory tree.", "Turn a string into a date.", "Pick a random element."]
QUESTIONS = ["How do I copy a folder?", "What day is it?", "Who wins the lottery?"]


@pytest.fixture
def store(make: Make) -> InMemoryVectorStore:
    return InMemoryVectorStore.from_texts(TEXTS, make())


@pytest.fixture
def retriever(store: InMemoryVectorStore) -> VectorStoreRetriever:
    return store.as_retriever(search_kwargs={"k": 1})


def test_a_store_is_counted(make: Make):
    model = make()
    store = InMemoryVectorStore(model)
    with track_usage() as usage:
        store.add_texts(TEXTS)
        store.similarity_search(QUESTIONS[0])
    assert usage.total == model.usage
    assert (usage.requests, usage.cost > 0) == (2, True)


async def test_a_store_is_counted_by_its_async_methods_too(make: Make):
    model = make()
    store = InMemoryVectorStore(model)
    with track_usage() as usage:
        await store.aadd_texts(TEXTS)
        await store.asimilarity_search(QUESTIONS[0])
    assert usage.total == model.usage
    assert usage.requests == 2


def test_a_batch_of_queries_is_counted_over_its_threads(retriever: VectorStoreRetriever):
    with track_usage() as usage:
        retriever.batch(QUESTIONS)
    assert usage.requests == 3


async def test_a_batch_of_queries_is_counted_over_its_tasks(retriever: VectorStoreRetriever):
    with track_usage() as usage:
        await retriever.abatch(QUESTIONS)
    assert usage.requests == 3


async def test_parallel_branches_are_counted(make: Make, retriever: VectorStoreRetriever):
    other = InMemoryVectorStore.from_texts(TEXTS, make(model="openai/text-embedding-3-small")).as_retriever()
    both = RunnableParallel(one=retriever, other=other)
    with track_usage() as sync_usage:
        both.invoke(QUESTIONS[0])
    with track_usage() as async_usage:
        await both.ainvoke(QUESTIONS[1])
    assert (sync_usage.requests, async_usage.requests) == (2, 2)


async def test_a_sync_method_in_langchains_executor_is_counted(make: Make):
    """So do the stores without async methods of their own, as Chroma and Qdrant."""
    model = make()
    with track_usage() as usage:
        await run_in_executor(None, model.embed_query, QUESTIONS[0])
    assert usage.requests == 1


def test_a_step_of_a_chain_has_its_own_block(retriever: VectorStoreRetriever):
    """As a tool or a node of a graph does that reports what it has spent."""
    steps: list[int] = []

    def step(question: str) -> Any:
        with track_usage() as usage:
            found = retriever.invoke(question)
        steps.append(usage.requests)
        return found

    with track_usage() as whole:
        RunnableLambda(step).batch(QUESTIONS)
    assert (steps, whole.requests) == ([1, 1, 1], 3)
