"""The text embedder embeds one string, marked as a query."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from haystack import Document
from haystack.utils import Secret

from openrouter_embeddings import AuthenticationError, ConfigurationError, InputError, InsufficientCreditsError

from .conftest import KEY, MARKED, UNMARKED


def test_one_string_gives_a_list_of_floats_and_meta(call: Any, text_embedder: Any) -> None:
    found = call(text_embedder(), text="a whole directory")
    assert set(found) == {"embedding", "meta"}
    assert len(found["embedding"]) == 1536
    assert all(type(one) is float for one in found["embedding"])
    assert found["meta"]["model"] == UNMARKED
    assert found["meta"]["usage"]["requests"] == 1
    assert found["meta"]["usage"]["prompt_tokens"] > 0
    assert found["meta"]["usage"]["cost"] > 0
    assert isinstance(found["meta"]["providers"], list)


def test_prefix_and_suffix_stand_around_the_text(call: Any, text_embedder: Any, gateway: Any) -> None:
    call(text_embedder(prefix="<<", suffix=">>"), text="text")
    assert gateway.embedding_requests()[-1].body["input"] in (["<<text>>"], "<<text>>")


@pytest.mark.parametrize("wrong", [["a"], [Document(content="a")], 3, None, b"a"])
def test_anything_but_a_string_is_refused_and_the_other_class_named(call: Any, text_embedder: Any, wrong: Any) -> None:
    with pytest.raises(TypeError, match=r"expects a string as input, not .* use the OpenRouterDocumentEmbedder\."):
        call(text_embedder(), text=wrong)


def test_a_prefix_does_not_make_a_text_of_an_empty_one(call: Any, text_embedder: Any, gateway: Any) -> None:
    """Its embedding would be the prefix's, the same for every empty text."""
    for options in ({}, {"prefix": "query: "}, {"suffix": " ?"}):
        with pytest.raises(InputError):
            call(text_embedder(**options), text="")
        zero = call(text_embedder(**options, on_empty="zero", dimensions=8), text="")
        assert zero["embedding"] == [0.0] * 8
    assert gateway.embedding_requests() == []


def test_the_side_can_be_changed(call: Any, text_embedder: Any, documents_embedder: Any) -> None:
    document = documents_embedder(model=MARKED).run([Document(content="copy a directory")])["documents"][0].embedding
    assert call(text_embedder(model=MARKED, input_type="document"), text="copy a directory")["embedding"] == document


def test_the_wire_value_of_a_side_can_be_set(call: Any, text_embedder: Any, gateway: Any) -> None:
    call(text_embedder(query_input_type="passage"), text="a")
    assert gateway.embedding_requests()[-1].body["input_type"] == "passage"


def test_a_missing_key_is_named_before_any_request(
    call: Any, text_embedder: Any, gateway: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENROUTER_API_KEY")
    one = text_embedder()
    with pytest.raises(ConfigurationError, match="OPENROUTER_API_KEY"):
        call(one, text="a")
    with pytest.raises(ConfigurationError):
        call(text_embedder(api_key=Secret.from_env_var("UNSET_KEY", strict=False)), text="a")
    assert gateway.requests() == []
    monkeypatch.setenv("OPENROUTER_API_KEY", KEY)
    assert len(call(one, text="a")["embedding"]) == 1536


def test_the_key_of_openrouter_never_goes_to_another_gateway(
    call: Any, text_embedder: Any, gateway: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("INFRON_API_KEY", raising=False)
    one = text_embedder(gateway="infron", api_base_url=gateway.base_url)
    with pytest.raises(ConfigurationError, match="INFRON_API_KEY"):
        call(one, text="a")
    assert gateway.requests() == []


def test_a_token_is_sent(call: Any, text_embedder: Any, monkeypatch: pytest.MonkeyPatch, token: Secret) -> None:
    monkeypatch.delenv("OPENROUTER_API_KEY")
    assert len(call(text_embedder(api_key=token), text="a")["embedding"]) == 1536
    with pytest.raises(AuthenticationError):
        call(text_embedder(api_key=Secret.from_token("expired")), text="a")


def test_a_query_that_failed_at_first_is_paid_once(call: Any, text_embedder: Any, gateway: Any, tmp_path: Path) -> None:
    cache = str(tmp_path / "e.sqlite")
    gateway.trouble("status", status=402)
    with pytest.raises(InsufficientCreditsError):
        call(text_embedder(cache=cache), text="a")
    assert (
        call(text_embedder(cache=cache), text="a")["embedding"]
        == call(text_embedder(cache=cache), text="a")["embedding"]
    )
    assert gateway.paid_inputs() == 1


def test_dimensions_and_preferences_arrive_as_given(call: Any, text_embedder: Any, gateway: Any) -> None:
    preferences = {"order": ["deepinfra"], "data_collection": "deny", "zdr": True}
    found = call(text_embedder(dimensions=256, provider=preferences, user="u-1"), text="a")
    body = gateway.embedding_requests()[-1].body
    assert len(found["embedding"]) == 256
    assert (body["dimensions"], body["provider"], body["user"]) == (256, preferences, "u-1")
