"""The saved form: every option comes back, the key never goes out."""

from __future__ import annotations

import copy
import inspect
import logging
import pickle
from dataclasses import fields
from typing import Any

import pytest
from haystack import Document, Pipeline
from haystack.core.errors import DeserializationError
from haystack.utils import Secret
from pydantic import SecretStr

from haystack_integrations.components.embedders import openrouter_embeddings as leaf
from haystack_integrations.components.embedders.openrouter_embeddings import (
    OpenRouterDocumentEmbedder,
    OpenRouterTextEmbedder,
)
from openrouter_embeddings import INFRON, ConfigurationError, Gateway, MemoryCache, Options

from .conftest import KEY, UNMARKED

EVERYTHING: dict[str, Any] = {
    "model": "qwen/qwen3-embedding-8b",
    "api_key": Secret.from_env_var(["MY_KEY", "OPENROUTER_API_KEY"], strict=True),
    "api_base_url": "http://127.0.0.1:9/api/v1",
    "gateway": "infron",
    "allow_plain_http": True,
    "profile": "qwen/qwen3-embedding-4b",
    "dimensions": 512,
    "prefix": "p ",
    "suffix": " s",
    "input_type": "query",
    "provider": {"order": ["deepinfra"], "data_collection": "deny"},
    "user": "u",
    "session_id": "s",
    "trace": {"type": "collections.OrderedDict", "trace_id": "t"},
    "query_input_type": "q",
    "document_input_type": "",
    "query_prefix": "Q: ",
    "document_prefix": "",
    "encoding_format": "float",
    "compression": "gzip",
    "normalize": False,
    "batch_size": 8,
    "batch_tokens": 4000,
    "max_concurrency": 3,
    "timeout": 12.5,
    "call_timeout": 600.0,
    "max_retries": 0,
    "max_replays": 0,
    "retry_timeout": 9.0,
    "cache": None,
    "server_cache": None,
    "max_cost": 0.5,
    "on_empty": "error",
    "on_too_long": "average",
    "dimensions_fallback": True,
    "coalesce_queries": True,
    "app_url": "https://example.org",
    "app_title": "title",
    "app_categories": ("a", "b"),
    "extra_headers": {"X-One": "1", "X-Token": Secret.from_env_var("PROXY_TOKEN", strict=False)},
    "http_client_kwargs": {
        "headers": {"type": "os.path"},
        "limits": {"max_connections": 2},
        "trust_env": False,
    },
    "extra_body": {"type": "os.path", "inner": {"type": "single", "device": "cpu"}},
}
ONLY_DOCUMENTS: dict[str, Any] = {
    "progress_bar": False,
    "meta_fields_to_embed": ["title"],
    "embedding_separator": " | ",
    "raise_on_failure": False,
    "skip_embedded": True,
}
GOLDEN = """\
components:
  embedder:
    init_parameters:
      api_key:
        env_vars:
        - OPENROUTER_API_KEY
        strict: false
        type: env_var
      dimensions: 256
      embedding_separator: '

        '
      input_type: document
      model: openai/text-embedding-3-small
      prefix: ''
      progress_bar: true
      provider:
        data_collection: deny
        order:
        - deepinfra
      raise_on_failure: true
      suffix: ''
    type: haystack_integrations.components.embedders.openrouter_embeddings.document_embedder.OpenRouterDocumentEmbedder
"""


def made(kind: type[Any]) -> dict[str, Any]:
    return EVERYTHING | (ONLY_DOCUMENTS if kind is OpenRouterDocumentEmbedder else {})


@pytest.fixture(params=[OpenRouterTextEmbedder, OpenRouterDocumentEmbedder])
def kind(request: pytest.FixtureRequest) -> Any:
    return request.param


def test_the_list_above_names_every_option(kind: Any) -> None:
    assert set(made(kind)) == set(inspect.signature(kind.__init__).parameters) - {"self"}


def test_every_option_comes_back_through_yaml(kind: Any) -> None:
    options = made(kind)
    before = copy.deepcopy(options)
    pipeline = Pipeline()
    pipeline.add_component("embedder", kind(**options))
    text = pipeline.dumps()
    assert "!!python" not in text
    back = Pipeline.loads(text)
    assert back.dumps() == text
    embedder = back.get_component("embedder")
    for name, value in options.items():
        assert getattr(embedder, name) == (list(value) if isinstance(value, tuple) else value), name
    assert options == before


def test_the_saved_dictionary_is_read_and_not_changed(kind: Any) -> None:
    saved = kind(**made(kind)).to_dict()
    before = copy.deepcopy(saved)
    first, second = kind.from_dict(saved), kind.from_dict(saved)
    assert saved == before == first.to_dict() == second.to_dict()
    first.to_dict()["init_parameters"]["extra_body"]["inner"]["type"] = "changed"
    assert first.to_dict() == before


@pytest.mark.parametrize("word", ["env_var", "single", "multiple", "os.path", "collections.OrderedDict", "plain"])
def test_a_mapping_with_a_type_stays_a_mapping(kind: Any, word: str) -> None:
    body = {"type": word, "device": "cpu", "env_vars": ["HOME"], "strict": True}
    assert kind.from_dict(kind(model=UNMARKED, extra_body=body).to_dict()).extra_body == body


