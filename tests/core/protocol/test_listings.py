"""Listings of models and of a model's providers are read, whatever is missing or odd in them."""

from __future__ import annotations

import json
import pickle
from datetime import UTC, date, datetime

import pytest

from openrouter_embeddings._protocol import Endpoint, narrowed, parse_models, read_endpoints
from openrouter_embeddings.errors import ResponseError
from openrouter_embeddings.gateways import INFRON, OPENAI_COMPATIBLE, OPENROUTER


def page(*rows, **more):
    return json.dumps({"data": rows, **more}).encode()


LISTED = {
    "id": "google/gemini-embedding-001",
    "canonical_slug": "google/gemini-embedding-001",
    "name": "Google: Gemini Embedding 001",
    "description": "Embeds.",
    "created": 1700000000,
    "expiration_date": "2027-01-31",
    "context_length": 20000,
    "architecture": {"input_modalities": ["text"], "output_modalities": ["embeddings"]},
    "pricing": {"prompt": "0.00000015", "completion": "0"},
    "something_new": {"a": 1},
}


def test_openrouter_models_are_read_and_the_profile_corrects_them():
    (model,), following = parse_models(OPENROUTER, page(LISTED, links={"next": None}, total_count=1))
    assert following is None
    assert (model.id, model.name, model.description) == (LISTED["id"], LISTED["name"], "Embeds.")
    assert model.context_length == 2048
    assert model.dimensions == 3072
    assert model.prompt_price == 0.15
    assert model.max_inputs == 100
    assert model.input_modalities == ("text",)
    assert model.created == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
    assert model.expires == date(2027, 1, 31)
    assert model.raw == LISTED
    assert "Embeds." not in repr(model)
    assert pickle.loads(pickle.dumps(model)) == model
    assert hash(model)


def test_what_is_missing_or_odd_is_not_known():
    odd = {
        "id": "nobody/nothing",
        "name": None,
        "description": 5,
        "created": 10**14,
        "expiration_date": "never",
        "context_length": -1,
        "architecture": None,
        "pricing": {"prompt": "-1"},
    }
    models, _ = parse_models(OPENROUTER, page({"id": "nobody/nothing"}, odd, {"no": "id"}, 7))
    assert len(models) == 2
    for model in models:
        assert model.name == "nobody/nothing"
        assert (model.context_length, model.dimensions, model.max_inputs) == (None, None, None)
        assert (model.prompt_price, model.created, model.expires) == (None, None, None)
        assert model.input_modalities == ("text",)


@pytest.mark.parametrize(
    ("listed", "price"),
    [
        ("0.00000002", 0.02),
        ("0", 0.0),
        (0.0000001, 0.1),
        (None, None),
        ("free", None),
        ("NaN", None),
        (True, None),
        ("1e999", None),
    ],
)
def test_prices_per_token_become_prices_per_million(listed, price):
    (model,), _ = parse_models(OPENROUTER, page({"id": "a", "pricing": {"prompt": listed}}))
    assert model.prompt_price == price


def test_a_listed_length_below_the_profiles_stands():
    (model,), _ = parse_models(OPENROUTER, page({**LISTED, "context_length": 1000}))
    assert model.context_length == 1000


@pytest.mark.parametrize(
    ("link", "following"),
    [
        ("https://openrouter.ai/api/v1/embeddings/models?offset=500&limit=500", "?offset=500&limit=500"),
        ("/api/v1/embeddings/models?offset=500", "?offset=500"),
        ("https://elsewhere.example/?offset=500#x", "?offset=500"),
        ("https://openrouter.ai/api/v1/embeddings/models", None),
        (None, None),
        (5, None),
    ],
)
def test_the_next_page_is_asked_for_at_our_own_address(link, following):
    local = OPENROUTER.at("http://localhost:1/v1")
    _, url = parse_models(local, page(LISTED, links={"next": link}))
    assert url == (f"http://localhost:1/v1/embeddings/models{following}" if following else None)


def test_infron_lists_all_kinds_of_models_and_prices_per_million():
    row = {
        "id": "thenlper/gte-base",
        "display_name": "GTE Base",
        "category_type": "Embeddings",
        "context_length": None,
        "max_input_tokens": 512,
        "min_prompt_price": 0.005,
        "output_modalities": ["text"],
        "providers": [],
    }
    chat = {"id": "openai/gpt", "category_type": "LLM"}
    (model,), following = parse_models(INFRON, page(chat, row, success=True))
    assert following is None
    assert (model.id, model.name) == ("thenlper/gte-base", "GTE Base")
    assert (model.context_length, model.dimensions, model.prompt_price) == (512, 768, 0.005)


