"""The constructors: the core's options in a signature and a docstring that Haystack's tools can read."""

from __future__ import annotations

import asyncio
import inspect
from dataclasses import fields
from typing import Any, get_args, get_type_hints

import httpx
import pytest
from haystack import Document
from haystack.core.component.component import _hook_component_init
from haystack.core.serialization import component_to_dict, default_from_dict
from haystack.utils import Secret

from haystack_integrations.components.embedders.openrouter_embeddings import (
    OpenRouterDocumentEmbedder,
    OpenRouterDocumentImageEmbedder,
    OpenRouterTextEmbedder,
)
from openrouter_embeddings import ClientOptions, ConfigurationError, Options

from .conftest import KEY, MARKED, UNMARKED

NAMED_OTHERWISE = {
    "api_key": "a Secret of Haystack's",
    "base_url": "api_base_url",
    "extra_headers": "a Secret too",
    "limiter": "cannot be saved",
    "before_request": "cannot be saved",
    "on_error": "raise_on_failure",
    "on_empty": "what is handed out has an embedding",
    "http_client": "cannot be saved",
    "async_http_client": "cannot be saved",
}


@pytest.fixture(params=[OpenRouterTextEmbedder, OpenRouterDocumentEmbedder, OpenRouterDocumentImageEmbedder])
def kind(request: pytest.FixtureRequest) -> Any:
    return request.param


def test_the_signature_has_the_cores_options_with_its_types_and_defaults(kind: Any) -> None:
    parameters = inspect.signature(kind.__init__).parameters
    types = get_type_hints(ClientOptions, localns={"httpx": httpx})
    assert list(parameters)[:2] == ["self", "model"]
    for option in fields(Options):
        name = option.name
        if name in NAMED_OTHERWISE:
            assert name in {"api_key", "extra_headers", "on_empty"} or name not in parameters
        elif name != "model":
            assert (parameters[name].default, parameters[name].annotation) == (option.default, types[name]), name
    assert parameters["api_base_url"].annotation == types["base_url"]
    assert parameters["api_key"].annotation is Secret
    assert parameters["model"].default is inspect.Parameter.empty
    assert {parameter.kind for parameter in list(parameters.values())[2:]} == {inspect.Parameter.KEYWORD_ONLY}


def test_the_model_may_come_first_without_its_name(kind: Any) -> None:
    assert kind(UNMARKED, dimensions=8).to_dict() == kind(model=UNMARKED, dimensions=8).to_dict()
    with _hook_component_init(lambda _, options: options.update(dimensions=16)):
        assert (kind(UNMARKED).model, kind(UNMARKED).dimensions) == (UNMARKED, 16)


def test_the_docstring_has_a_line_for_each_parameter(kind: Any) -> None:
    documented = inspect.getdoc(kind.__init__)
    assert documented is not None
    parameters = [name for name in inspect.signature(kind.__init__).parameters if name != "self"]
    assert [line.split()[1] for line in documented.splitlines() if line.startswith(":param")] == [
        f"{name}:" for name in parameters
    ]
    for option in fields(Options):
        if option.name not in NAMED_OTHERWISE:
            meaning = option.metadata["meaning"].replace("base_url", "api_base_url")
            assert f":param {option.name}: {meaning}" in documented


def test_haystacks_own_tools_make_one_of_its_parameters(kind: Any) -> None:
    """`default_from_dict` calls with keywords, loaders change these before the call, savers look for attributes."""
    name = f"{kind.__module__}.{kind.__name__}"
    made = default_from_dict(kind, {"type": name, "init_parameters": {"model": UNMARKED, "dimensions": 8}})
    assert (made.model, made.dimensions) == (UNMARKED, 8)
    with _hook_component_init(lambda _, options: options.update(dimensions=16)):
        assert kind(model=UNMARKED).dimensions == 16
    saved = component_to_dict(made, "embedder")
    assert saved["init_parameters"]["dimensions"] == 8
    assert all(hasattr(made, parameter) for parameter in inspect.signature(made.__init__).parameters)


