"""What the constructor takes, refuses, shows and copies. No request is made here."""

from __future__ import annotations

import copy
import json
import pickle
import re
import threading
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, get_args, get_type_hints

import httpx
import pytest
from langchain_core.embeddings import Embeddings
from langchain_core.load import dumpd, dumps
from pydantic import BaseModel, SecretStr, TypeAdapter, ValidationError

import langchain_openrouter_embeddings
import openrouter_embeddings
from langchain_openrouter_embeddings import OpenRouterEmbeddings, __all__
from langchain_openrouter_embeddings._options import OpenRouterOptions
from openrouter_embeddings import INFRON, ClientOptions, ConfigurationError, MemoryCache, Options, ProviderPreferences
from openrouter_embeddings.options import meaning_of

MODEL = "qwen/qwen3-embedding-8b"
KEY = "sk-or-canary-5f1c9e"

COPIES = {
    "pickle": lambda one: pickle.loads(pickle.dumps(one)),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "model_copy": lambda one: one.model_copy(),
    "deep model_copy": lambda one: one.model_copy(deep=True),
}


@pytest.fixture(params=COPIES)
def copied(request: pytest.FixtureRequest) -> Any:
    return COPIES[request.param]


def test_the_package_offers_the_class_and_the_usage_of_a_block():
    assert __all__ == ["OpenRouterEmbeddings", "track_usage"]
    assert langchain_openrouter_embeddings.track_usage is openrouter_embeddings.track_usage
    assert issubclass(OpenRouterEmbeddings, Embeddings)
    # langchain-postgres refuses an embedder that has this method.
    assert not hasattr(OpenRouterEmbeddings, "embed_query_inline")


