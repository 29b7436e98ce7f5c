"""What the gateways do in their own way: addresses, names, listings."""

import copy
import json
import pickle
from datetime import UTC, date, datetime

import pytest

from openrouter_embeddings._protocol.listings import parse_models
from openrouter_embeddings.errors import ConfigurationError, ResponseError
from openrouter_embeddings.gateways import INFRON, OPENROUTER, ErrorHint, Gateway, check_base_url, gateway_named

EXAMPLE = "'https://openrouter.ai/api/v1'"


def test_openrouter_is_as_documented():
    assert OPENROUTER.embeddings_url == "https://openrouter.ai/api/v1/embeddings"
    assert OPENROUTER.models_url == "https://openrouter.ai/api/v1/embeddings/models"
    assert OPENROUTER.key_env == ("OPENROUTER_API_KEY",)
    assert OPENROUTER.base_url_env == ("OPENROUTER_API_BASE",)
    assert OPENROUTER.input_types == ("search_query", "search_document")
    assert OPENROUTER.models_take_key


def test_infron_is_as_documented():
    assert INFRON.embeddings_url == "https://llm.onerouter.pro/v1/embeddings"
    assert INFRON.models_url == "https://api.infron.ai/v1/models"
    assert INFRON.key_env == ("INFRON_API_KEY", "ONEROUTER_API_KEY")
    assert INFRON.input_types is None
    assert (INFRON.sends_attribution, INFRON.multimodal, INFRON.cost_location) == (False, False, "top")
    assert ErrorHint(403, "credit", "insufficient_credits") in INFRON.error_hints


def test_a_listing_on_another_host_never_sees_the_key():
    assert not INFRON.models_take_key
    assert INFRON.at("https://api.infron.ai/v1").models_take_key


def test_another_address_keeps_the_dialect_and_lists_its_own_models():
    local = OPENROUTER.at("http://127.0.0.1:8088/api/v1/")
    assert local.name == "openrouter"
    assert local.embeddings_url == "http://127.0.0.1:8088/api/v1/embeddings"
    assert local.models_url == "http://127.0.0.1:8088/api/v1/embeddings/models"
    assert INFRON.at("https://proxy.example/v1").models_url == "https://proxy.example/v1/models"
    assert INFRON.at("https://proxy.example/v1").listing == "infron"


def test_a_gateway_is_a_value():
    assert pickle.loads(pickle.dumps(INFRON)) == INFRON == copy.deepcopy(INFRON)
    assert len({OPENROUTER, INFRON, gateway_named("infron")}) == 2


def test_a_gateway_of_ones_own_speaks_openrouter():
    mine = Gateway(name="mine", base_url="https://gateway.example/v1/")
    assert mine.base_url == "https://gateway.example/v1"
    assert mine.listing == "openrouter"
    assert Gateway(name="mine", base_url="http://gateway.corp:80/v1", allow_plain_http=True).at("http://b.corp")


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"name": "", "base_url": "https://a.org"}, "Gateway takes a name, such as 'mine'."),
        (
            {"name": "a", "base_url": "https://a.org", "key_env": "KEY"},
            "Gateway key_env takes a tuple of names, not one str. Write ('NAME',).",
        ),
    ],
)
def test_a_gateway_that_cannot_be_right_is_refused(options, text):
    with pytest.raises(ConfigurationError) as caught:
        Gateway(**options)
    assert str(caught.value) == text


