"""The constructor: LlamaIndex's words and the core's, each with its one meaning."""

from __future__ import annotations

import copy
import json
import pickle
from dataclasses import fields
from typing import get_type_hints

import httpx
import pytest
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.storage.kvstore import SimpleKVStore
from pydantic import BaseModel, TypeAdapter, ValidationError

from llama_index.embeddings.openrouter import OpenRouterEmbedding
from openrouter_embeddings import BudgetExceededError, ClientOptions, ConfigurationError, MemoryCache, Options, Usage
from openrouter_embeddings.options import meaning_of

from .conftest import Counting

MARKED = "qwen/qwen3-embedding-8b"
KEY = "sk-or-canary-5150"


def test_it_is_a_llama_index_embedding():
    assert BaseEmbedding.__name__ in [base.__name__ for base in OpenRouterEmbedding.__mro__]
    assert OpenRouterEmbedding.class_name() == "OpenRouterEmbedding"


TYPED_OTHERWISE = {
    "api_key": "pydantic knows its own SecretStr",
    "extra_headers": "likewise",
    "provider": "pydantic would copy a TypedDict without what it does not know; the core checks it",
    "cache": "pydantic cannot check a protocol",
    "on_empty": "an embedding is a list of floats, never None",
    "limiter": "alive",
    "before_request": "alive",
    "http_client": "alive",
    "async_http_client": "alive",
}


def test_the_fields_are_the_cores_options_with_its_types_defaults_and_meanings():
    mine = OpenRouterEmbedding.model_fields
    types = get_type_hints(ClientOptions, localns={"httpx": httpx})
    theirs = BaseEmbedding.model_fields.keys() | {"rate_limiter"}  # older ones have none
    assert mine.keys() - theirs == types.keys() - {"on_error"}
    for option in fields(Options):
        name = option.name
        if name in {"model", "on_error"}:
            continue
        assert mine[name].default == option.default, name
        assert mine[name].description == option.metadata["meaning"] or name == "on_empty", name
        if name not in TYPED_OTHERWISE:
            assert mine[name].annotation == types[name], name


def test_the_json_schema_shows_meanings_and_choices():
    schema = OpenRouterEmbedding.model_json_schema()["properties"]
    assert schema["timeout"]["description"] == meaning_of("timeout")
    assert schema["on_too_long"]["enum"] == ["error", "truncate", "average"]
    assert schema["encoding_format"]["enum"] == ["auto", "base64", "float"]


def test_none_leaves_an_option_at_its_default():
    embedder = OpenRouterEmbedding(MARKED, timeout=None, on_empty=None, num_workers=None, embed_batch_size=None)
    assert (embedder.timeout, embedder.on_empty, embedder.client.options.timeout) == (60.0, "error", 60.0)
    embedder.timeout = None
    assert embedder.client.options.timeout == 60.0


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


def test_two_words_for_one_thing_are_refused(make):
    for options, says in (
        ({"cache": MemoryCache(), "embeddings_cache": SimpleKVStore()}, "embeddings_cache= and cache= do the same."),
        ({"before_request": print, "rate_limiter": Counting()}, "rate_limiter= and before_request= do the same."),
        ({"limiter": Counting(), "rate_limiter": Counting()}, "rate_limiter= and limiter= do the same."),
        ({"rate_limiter": object()}, "rate_limiter has no acquire: object."),
    ):
        with pytest.raises(ConfigurationError) as caught:
            make(**options)
        assert says in str(caught.value)