TYPED_OTHERWISE = {
    "model": "is no keyword of `Client`'s",
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
    mine = OpenRouterEmbeddings.model_fields
    types = get_type_hints(ClientOptions, localns={"httpx": httpx})
    taken = [option for option in fields(Options) if option.name != "on_error"]
    assert list(mine) == [option.name for option in taken]
    for option in taken:
        name, field = option.name, mine[option.name]
        assert field.description == option.metadata["meaning"] or name == "on_empty", name
        if name != "model":
            assert field.default == option.default, name
        if name not in TYPED_OTHERWISE:
            assert field.annotation == types[name], name
    assert mine["model"].is_required()


def test_the_constructors_signature_has_the_types_of_the_core():
    """Type checkers know each keyword, the provider preferences by their keys."""
    types = get_type_hints(OpenRouterOptions, localns={"httpx": httpx})
    assert types.keys() - {"openrouter_api_key", "openrouter_api_base"} == ClientOptions.__annotations__.keys()
    assert get_args(types["provider"])[0] is ProviderPreferences


def test_the_json_schema_shows_meanings_and_choices():
    schema = OpenRouterEmbeddings.model_json_schema()["properties"]
    assert schema["timeout"]["description"] == meaning_of("timeout")
    assert schema["on_too_long"]["enum"] == ["error", "truncate", "average"]
    assert schema["encoding_format"]["enum"] == ["auto", "base64", "float"]
    assert schema["compression"]["enum"] == ["auto", "gzip", "none"]
    assert schema["on_empty"]["enum"] == ["error", "zero"]


def test_every_option_reaches_the_core():
    given: dict[str, Any] = {
        "model": MODEL, "api_key": KEY, "gateway": replace(INFRON, caches_answers=True), "base_url": "https://eu.example.test/api/v1",
        "dimensions": 64, "provider": ProviderPreferences(order=["deepinfra"], data_collection="deny"),
        "user": "u-1", "session_id": "s-1", "trace": {"trace_id": "t-1"}, "query_input_type": "q",
        "document_input_type": "d", "query_prefix": "q: ", "document_prefix": "d: ", "encoding_format": "float",
        "normalize": True, "batch_size": 7, "batch_tokens": 900, "max_concurrency": 3, "timeout": 5, "max_retries": 2,
        "max_replays": 0, "server_cache": 60, "on_too_long": "average", "on_empty": "zero", "dimensions_fallback": True,
        "allow_plain_http": True, "profile": "qwen/qwen3-embedding-4b", "compression": "gzip", "call_timeout": 8.5,
        "coalesce_queries": True, "retry_timeout": 9.5, "max_cost": 0.25, "app_url": "https://app.example.test", "app_title": "App",
        "app_categories": ["cli-agent"],
        "extra_headers": {"x-a": "b", "x-b": SecretStr("c"), "x-c": lambda: "d"}, "extra_body": {"new": {"field": 1}},
        "limiter": threading.Semaphore(), "http_client": httpx.Client(), "async_http_client": httpx.AsyncClient(),
    }  # fmt: skip
    # limiter= stands for before_request=.
    assert given.keys() == {option.name for option in fields(Options)} - {"cache", "on_error", "before_request"}
    model = OpenRouterEmbeddings(**given)
    reached = model._client.options
    assert reached.api_key.get_secret_value() == KEY
    for name in given.keys() - {"api_key"}:
        assert getattr(reached, name) == getattr(model, name) == given[name], name
    given["http_client"].close()


@pytest.mark.parametrize("key", ["api_key", "openrouter_api_key"])
@pytest.mark.parametrize("base", ["base_url", "openrouter_api_base"])
def test_both_names_of_key_and_address_are_taken_and_can_be_read(key: str, base: str):
    model = OpenRouterEmbeddings(**{"model": MODEL, key: KEY, base: "https://eu.example.test/api/v1/"})
    assert model.api_key.get_secret_value() == model.openrouter_api_key.get_secret_value() == KEY
    assert model.base_url == model.openrouter_api_base == "https://eu.example.test/api/v1"


def test_the_constructor_is_shaped_as_init_embeddings_calls_it():
    """`init_embeddings("provider:model", **kwargs)` ends in `cls(model=model, **kwargs)`."""
    model_id = "nvidia/nemotron-3-embed-1b:free"
    model = OpenRouterEmbeddings(model=model_id, dimensions=8)
    assert (model.model, model.dimensions) == (model_id, 8)


def test_a_model_may_come_first_and_without_its_name():
    model = OpenRouterEmbeddings(MODEL, dimensions=8)
    assert (model.model, model.dimensions) == (MODEL, 8)
    assert pickle.loads(pickle.dumps(model)).model == copy.deepcopy(model).model == MODEL


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "No model. Pass model=..., e.g. 'qwen/qwen3-embedding-8b'."),
        (
            {"model": MODEL, "dimension": 8},
            (
                "Option 'dimension' is unknown. Did you mean 'dimensions'? "
                "A request field newer than this release goes under extra_body."
            ),
        ),
        (
            {"model": MODEL, "api_key": "a", "openrouter_api_key": "b"},
            "openrouter_api_key and api_key are the same option. Give one of them.",
        ),
        ({"model": MODEL, "dimensions": 0}, "dimensions must be at least 1, not 0."),
        ({"model": MODEL, "dimensions": True}, "dimensions takes a whole number, not True."),
        (
            {"model": MODEL, "provider": {"data_colection": "deny"}},
            (
                "Provider preference 'data_colection' is unknown. Did you mean 'data_collection'? "
                "Put fields newer than this release under extra_body."
            ),
        ),
    ],
)
def test_a_wrong_option_is_an_error_at_construction_that_says_what_to_write(options: dict[str, Any], message: str):
    with pytest.raises(ConfigurationError) as caught:
        OpenRouterEmbeddings(**options)
    assert str(caught.value) == message
    if "model" in options:
        with pytest.raises(ValueError, match=re.escape(message)):  # pydantic wraps it here
            OpenRouterEmbeddings.model_validate(options)


def test_a_key_that_is_missing_is_named_at_the_first_request():
    model = OpenRouterEmbeddings(model=MODEL)
    assert model.api_key is None
    with pytest.raises(ConfigurationError, match=r"Pass api_key=\.\.\. or set OPENROUTER_API_KEY\."):
        model.embed_query("a")


