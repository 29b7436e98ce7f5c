"""Each framework method is one core call: right side, right order, right words."""

from __future__ import annotations

import asyncio

import pytest
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.storage.kvstore import SimpleKVStore

from llama_index.embeddings.openrouter import OpenRouterEmbedding
from openrouter_embeddings import ClientOptions, ConfigurationError, InsufficientCreditsError, InvalidRequestError

MARKED = "qwen/qwen3-embedding-8b"


def test_it_is_a_llama_index_embedding():
    assert BaseEmbedding.__name__ in [base.__name__ for base in OpenRouterEmbedding.__mro__]
    assert OpenRouterEmbedding.class_name() == "OpenRouterEmbedding"


def test_it_takes_every_option_of_the_client():
    """A new option of the core is an option here: nothing to remember, this test does."""
    options = set(ClientOptions.__annotations__)
    fields = set(OpenRouterEmbedding.model_fields) - set(BaseEmbedding.model_fields)
    assert fields == options


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


async def test_query_differs_from_document_for_a_marked_model(make):
    embedder = make(model_name=MARKED)
    assert embedder.get_query_embedding("a text") != embedder.get_text_embedding("a text")
    assert await embedder.aget_query_embedding("a text") != await embedder.aget_text_embedding("a text")


async def test_query_equals_document_for_an_unmarked_model(make):
    embedder = make()
    assert embedder.get_query_embedding("a text") == embedder.get_text_embedding("a text")
    assert await embedder.aget_query_embedding("a text") == await embedder.aget_text_embedding("a text")


def test_sides_can_be_set(make, embeddings_gateway):
    embedder = make(model_name=MARKED, query_prefix="", document_input_type="passage")
    embedder.get_query_embedding("a text")
    embedder.get_text_embedding("a text")
    query, document = (one.body for one in embeddings_gateway.embedding_requests())
    assert query["input"] == ["a text"]
    assert document["input_type"] == "passage"


async def test_no_texts_are_no_request(make, embeddings_gateway):
    embedder = make()
    assert embedder._get_text_embeddings([]) == []
    assert await embedder._aget_text_embeddings([]) == []
    assert embedder.get_text_embedding_batch([]) == []
    assert await embedder.aget_text_embedding_batch([]) == []
    assert embeddings_gateway.embedding_requests() == []


def test_line_feeds_and_blanks_are_kept_byte_for_byte(make, embeddings_gateway):
    text = "  one\ntwo\r\n\tthree  "
    make().get_text_embedding(text)
    assert embeddings_gateway.embedding_requests()[0].body["input"] == [text]


def test_the_provider_preferences_arrive_verbatim(make, embeddings_gateway):
    provider = {"order": ["deepinfra"], "data_collection": "deny", "zdr": True, "allow_fallbacks": False}
    embedder = make(provider=provider, extra_body={"provider": {"sort": "price"}})
    embedder.get_text_embedding("a text")
    assert embeddings_gateway.embedding_requests()[0].body["provider"] == {**provider, "sort": "price"}


def test_order_survives_a_shuffled_answer(make, embeddings_gateway):
    texts = [f"text number {number}" for number in range(40)]
    straight = make().get_text_embedding_batch(texts)
    embeddings_gateway.trouble("shuffled", times=None)
    assert make().get_text_embedding_batch(texts) == straight


def test_the_window_is_planned_by_the_core(make, embeddings_gateway):
    embedder = make(batch_size=50)
    assert embedder.embed_batch_size == 8192
    assert len(embedder.get_text_embedding_batch([f"text {number}" for number in range(200)])) == 200
    assert [one.inputs for one in embeddings_gateway.embedding_requests()] == [50] * 4


async def test_concurrent_windows_stay_within_the_one_limit(make, embeddings_gateway):
    """The base class gathers windows without bound; the client's limit holds over all of them."""
    embeddings_gateway.trouble("slow", times=None, seconds=0.02)
    embedder = make(embed_batch_size=5, max_concurrency=3)
    texts = [f"text {number}" for number in range(200)]
    rows = await embedder.aget_text_embedding_batch(texts)
    assert rows == embedder.get_text_embedding_batch(texts)
    assert embeddings_gateway.max_in_flight() <= 3