def test_an_empty_listing_is_a_listing():
    assert parse_models(OPENROUTER, page()) == ([], None)
    assert parse_models(OPENROUTER, b"\xef\xbb\xbf" + page()) == ([], None)


@pytest.mark.parametrize(
    ("gateway", "body", "text"),
    [
        (
            OPENROUTER,
            b"<html>secret</html>",
            "The model listing of openrouter was not complete JSON (19 bytes). Check base_url.",
        ),
        (OPENROUTER, b"", "The model listing of openrouter was not complete JSON (0 bytes). Check base_url."),
        (OPENROUTER, b"\xff{}", "The model listing of openrouter was not complete JSON (3 bytes). Check base_url."),
        (
            OPENROUTER,
            b"[]",
            "The model listing of openrouter was not a JSON object. Check base_url, or try again later.",
        ),
        (
            OPENROUTER,
            b'{"error":{"message":"x"}}',
            "The model listing of openrouter held an error. Check base_url, or try again later.",
        ),
        (
            INFRON,
            b'{"data":[],"success":false}',
            "The model listing of infron held an error. Check base_url, or try again later.",
        ),
        (
            OPENROUTER,
            b'{"data":{}}',
            "The model listing of openrouter had no list of models under 'data'. Check base_url.",
        ),
        (
            OPENROUTER,
            b'{"data":[1,{"id":""}]}',
            "The model listing of openrouter held 2 entries, none of them a model. Check base_url.",
        ),
    ],
)
def test_garbage_is_no_listing(gateway, body, text):
    with pytest.raises(ResponseError) as caught:
        parse_models(gateway, body)
    assert str(caught.value) == text


def test_a_server_of_openais_dialect_lists_ids_alone():
    (model,), following = parse_models(
        OPENAI_COMPATIBLE, page({"id": "baai/bge-m3", "max_model_len": 512, "created": 5})
    )
    assert following is None
    assert (model.id, model.name, model.context_length, model.dimensions) == ("baai/bge-m3", "baai/bge-m3", 512, 1024)
    assert (model.prompt_price, model.created) == (None, datetime(1970, 1, 1, 0, 0, 5, tzinfo=UTC))


# --------------------------------------------------------------------------------------------------------------- endpoints


def test_endpoints_are_read_each_tag_once_and_what_has_none_is_left_out():
    rows = [
        {"tag": "deepinfra/turbo", "provider_name": "DeepInfra", "quantization": "fp8"},
        {"tag": "nebius", "provider_name": "", "quantization": ""},
        {"tag": "deepinfra/turbo", "provider_name": "again"},
        {"tag": " "}, {"provider_name": "no tag"}, 7,
    ]  # fmt: skip
    body = json.dumps({"data": {"endpoints": rows}}).encode()
    assert read_endpoints(body) == [
        Endpoint("deepinfra/turbo", "DeepInfra", "fp8"),
        Endpoint("nebius", "nebius", None),
    ]
    assert read_endpoints(b'{"data":{"endpoints":[]}}') == []


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b'{"data":[]}', b'{"data":{}}', b'{"data":{"endpoints":7}}', b"{}"]
)
def test_what_is_no_listing_of_endpoints_is_none(body):
    assert read_endpoints(body) is None


TURBO, PLAIN, OTHER = (
    Endpoint("deepinfra/turbo", "D", "fp8"),
    Endpoint("deepinfra", "D", "bf16"),
    Endpoint("nebius", "N", None),
)


@pytest.mark.parametrize(
    ("preferences", "left"),
    [
        ({}, [TURBO, PLAIN, OTHER]),
        ({"only": ["DeepInfra"]}, [TURBO, PLAIN]),
        ({"only": ["deepinfra/turbo", "nebius"]}, [TURBO, OTHER]),
        ({"only": []}, [TURBO, PLAIN, OTHER]),
        ({"ignore": ["deepinfra/turbo"]}, [PLAIN, OTHER]),
        ({"ignore": ["deep"]}, [TURBO, PLAIN, OTHER]),
        ({"quantizations": ["bf16", "unknown"]}, [PLAIN, OTHER]),
        ({"only": ["deepinfra"], "ignore": ["deepinfra"]}, []),
    ],
)
def test_endpoints_are_narrowed_to_what_the_preferences_allow(preferences, left):
    assert narrowed([TURBO, PLAIN, OTHER], preferences) == left
