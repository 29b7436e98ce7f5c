"""Options about money and odd texts, as LangChain's stores meet them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.vectorstores import InMemoryVectorStore

from langchain_openrouter_embeddings import OpenRouterEmbeddings
from openrouter_embeddings import BudgetExceededError, MemoryCache

if TYPE_CHECKING:
    from openrouter_embeddings_gateway import LocalGateway

Make = Callable[..., OpenRouterEmbeddings]

TEXTS = [f"text number {number}" for number in range(12)]


@pytest.fixture(params=["sync", "async"])
def add(request: pytest.FixtureRequest) -> Callable[[InMemoryVectorStore, list[str]], list[str]]:
    """Add texts to a store, once in each colour."""

    def added(store: InMemoryVectorStore, texts: list[str]) -> list[str]:
        return store.add_texts(texts) if request.param == "sync" else asyncio.run(store.aadd_texts(texts))

    return added


def test_a_store_that_is_built_again_costs_nothing(make: Make, gateway: LocalGateway, tmp_path: Path, add: Any):
    for _ in range(2):
        model = make(cache=str(tmp_path / "embeddings.sqlite"))
        add(InMemoryVectorStore(model), TEXTS)
    assert gateway.paid_inputs() == len(TEXTS)
    assert model.usage.cached == len(TEXTS)


def test_queries_are_cached_apart_from_documents(make: Make, gateway: LocalGateway):
    """LangChain's own CacheBackedEmbeddings would hand the document's embedding to a query."""
    model = make(cache=MemoryCache())
    (document,) = model.embed_documents(["a"])
    assert model.embed_query("a") == model.embed_query("a") != document
    assert gateway.paid_inputs() == 2


def test_the_limit_on_cost_keeps_what_landed(make: Make, gateway: LocalGateway, add: Any):
    probe = make(batch_size=3)
    probe.embed_documents(TEXTS[:3])
    price = probe.usage.cost
    model = make(batch_size=3, max_concurrency=1, max_cost=2.5 * price)
    with pytest.raises(BudgetExceededError) as caught:
        add(InMemoryVectorStore(model), TEXTS)
    assert caught.value.partial.positions_done == tuple(range(6))
    assert 0 < model.usage.cost <= 2.5 * price


def test_an_empty_page_is_found_by_nobody_and_stops_nobody(make: Make, add: Any):
    store = InMemoryVectorStore(make(on_empty="zero"))
    add(store, ["Copy a whole directory tree.", "", "Turn a string into a date."])
    found = store.similarity_search_with_score("Copy a whole directory tree.", k=3)
    assert found[0][0].page_content == "Copy a whole directory tree."
    assert [score for document, score in found if not document.page_content] == [0.0]


def test_a_path_is_in_the_dump_and_an_object_is_not(tmp_path: Path):
    file = tmp_path / "embeddings.sqlite"
    for cache, shown in ((str(file), str(file)), (file, str(file)), (MemoryCache(), None)):
        model = OpenRouterEmbeddings(model="a/b", cache=cache)
        assert json.loads(model.model_dump_json())["cache"] == shown
        assert model.model_dump()["cache"] is cache
        assert OpenRouterEmbeddings.model_validate_json(model.model_dump_json()).cache == shown
        assert model.model_copy().cache is model.model_copy(deep=True).cache is cache
