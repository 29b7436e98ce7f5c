"""What the gateways do in their own way: addresses and names."""

from __future__ import annotations

import copy
import pickle

import pytest

from openrouter_embeddings.errors import ConfigurationError
from openrouter_embeddings.gateways import (
    INFRON,
    OPENAI_COMPATIBLE,
    OPENROUTER,
    ErrorHint,
    Gateway,
    ModelInfo,
    check_base_url,
    gateway_named,
)

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


def test_a_server_of_ones_own_needs_no_key_and_nothing_beyond_openais_dialect():
    mine = OPENAI_COMPATIBLE.at("http://127.0.0.1:8000/v1")
    assert (mine.key_required, mine.input_types, mine.sends_attribution, mine.caches_answers) == (
        False,
        None,
        False,
        False,
    )
    assert mine.models_url == "http://127.0.0.1:8000/v1/models"
    assert gateway_named("openai-compatible") is OPENAI_COMPATIBLE


def test_a_gateway_is_named_with_its_address_where_that_is_not_its_own():
    assert OPENROUTER.described(None) == OPENROUTER.described(OPENROUTER.base_url) == "openrouter"
    assert OPENROUTER.described("http://127.0.0.1:1") == "openrouter (http://127.0.0.1:1)"


def test_what_is_known_of_a_model_is_a_value():
    info = ModelInfo(id="m", name="M", raw={"a": 1})
    assert pickle.loads(pickle.dumps(info)) == info
    assert hash(info) == hash(ModelInfo(id="m", name="M", raw={"b": 2}))
    assert "raw" not in repr(info)


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
    assert mine.at("http://b.corp/v1", allow_plain_http=True).models_url == "http://b.corp/v1/embeddings/models"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"name": "", "base_url": "https://a.org"}, "Gateway takes a name, such as 'mine'."),
        (
            {"name": "a", "base_url": "https://a.org", "models_base_url": "a.org"},
            f"base_url does not begin with https:// and a host. Write it in full, as in {EXAMPLE}.",
        ),
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
                "Use 'openrouter', 'infron', 'openai-compatible' or a Gateway(name=..., base_url=...)."
            ),
        ),
        (
            "litellm",
            "Gateway 'litellm' is unknown. Use 'openrouter', 'infron', 'openai-compatible' or a Gateway(name=..., base_url=...).",
        ),
        (None, "gateway takes 'openrouter', 'infron', 'openai-compatible' or a Gateway(...), not NoneType."),
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
        ("https://gateway.example./v1", "https://gateway.example./v1"),
        (f"https://{'a' * 63}.example", f"https://{'a' * 63}.example"),
        ("http://[::1]:8088/v1", "http://[::1]:8088/v1"),
    ],
)
def test_an_address_loses_its_last_slash_and_nothing_else(given, kept):
    assert check_base_url(given) == kept


NO_SCHEME = f"base_url does not begin with https:// and a host. Write it in full, as in {EXAMPLE}."
NO_HOST = f"base_url holds no name that a host can have. Write it as in {EXAMPLE}."
NOT_ASCII = "base_url holds characters other than ASCII. Write a host's name as DNS has it (xn--), and a path's as %xx."
PLAIN = "Write https://, or set allow_plain_http=True where the network between is yours."


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (None, f"base_url takes a str such as {EXAMPLE}, not NoneType."),
        ("", NO_SCHEME),
        ("https://a.org\\v1", f"base_url holds white space, a control character or a backslash. Write {EXAMPLE}."),
        ("openrouter.ai/api/v1", NO_SCHEME),
        ("localhost:8088", NO_SCHEME),
        ("https:///v1", NO_SCHEME),
        ("ftp://openrouter.ai", NO_SCHEME),
        ("https://a.org:port", f"base_url is not an address. Write it as in {EXAMPLE}."),
        ("https://[::1", f"base_url is not an address. Write it as in {EXAMPLE}."),
        ("https://a..org/v1", NO_HOST),
        ("https://.a.org/v1", NO_HOST),
        (f"https://{'a' * 64}.org/v1", NO_HOST),
        ("https://b\N{LATIN SMALL LETTER U WITH DIAERESIS}cher.org/v1", NOT_ASCII),
        ("https://a.org/v\N{SUPERSCRIPT ONE}", NOT_ASCII),
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