def test_a_parameter_of_the_other_embedder_is_no_parameter(kind: Any) -> None:
    names = set(inspect.signature(OpenRouterDocumentEmbedder.__init__).parameters)
    own = names - set(inspect.signature(OpenRouterTextEmbedder.__init__).parameters)
    assert own == {"progress_bar", "meta_fields_to_embed", "embedding_separator", "raise_on_failure", "skip_embedded"}
    for name in own:
        with pytest.raises(ConfigurationError) as caught:
            OpenRouterTextEmbedder(**{"model": UNMARKED, name: None})
        assert str(caught.value) == f"Option {name!r} is not taken: it belongs to OpenRouterDocumentEmbedder."


def test_a_live_client_is_not_taken_because_it_cannot_be_saved(kind: Any) -> None:
    for word in ("http_client", "async_http_client", "http_async_client", "httpx_client"):
        with pytest.raises(ConfigurationError) as caught:
            kind(model=UNMARKED, **{word: object()})
        assert str(caught.value) == (
            f"Option {word!r} is not taken: a component is saved, and a live client cannot be. http_client_kwargs= takes"
            " what one is made of."
        )
    for word, instead in (("proxies", "{'proxy': ...}"), ("verify_ssl", "{'verify': ...}")):
        with pytest.raises(ConfigurationError) as caught:
            kind(model=UNMARKED, **{word: "a"})
        assert f"http_client_kwargs={instead}" in str(caught.value)
    with pytest.raises(ConfigurationError, match="a component is saved, and a limiter cannot be"):
        kind(model=UNMARKED, before_request=print)
    with pytest.raises(ConfigurationError, match="a component is saved, and a limiter cannot be"):
        kind(model=UNMARKED, limiter=object())


def test_a_missing_model_and_an_unknown_side_are_refused_with_the_way_out(kind: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        kind()
    assert str(caught.value) == "No model. Pass model=..., e.g. 'qwen/qwen3-embedding-8b'."
    with pytest.raises(ConfigurationError) as caught:
        kind(model=MARKED, input_type="passage")
    assert str(caught.value) == (
        "Unknown input_type 'passage'. Use 'query' or 'document'; to change what goes over the wire set "
        "query_input_type or document_input_type."
    )


def test_a_bare_string_is_no_key(kind: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        kind(model=MARKED, api_key=KEY)
    assert str(caught.value) == (
        "api_key must be a Secret. Write Secret.from_env_var('NAME') or Secret.from_token(...)."
    )


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"api_key": [KEY]}, "api_key must be a Secret."),
        ({"api_key": {"value": KEY}}, "api_key must be a Secret."),
        ({"api_keys": KEY}, "Option 'api_keys' is unknown. Did you mean 'api_key'?"),
        ({"api_base_url": f"https://{KEY}@x.y"}, "api_base_url holds a user name or password."),
        ({"extra_headers": {"x-token": [KEY]}}, "extra_headers['x-token'] must be a string, not list."),
        ({"extra_headers": {"x-token": KEY, "x": 5}}, "extra_headers['x'] must be a string, not int."),
        ({"extra_headers": {"x-token": f"{KEY}\n"}}, "extra_headers['x-token'] holds a line break"),
    ],
)
def test_a_key_that_is_itself_refused_is_not_shown(kind: Any, options: dict[str, Any], says: str) -> None:
    saved = {"type": f"{kind.__module__}.{kind.__name__}", "init_parameters": {"model": MARKED, **options}}
    for refused in (lambda: kind(model=MARKED, **options), lambda: kind.from_dict(saved)):
        with pytest.raises(ConfigurationError) as caught:
            refused()
        assert str(caught.value).startswith(says)
        assert KEY not in str(caught.value) + repr(caught.value)