def test_what_was_left_to_the_core_is_not_saved(kind: Any) -> None:
    """So that a later release's better default holds for a pipeline that was saved by this one."""
    core = {option.name for option in fields(Options)} - {"model", "api_key"}
    bare, stated = kind(model=UNMARKED), kind(model=UNMARKED, timeout=60.0, dimensions=None, on_empty=None)
    assert not core & bare.to_dict()["init_parameters"].keys()
    assert core & stated.to_dict()["init_parameters"].keys() == {"timeout"}
    assert (bare.timeout, bare.max_concurrency, bare.on_empty) == (60.0, 16, "error")


def test_a_cache_that_is_an_object_is_not_saved(kind: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        kind(model=UNMARKED, cache=MemoryCache()).to_dict()
    assert str(caught.value) == "A MemoryCache cannot be saved. Give the cache as the path of its file."


@pytest.mark.parametrize(
    "gateway", [INFRON, Gateway(name="mine", base_url="https://mine.example/v1", key_env=("MINE",))]
)
def test_a_gateway_of_ones_own_comes_back_through_yaml(kind: Any, gateway: Gateway) -> None:
    pipeline = Pipeline()
    pipeline.add_component("embedder", kind(model=UNMARKED, gateway=gateway))
    text = pipeline.dumps()
    assert "!!python" not in text
    back: Any = Pipeline.loads(text).get_component("embedder")
    assert back.gateway == back.client.options.service == gateway
    assert back.to_dict() == kind(model=UNMARKED, gateway=gateway).to_dict()


def test_a_header_that_is_a_secret_is_sent_and_saved_by_its_name(
    kind: Any, gateway: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROXY_TOKEN", "proxy-canary")
    embedder = kind(model=UNMARKED, extra_headers={"X-Token": Secret.from_env_var("PROXY_TOKEN")})
    saved = embedder.to_dict()
    assert "proxy-canary" not in str(saved) + repr(vars(embedder)) + repr(embedder.client.options)
    given = "a" if kind is OpenRouterTextEmbedder else [Document(content="a")]
    for one in (embedder, kind.from_dict(saved), copy.deepcopy(embedder), pickle.loads(pickle.dumps(embedder))):
        one.run(given)
    assert [one.headers["x-token"] for one in gateway.embedding_requests()] == ["proxy-canary"] * 4
    monkeypatch.delenv("PROXY_TOKEN")
    with pytest.raises((ConfigurationError, ValueError), match="PROXY_TOKEN"):
        embedder.run(given)


@pytest.mark.parametrize("value", [SecretStr("canary"), lambda: "canary", Secret.from_token("canary")])
def test_a_header_that_is_no_string_and_no_variable_is_not_saved(kind: Any, value: Any) -> None:
    with pytest.raises(ValueError, match="annot") as caught:
        kind(model=UNMARKED, extra_headers={"X-Token": value}).to_dict()
    assert "canary" not in str(caught.value)


def test_the_file_of_this_release_is_frozen() -> None:
    embedder = OpenRouterDocumentEmbedder(
        model=UNMARKED, dimensions=256, provider={"order": ["deepinfra"], "data_collection": "deny"}
    )
    pipeline = Pipeline()
    pipeline.add_component("embedder", embedder)
    assert pipeline.dumps().startswith(GOLDEN)


def test_it_loads_without_a_key_and_without_an_import(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENROUTER_API_KEY", raising=False)
    rest = "connection_type_validation: true\nconnections: []\nmax_runs_per_component: 100\nmetadata: {}\n"
    loaded: Any = Pipeline.loads(GOLDEN + rest).get_component("embedder")
    assert (loaded.model, loaded.dimensions) == (UNMARKED, 256)


def test_an_unknown_option_and_a_foreign_type_are_refused(kind: Any) -> None:
    saved = kind(model=UNMARKED).to_dict()
    with pytest.raises(ConfigurationError, match="Did you mean 'dimensions'"):
        kind.from_dict({**saved, "init_parameters": {**saved["init_parameters"], "dimension": 3}})
    with pytest.raises(DeserializationError):
        kind.from_dict({**saved, "type": "other.Class"})


def test_the_classes_live_where_the_loader_trusts_them(kind: Any) -> None:
    assert kind.__module__.startswith("haystack_integrations.components.embedders.openrouter_embeddings.")
    assert getattr(leaf, kind.__name__) is kind


def test_a_literal_key_is_not_saved(kind: Any, token: Secret) -> None:
    with pytest.raises(ValueError, match="Cannot serialize token-based secret"):
        kind(model=UNMARKED, api_key=token).to_dict()


@pytest.mark.parametrize("literal", [True, False])
def test_no_key_and_no_text_on_any_surface(
    kind: Any, gateway: Any, token: Secret, caplog: pytest.LogCaptureFixture, literal: bool
) -> None:
    caplog.set_level(logging.DEBUG)
    canary = "canary text 7f3a"
    options = {"api_key": token} if literal else {}
    embedder = kind(model=UNMARKED, max_retries=0, **options)
    gateway.trouble("status", status=400, times=1)
    given = canary if kind is OpenRouterTextEmbedder else [Document(content=canary)]
    with pytest.raises(Exception) as caught:
        embedder.run(given)
    found = embedder.run(given)
    surfaces = [repr(embedder), repr(vars(embedder)), str(caught.value), repr(caught.value), caplog.text]
    surfaces += [repr(found["meta"]), "" if literal else repr(embedder.to_dict())]
    for surface in surfaces:
        assert KEY not in surface
        assert canary not in surface