def test_none_leaves_key_and_address_to_the_environment(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OPENROUTER_API_KEY", KEY)
    monkeypatch.setenv("OPENROUTER_API_BASE", "https://eu.example.test/api/v1")
    model = OpenRouterEmbeddings(model=MODEL, api_key=None, openrouter_api_base=None)
    assert model.openrouter_api_key.get_secret_value() == KEY
    assert model.openrouter_api_base == "https://eu.example.test/api/v1"


def test_openrouters_key_does_not_go_to_another_gateway(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OPENROUTER_API_KEY", KEY)
    assert OpenRouterEmbeddings(model=MODEL, gateway="infron").api_key is None
    monkeypatch.setenv("INFRON_API_KEY", "infron-key")
    assert OpenRouterEmbeddings(model=MODEL, gateway="infron").api_key.get_secret_value() == "infron-key"


def test_a_callable_key_is_not_called_at_construction():
    calls: list[int] = []
    model = OpenRouterEmbeddings(model=MODEL, api_key=lambda: calls.append(1) or KEY)
    assert callable(model.api_key)
    assert calls == []


def test_a_key_from_the_environment_travels_as_the_variables_name(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OPENROUTER_API_KEY", KEY)
    pickled = pickle.dumps(OpenRouterEmbeddings(model=MODEL))
    assert KEY.encode() not in pickled
    monkeypatch.setenv("OPENROUTER_API_KEY", "the worker's own")
    assert pickle.loads(pickled).api_key.get_secret_value() == "the worker's own"


def test_two_that_are_unpickled_share_a_client_and_a_deep_copy_does_not():
    model = OpenRouterEmbeddings(model=MODEL)
    data = pickle.dumps(model)
    first, second = pickle.loads(data), pickle.loads(data)
    assert first.client._state is second.client._state is second.async_client._state
    assert first.client._state is not model.client._state
    assert copy.deepcopy(first).client._state is not first.client._state


def test_a_copy_has_the_same_options_and_a_client_of_its_own(copied: Any):
    model = OpenRouterEmbeddings(model=MODEL, api_key=KEY, dimensions=64, provider={"order": ["deepinfra"]})
    twin = copied(model)
    assert type(twin) is OpenRouterEmbeddings
    assert twin.model_dump() == model.model_dump()
    assert twin.model_fields_set == model.model_fields_set
    assert twin.api_key.get_secret_value() == KEY
    assert twin._client.options == model._client.options
    assert twin._client is not model._client
    assert twin != model
    assert len({twin, model, model}) == 2


def test_a_deep_copy_shares_no_container_and_the_live_client():
    with httpx.Client() as http_client:
        model = OpenRouterEmbeddings(model=MODEL, extra_body={"a": {"b": 1}}, http_client=http_client)
        twin = copy.deepcopy(model)
        assert twin.extra_body == model.extra_body
        assert twin.extra_body["a"] is not model.extra_body["a"]
        assert twin.http_client is http_client
        with pytest.raises(ConfigurationError, match="cannot be pickled"):
            pickle.dumps(model)


def test_model_copy_takes_updates_and_checks_them():
    model = OpenRouterEmbeddings(model=MODEL, api_key=KEY, dimensions=64)
    other = model.model_copy(update={"dimensions": 32, "openrouter_api_key": "another"})
    assert (other.dimensions, other._client.options.dimensions) == (32, 32)
    assert other.api_key.get_secret_value() == "another"
    assert model.dimensions == 64
    with pytest.raises(ConfigurationError, match="Did you mean 'dimensions'"):
        model.model_copy(update={"dimension": 32})


def test_an_option_set_later_is_refused_without_showing_it():
    model = OpenRouterEmbeddings(model=MODEL)
    with pytest.raises(ConfigurationError) as caught:
        model.api_key = KEY
    assert str(caught.value) == "api_key is set once. Make another object: model_copy(update={'api_key': ...})."


@pytest.mark.parametrize("key", [KEY, lambda: KEY])
def test_no_dump_and_no_repr_shows_a_secret(key: Any):
    model = OpenRouterEmbeddings(model=MODEL, api_key=key, extra_headers={"x-proxy-token": KEY})
    for shown in (repr(model), str(model), model.model_dump(), model.model_dump_json(), dumpd(model), dumps(model)):
        assert KEY not in str(shown)
        assert "lambda" not in str(shown)


def test_repr_shows_what_was_given_and_no_more():
    assert repr(OpenRouterEmbeddings(model=MODEL, api_key=KEY, timeout=3)) == (
        "OpenRouterEmbeddings(model='qwen/qwen3-embedding-8b', timeout=3.0)"
    )


def test_a_refused_option_does_not_show_a_secret():
    for options in (
        {"api_key": [KEY]},
        {"api_keys": KEY},
        {"api_key": "café" + KEY},
        {"base_url": f"https://{KEY}@x.y"},
    ):
        with pytest.raises(ConfigurationError) as caught:
            OpenRouterEmbeddings(model=MODEL, **options)
        assert KEY not in str(caught.value)


class Settings(BaseModel):
    """A model of a user's, with our object as a field."""

    embeddings: OpenRouterEmbeddings


@pytest.mark.parametrize(
    ("options", "place", "says"),
    [
        ({"api_key": KEY, "model": ""}, "model", "model is empty."),
        ({"api_key": KEY, "timeout": "soon"}, "timeout", "timeout takes a number, not 'soon'."),
        ({"api_key": [KEY]}, "api_key", "api_key takes a string, a SecretStr or a callable, not list."),
        ({"openrouter_api_key": [KEY]}, None, "api_key takes a string, a SecretStr or a callable, not list."),
        ({"extra_headers": {"x-token": KEY, "x": 5}}, "extra_headers", "extra_headers['x'] must be a string, not int."),
        ({"api_key": KEY, "time_out": 5}, None, "Option 'time_out' is unknown. Did you mean 'timeout'?"),
    ],
)
def test_a_refusal_inside_a_model_of_the_users_names_the_field_and_shows_no_value(
    options: dict[str, Any], place: str | None, says: str
):
    """pydantic's own error would hold the whole dict, key and all, as the input that was refused."""
    given = {"embeddings": {"model": MODEL, **options}}
    for refused in (
        lambda: Settings(**given),
        lambda: Settings.model_validate_json(json.dumps(given)),
        lambda: TypeAdapter(dict[str, OpenRouterEmbeddings]).validate_python(given),
    ):
        with pytest.raises(ValidationError) as caught:
            refused()
        (line,) = caught.value.errors()
        assert line["loc"] == ("embeddings", place)[: 2 if place else 1]
        assert line["msg"].startswith(says)
        for shown in (str(caught.value), repr(caught.value), str(caught.value.errors()), caught.value.json()):
            assert KEY not in shown
        assert caught.value.__context__ is caught.value.__cause__ is None


def test_every_refused_option_has_a_line():
    with pytest.raises(ValidationError) as caught:
        Settings(embeddings={"model": MODEL, "timeout": 0, "dimensions": 0, "api_key": KEY})
    assert [line["loc"][-1] for line in caught.value.errors()] == ["dimensions", "timeout"]


def test_a_path_of_a_cache_is_in_the_dump_and_an_object_is_not(tmp_path: Path):
    file = tmp_path / "embeddings.sqlite"
    for cache, shown in ((str(file), str(file)), (file, str(file)), (MemoryCache(), None)):
        model = OpenRouterEmbeddings(model="a/b", cache=cache)
        assert json.loads(model.model_dump_json())["cache"] == shown
        assert model.model_dump()["cache"] is cache
        assert OpenRouterEmbeddings.model_validate_json(model.model_dump_json()).cache == shown
        assert model.model_copy().cache is model.model_copy(deep=True).cache is cache


def test_a_dump_makes_the_same_object_again():
    model = OpenRouterEmbeddings(model=MODEL, dimensions=64, provider={"zdr": True})
    assert OpenRouterEmbeddings(**model.model_dump()).model_dump() == model.model_dump()
    assert OpenRouterEmbeddings.model_validate_json(model.model_dump_json()).model_dump() == model.model_dump()


def test_an_object_that_skips_the_checks_is_not_made():
    with pytest.raises(ConfigurationError) as caught:
        OpenRouterEmbeddings.model_construct(model=MODEL, api_key=KEY)
    assert str(caught.value) == (
        "model_construct skips the checks that make the client. Write OpenRouterEmbeddings(...)."
    )


def test_a_subclass_may_have_fields_of_its_own():
    class Mine(OpenRouterEmbeddings):
        label: str = ""

    model = pickle.loads(pickle.dumps(OpenRouterEmbeddings(model=MODEL)))
    mine = Mine(model=MODEL, label="a").model_copy(update={"label": "b"})
    assert (type(mine), mine.label, mine.model) == (Mine, "b", model.model)


def test_it_imports_beside_langchains_own_package():
    chat = pytest.importorskip("langchain_openrouter")
    assert chat.ChatOpenRouter is not None
    assert OpenRouterEmbeddings.__module__ == "langchain_openrouter_embeddings.embeddings"