def test_a_refusal_inside_a_model_of_the_users_names_the_field_and_shows_no_value():
    class Settings(BaseModel):
        embed_model: OpenRouterEmbedding

    with pytest.raises(ValidationError) as caught:
        Settings(embed_model={"model_name": MARKED, "api_key": "sk-or-canary-5150", "timeout": 0})
    (line,) = caught.value.errors()
    assert line["loc"] == ("embed_model", "timeout")
    assert "canary" not in str(caught.value) + str(caught.value.errors())


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"api_key": [KEY]}, "api_key takes a string, a SecretStr or a callable, not list."),
        ({"api_key": {"value": KEY}}, "api_key takes a string, a SecretStr or a callable, not dict."),
        ({"api_key": "café" + KEY}, "api_key holds characters that no header can carry (it)."),
        ({"api_key": KEY + "\nx"}, "api_key holds a line break or control character (it)"),
        ({"extra_headers": {"x-token": [KEY]}}, "extra_headers['x-token'] must be a string, not list."),
        ({"extra_headers": {"x-token": KEY, "x": 5}}, "extra_headers['x'] must be a string, not int."),
        ({"api_keys": KEY}, "Option 'api_keys' is unknown. Did you mean 'api_key'?"),
    ],
)
def test_a_key_that_is_itself_refused_is_not_shown(options, says):
    """pydantic's own error would hold the whole dict, key and all, as the input that was refused."""
    with pytest.raises(ConfigurationError) as caught:
        OpenRouterEmbedding(MARKED, **options)
    assert str(caught.value).startswith(says)
    assert KEY not in str(caught.value) + repr(caught.value)

    class Settings(BaseModel):
        embed_model: OpenRouterEmbedding

    given = {"embed_model": {"model_name": MARKED, **options}}
    for refused in (
        lambda: Settings(**given),
        lambda: Settings.model_validate_json(json.dumps(given)),
        lambda: TypeAdapter(dict[str, OpenRouterEmbedding]).validate_python(given),
    ):
        with pytest.raises(ValidationError) as caught:
            refused()
        (line,) = caught.value.errors()
        assert line["loc"][0] == "embed_model"
        assert line["msg"].startswith(says)
        for shown in (str(caught.value), repr(caught.value), str(caught.value.errors()), caught.value.json()):
            assert KEY not in shown
        assert caught.value.__context__ is caught.value.__cause__ is None


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
        {"timeout": "long"},
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


def test_no_way_leads_to_rows_without_an_embedding(make):
    embedder = make()
    with pytest.raises(ConfigurationError, match="stores take no None"):
        _ = embedder.model_copy(update={"on_empty": "null"}).client
    embedder.on_empty = "null"
    with pytest.raises(ConfigurationError, match="stores take no None"):
        embedder.get_text_embedding("a text")
    with pytest.raises(ConfigurationError, match="'on_error' is not taken: here an embedding is a list of floats"):
        make(on_error="null")


def test_an_assigned_option_takes_effect(make):
    embedder = make()
    assert len(embedder.get_text_embedding("a text")) == 64
    embedder.dimensions = 32
    assert len(embedder.get_text_embedding("a text")) == 32
    assert len(embedder.model_copy(update={"dimensions": 16}).get_text_embedding("a text")) == 16


def test_totals_and_budget_go_on_when_an_option_is_assigned(make):
    cost = make().client.embed_documents(["a text"]).usage.cost
    embedder = make(max_cost=1.5 * cost)
    for timeout in (30.0, 31.0):
        embedder.timeout = timeout
        embedder.get_text_embedding("a text")
    assert embedder.usage.requests == 2
    assert embedder.usage.cost == pytest.approx(2 * cost)
    embedder.timeout = 32.0
    with pytest.raises(BudgetExceededError):
        embedder.get_text_embedding("a text")
    assert copy.deepcopy(embedder).usage == pickle.loads(pickle.dumps(embedder)).usage == Usage()


@pytest.mark.parametrize(
    ("method", "given"),
    [
        ("get_query_embedding", "a"),
        ("get_text_embedding", "a"),
        ("aget_query_embedding", "a"),
        ("aget_text_embedding", "a"),
        ("get_text_embedding_batch", ["a"]),
        ("aget_text_embedding_batch", ["a"]),
    ],
)
@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("chunk_size", "chunk_size= is no keyword of a call. Pass batch_size= when the object is made."),
        ("show_progress_bar", "show_progress_bar= is called show_progress= in the methods that take many texts."),
    ],
)
async def test_a_keyword_of_other_classes_is_answered_by_every_method(make, method, given, word, says):
    with pytest.raises(ConfigurationError) as caught:
        answer = getattr(make(), method)(given, **{word: 5})
        if method.startswith("a"):
            await answer
    assert str(caught.value) == says