@pytest.mark.parametrize("num_workers", [None, 3])
async def test_no_request_follows_a_fatal_error(make, embeddings_gateway, num_workers):
    """The base class lets sibling windows go on after the first failure; here they stop."""
    embedder = make(embed_batch_size=5, max_concurrency=2, num_workers=num_workers)
    embeddings_gateway.trouble("status", status=402, after=3, times=None)
    with pytest.raises(InsufficientCreditsError):
        await embedder.aget_text_embedding_batch([f"text {number}" for number in range(200)])
    await asyncio.sleep(0.3)
    assert len(embeddings_gateway.embedding_requests()) <= 6


async def test_what_is_on_its_way_lands_in_the_embeddings_cache(make, embeddings_gateway):
    store = SimpleKVStore()
    store.put("a text that was there before", {"id": [0.5]}, collection="embeddings")
    embedder = make(embed_batch_size=5, max_concurrency=1, embeddings_cache=store)
    embeddings_gateway.trouble("status", status=400, times=None, only_if_contains="refused")
    texts = ["refused", *(f"text {number}" for number in range(9))]
    with pytest.raises(InvalidRequestError):
        await embedder.aget_text_embedding_batch(texts)
    for _ in range(100):
        if store.get("text 8", collection="embeddings"):
            break
        await asyncio.sleep(0.05)
    assert store.get("text 8", collection="embeddings")


def test_usage_is_a_running_sum(make):
    embedder = make()
    assert embedder.usage.requests == 0
    embedder.get_text_embedding("a text")
    first = embedder.usage
    embedder.get_query_embedding("a text")
    assert first.requests == 1
    assert first.total_tokens > 0
    assert first.cost > 0
    assert embedder.usage == first + first


def test_model_and_api_base_are_other_words(make, embeddings_gateway):
    embedder = OpenRouterEmbedding(model=MARKED, api_base=embeddings_gateway.base_url)
    assert embedder.model_name == MARKED
    assert embedder.base_url == embeddings_gateway.base_url
    assert OpenRouterEmbedding(MARKED).model_name == MARKED
    assert OpenRouterEmbedding(MARKED, model=MARKED, base_url=None, api_base=None).model_name == MARKED
    assert OpenRouterEmbedding(MARKED, base_url=None, api_base="https://example.org").base_url == "https://example.org"


def test_an_unknown_keyword_is_refused_with_the_nearest_name():
    with pytest.raises(ConfigurationError) as caught:
        OpenRouterEmbedding(MARKED, dimension=64)
    assert str(caught.value) == (
        "Option 'dimension' is unknown. Did you mean 'dimensions'? "
        "A request field newer than this release goes under extra_body."
    )
    with pytest.raises(ConfigurationError) as caught:
        OpenRouterEmbedding(MARKED, zzz=1)
    assert str(caught.value) == (
        "Option 'zzz' is unknown. A request field newer than this release goes under extra_body."
    )


def test_two_answers_to_one_question_are_refused():
    with pytest.raises(ConfigurationError) as caught:
        OpenRouterEmbedding(MARKED, model="another/model")
    assert str(caught.value) == "model= and model_name= differ. Give one of them."


def test_a_missing_model_is_refused():
    with pytest.raises(ConfigurationError) as caught:
        OpenRouterEmbedding(dimensions=64)
    assert str(caught.value) == "No model. Pass model_name=..., e.g. 'qwen/qwen3-embedding-8b'."


@pytest.mark.parametrize(
    "wrong",
    [
        {"dimensions": 0},
        {"dimensions": "many"},
        {"dimensions": True},
        {"timeout": "60"},
        {"embed_batch_size": 0},
        {"embed_batch_size": -1},
        {"base_url": "ftp://example.org"},
        {"provider": {"data_colection": "deny"}},
        {"provider": "deepinfra"},
        {"gateway": "nowhere"},
    ],
    ids=repr,
)
def test_a_wrong_option_is_refused_at_construction_and_shows_no_key(wrong):
    with pytest.raises(ValueError) as caught:
        OpenRouterEmbedding(model_name=MARKED, api_key="sk-or-canary-5150", **wrong)
    assert "canary" not in str(caught.value)


def test_a_missing_key_is_named_at_first_use(make, embeddings_gateway):
    embedder = make(api_key=None)
    with pytest.raises(ConfigurationError, match="OPENROUTER_API_KEY"):
        embedder.get_text_embedding("a text")
    assert embeddings_gateway.embedding_requests() == []


def test_an_assigned_option_takes_effect(make):
    embedder = make()
    assert len(embedder.get_text_embedding("a text")) == 64
    embedder.dimensions = 32
    assert len(embedder.get_text_embedding("a text")) == 32
    assert len(embedder.model_copy(update={"dimensions": 16}).get_text_embedding("a text")) == 16