def test_gateways_go_by_name():
    assert gateway_named("openrouter") is OPENROUTER
    assert gateway_named("infron") is INFRON
    assert gateway_named(OPENROUTER) is OPENROUTER


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "OpenRuter",
            (
                "Gateway 'OpenRuter' is unknown. Did you mean 'openrouter'? "
                "Use 'openrouter', 'infron' or a Gateway(name=..., base_url=...)."
            ),
        ),
        ("litellm", "Gateway 'litellm' is unknown. Use 'openrouter', 'infron' or a Gateway(name=..., base_url=...)."),
        (None, "gateway takes 'openrouter', 'infron' or a Gateway(...), not NoneType."),
    ],
)
def test_an_unknown_gateway_is_refused(name, text):
    with pytest.raises(ConfigurationError) as caught:
        gateway_named(name)
    assert str(caught.value) == text


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://openrouter.ai/api/v1", "https://openrouter.ai/api/v1"),
        ("https://openrouter.ai/api/v1//", "https://openrouter.ai/api/v1"),
        ("http://localhost:8088/", "http://localhost:8088"),
        ("http://127.8.0.1", "http://127.8.0.1"),
        ("http://[::1]:8088/v1", "http://[::1]:8088/v1"),
    ],
)
def test_an_address_loses_its_last_slash_and_nothing_else(given, kept):
    assert check_base_url(given) == kept


NO_SCHEME = f"base_url does not begin with https:// and a host. Write it in full, as in {EXAMPLE}."
PLAIN = "Write https://, or pass gateway=Gateway(..., allow_plain_http=True)."


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (None, f"base_url takes a str such as {EXAMPLE}, not NoneType."),
        ("", NO_SCHEME),
        ("openrouter.ai/api/v1", NO_SCHEME),
        ("localhost:8088", NO_SCHEME),
        ("https:///v1", NO_SCHEME),
        ("ftp://openrouter.ai", NO_SCHEME),
        ("https://a.org:port", f"base_url is not an address. Write it as in {EXAMPLE}."),
        ("https://[::1", f"base_url is not an address. Write it as in {EXAMPLE}."),
        (
            "https://a.org/v1\n",
            f"base_url holds white space, a control character or a backslash. Write {EXAMPLE}.",
        ),
        (
            "https://sk-or-secret@a.org",
            "base_url holds a user name or password. Remove it, and pass the key as api_key.",
        ),
        (
            "https://a.org/v1?key=secret",
            "base_url holds a query or a fragment. Remove everything from '?' or '#' on.",
        ),
        ("https://a.org/v1#", "base_url holds a query or a fragment. Remove everything from '?' or '#' on."),
        ("http://a.org/v1", f"base_url would send the API key unencrypted to 'a.org'. {PLAIN}"),
        ("http://192.168.0.7", f"base_url would send the API key unencrypted to '192.168.0.7'. {PLAIN}"),
        (
            "http://localhost.evil.org",
            f"base_url would send the API key unencrypted to 'localhost.evil.org'. {PLAIN}",
        ),
    ],
)
def test_an_address_that_cannot_be_right_is_refused(given, text):
    with pytest.raises(ConfigurationError) as caught:
        check_base_url(given)
    assert str(caught.value) == text
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


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
    ("told", "price"),
    [("0.00000002", 0.02), ("0", 0.0), (0.0000001, 0.1), (None, None), ("free", None), ("NaN", None), (True, None)],
)
def test_prices_per_token_become_prices_per_million(told, price):
    (model,), _ = parse_models(OPENROUTER, page({"id": "a", "pricing": {"prompt": told}}))
    assert model.prompt_price == price


def test_a_listed_length_below_the_profiles_stands():
    (model,), _ = parse_models(OPENROUTER, page({**LISTED, "context_length": 1000}))
    assert model.context_length == 1000


@pytest.mark.parametrize(
    ("told", "following"),
    [
        ("https://openrouter.ai/api/v1/embeddings/models?offset=500&limit=500", "?offset=500&limit=500"),
        ("/api/v1/embeddings/models?offset=500", "?offset=500"),
        ("https://elsewhere.example/?offset=500#x", "?offset=500"),
        ("https://openrouter.ai/api/v1/embeddings/models", None),
        (None, None),
        (5, None),
    ],
)
def test_the_next_page_is_asked_for_at_our_own_address(told, following):
    local = OPENROUTER.at("http://localhost:1/v1")
    _, url = parse_models(local, page(LISTED, links={"next": told}))
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
