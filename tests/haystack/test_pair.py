"""A document embedder and the text embedder that it makes: one client, so one limit, one cache, one total."""

from __future__ import annotations

from typing import Any

import pytest
from haystack import Document

from haystack_integrations.components.embedders.openrouter_embeddings import OpenRouterTextEmbedder
from openrouter_embeddings import BudgetExceededError, InputError, MemoryCache

from .conftest import MARKED

DOCUMENT = Document(content="a whole directory")


def test_it_embeds_queries_with_the_same_options(call: Any, documents_embedder: Any, text_embedder: Any) -> None:
    options = {"model": MARKED, "dimensions": 64}
    pair = documents_embedder(**options, prefix="passage: ", meta_fields_to_embed=["title"]).text_embedder()
    assert type(pair) is OpenRouterTextEmbedder
    assert (pair.input_type, pair.prefix, pair.model, pair.dimensions) == ("query", "", MARKED, 64)
    assert call(pair, text="a")["embedding"] == text_embedder(**options).run("a")["embedding"]
    assert pair.to_dict() == text_embedder(**options).to_dict()


def test_both_count_and_cache_together(call: Any, documents_embedder: Any, gateway: Any) -> None:
    documents = documents_embedder(cache=MemoryCache(), max_cost=1.0)
    pair = documents.text_embedder(prefix="question: ")
    call(pair, text="a")
    documents.run([DOCUMENT])
    assert pair.client is documents.client
    assert pair.usage == documents.usage
    assert documents.usage.requests == 2
    assert call(pair, text="a")["meta"]["usage"]["cached"] == 1
    assert gateway.embedding_requests()[0].body["input"] == ["question: a"]


def test_the_limit_on_cost_is_one_for_both(call: Any, documents_embedder: Any, gateway: Any) -> None:
    price = documents_embedder().run([DOCUMENT])["meta"]["usage"]["cost"]
    documents = documents_embedder(max_cost=1.2 * price)
    documents.run([DOCUMENT])
    with pytest.raises(BudgetExceededError):
        call(documents.text_embedder(), text="another text of about the same length")


def test_an_empty_query_is_refused_though_the_client_lets_it_through(call: Any, documents_embedder: Any) -> None:
    pair = documents_embedder(raise_on_failure=False).text_embedder()
    with pytest.raises(InputError):
        call(pair, text="")
    zero = documents_embedder(raise_on_failure=False, on_empty="zero", dimensions=8).text_embedder()
    assert call(zero, text="")["embedding"] == [0.0] * 8