@pytest.mark.parametrize(
    ("token", "says"),
    [
        (f"café{KEY}", "api_key holds characters that no header can carry (it)."),
        (f"{KEY}\nx", "api_key holds a line break or control character (it)"),
    ],
)
def test_a_token_that_no_header_can_carry_is_not_shown_when_it_is_first_asked_for(token: str, says: str) -> None:
    query = OpenRouterTextEmbedder(model=MARKED, api_key=Secret.from_token(token))
    documents = OpenRouterDocumentEmbedder(model=MARKED, api_key=Secret.from_token(token), progress_bar=False)
    for refused in (
        query.warm_up,
        lambda: query.run(text="a"),
        lambda: asyncio.run(query.run_async(text="a")),
        documents.warm_up,
        lambda: documents.run(documents=[Document(content="a")]),
        lambda: asyncio.run(documents.run_async(documents=[Document(content="a")])),
    ):
        with pytest.raises(ConfigurationError) as caught:
            refused()
        assert str(caught.value).startswith(says)
        assert KEY not in str(caught.value) + repr(caught.value)


def test_an_option_that_cannot_be_right_is_refused_in_haystacks_words(kind: Any) -> None:
    for options, says in (
        ({"dimensions": 0}, "dimensions must be at least 1, not 0."),
        ({"provider": {"data_colection": "deny"}}, "Did you mean 'data_collection'?"),
        ({"api_base_url": "ftp://x"}, "api_base_url does not begin with https://"),
        ({"model": ""}, "model is empty."),
    ):
        with pytest.raises(ConfigurationError) as caught:
            kind(**{"model": UNMARKED} | options)
        assert says in str(caught.value)


def test_the_choices_are_part_of_the_signature(kind: Any) -> None:
    parameters = inspect.signature(kind.__init__).parameters
    assert get_args(parameters["on_too_long"].annotation) == ("error", "truncate", "average")
    assert get_args(parameters["encoding_format"].annotation) == ("auto", "base64", "float")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"prefix": 5}, "prefix takes a string, not int."),
        ({"suffix": ["."]}, "suffix takes a string, not list."),
        ({"embedding_separator": 0}, "embedding_separator takes a string, not int."),
        ({"progress_bar": "no"}, "progress_bar takes True or False, not str."),
        ({"raise_on_failure": 0}, "raise_on_failure takes True or False, not int."),
    ],
)
def test_haystacks_own_words_are_checked_too(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        OpenRouterDocumentEmbedder(model=UNMARKED, **options)
    assert str(caught.value) == says


def test_null_in_a_file_leaves_a_default(kind: Any) -> None:
    around = dict.fromkeys({"prefix", "suffix"} & inspect.signature(kind.__init__).parameters.keys())
    made = kind(model=UNMARKED, timeout=None, **around)
    assert made.timeout == 60.0
    assert all(getattr(made, name) == "" for name in around)


def test_the_third_output_is_there_where_it_is_used() -> None:
    def sockets(**options: Any) -> list[str]:
        return list(vars(OpenRouterDocumentEmbedder(model=UNMARKED, **options))["__haystack_output__"]._sockets_dict)

    assert sockets() == ["documents", "meta"]
    assert sockets(raise_on_failure=False) == ["documents", "meta", "failed_documents"]


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ("title", "meta_fields_to_embed takes a list. Write ['title']."),
        (5, "meta_fields_to_embed takes a list of strings, such as ['title'], not int."),
        ([1, 2], "meta_fields_to_embed takes a list of strings, such as ['title'], not int."),
        (["title", None], "meta_fields_to_embed takes a list of strings, such as ['title'], not NoneType."),
        ({"title"}, "meta_fields_to_embed takes a list of strings, such as ['title'], not set."),
        ({"title": 1}, "meta_fields_to_embed takes a list of strings, such as ['title'], not dict."),
    ],
)
def test_what_is_no_list_of_field_names_is_refused(fields: Any, says: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        OpenRouterDocumentEmbedder(model=UNMARKED, meta_fields_to_embed=fields)
    assert str(caught.value) == says
