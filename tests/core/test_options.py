"""Nothing is guessed in silence: what cannot be right is refused before any request, in words that help."""

from __future__ import annotations

import inspect
import pickle
import threading

import numpy as np
import pytest
from pydantic import SecretStr

from openrouter_embeddings import Client, ClientOptions, ConfigurationError, Gateway, Options
from openrouter_embeddings._flows.learned import LearnedLimits
from openrouter_embeddings._flows.settings import body_fields, marking
from openrouter_embeddings._secret import Secret
from openrouter_embeddings.options import meaning_of
from openrouter_embeddings.profiles import UNKNOWN, profile_for


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"dimension": 3}, "Option 'dimension' is unknown. Did you mean 'dimensions'?"),
        ({"zzz": 3}, "Option 'zzz' is unknown. A request field newer"),
        ({"dimensions": 0}, "dimensions must be at least 1, not 0."),
        ({"dimensions": 1.5}, "dimensions takes a whole number, not 1.5."),
        ({"dimensions": True}, "dimensions takes a whole number, not True."),
        ({"batch_size": 0}, "batch_size must be at least 1, not 0."),
        ({"max_concurrency": 0}, "max_concurrency must be at least 1"),
        ({"max_retries": -1}, "max_retries must be at least 0"),
        ({"timeout": 0}, "timeout must be a finite number above 0, not 0."),
        ({"timeout": "5"}, "timeout takes a number, not '5'."),
        ({"retry_timeout": float("nan")}, "retry_timeout must be a finite number of at least 0, not nan."),
        ({"max_cost": -1}, "max_cost must be a finite number"),
        ({"normalize": "yes"}, "normalize takes True, False, None, not 'yes'."),
        ({"normalize": []}, "normalize takes True, False, None, not []."),
        ({"normalize": 1}, "normalize takes True, False, None, not 1."),
        ({"timeout": None}, "timeout takes a number, not None."),
        ({"timeout": 10**400}, "timeout must be a finite number above 0"),
        ({"max_cost": "1"}, "max_cost takes a number, not '1'."),
        ({"call_timeout": 0}, "call_timeout must be a finite number above 0, not 0."),
        ({"compression": "br"}, "compression takes 'auto', 'gzip', 'none', not 'br'."),
        ({"on_too_long": "cut"}, "on_too_long takes 'error', 'truncate', 'average', not 'cut'."),
        ({"server_cache": 86_401}, "server_cache must be at most 86400, not 86401."),
        ({"server_cache": 60, "gateway": "infron"}, "infron keeps no answers. Leave server_cache out."),
        ({"profile": ""}, "profile is empty."),
        ({"http_client": "x"}, "http_client takes an httpx.Client or a function that makes one, not str."),
        (
            {"async_http_client": object()},
            "async_http_client takes an httpx.AsyncClient or a function that makes one, not object.",
        ),
        ({"encoding_format": "int8"}, "encoding_format takes 'auto', 'base64', 'float', not 'int8'."),
        ({"on_error": "ignore"}, "on_error takes 'raise', 'null', not 'ignore'."),
        ({"on_empty": "skip"}, "on_empty takes 'error', 'zero', 'null', not 'skip'."),
        ({"cache": 3}, "cache must be a path or have get and put, not int."),
        ({"session_id": "x" * 257}, "session_id has 257 characters; the gateway takes 256."),
        ({"user": 3}, "user takes a string, not int."),
        ({"trace": ["x"]}, "trace takes a mapping with string keys, not list."),
        ({"extra_body": [1]}, "extra_body takes a mapping with string keys, not list."),
        ({"extra_body": {1: 2}}, "Option 'extra_body' holds a key that is int, not str."),
        ({"extra_body": {"a": {1}}}, "Option 'extra_body.a' holds set, which JSON cannot carry."),
        ({"extra_body": {"a": float("nan")}}, "Option 'extra_body.a' holds a number that JSON cannot carry: nan."),
        ({"trace": {"a": object()}}, "Option 'trace.a' holds object, which JSON cannot carry."),
        ({"extra_headers": {"x y": "canary"}}, "extra_headers: 'x y' is no header name."),
        ({"extra_headers": {"x": "a\r\nb"}}, "extra_headers['x'] holds a line break or control character"),
        ({"extra_headers": {"x": 3}}, "extra_headers['x'] must be a string, not int."),
        ({"app_title": "日本"}, "app_title holds characters that no header can carry"),
        ({"app_categories": "one"}, "app_categories takes a list of strings."),
        ({"app_categories": 3}, "app_categories takes a list of strings."),
        ({"app_categories": ["a", "b", "c"]}, "app_categories holds 3 names; the gateway takes at most 2."),
        ({"api_key": 3}, "api_key takes a string, a SecretStr or a callable, not int."),
        ({"api_key": " \n"}, "api_key is empty."),
        (
            {"api_key": "sk-canary\r\nx"},
            "api_key holds a line break or control character (it), which no header can carry.",
        ),
        ({"api_key": "sk-cänary"}, "api_key holds characters that no header can carry (it)."),
        ({"base_url": "http://example.com/v1"}, "base_url would send the API key unencrypted to 'example.com'."),
        ({"gateway": "openruter"}, "Gateway 'openruter' is unknown. Did you mean 'openrouter'?"),
        (
            {"provider": {"data_colection": "deny"}},
            "Provider preference 'data_colection' is unknown. Did you mean 'data_collection'?",
        ),
    ],
)
def test_a_wrong_option_is_refused(options, text):
    with pytest.raises(ConfigurationError) as caught:
        Client("m", **options)
    assert text in str(caught.value)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("model", ["", "  ", None, 3])
def test_a_model_is_a_name(model):
    with pytest.raises(ConfigurationError, match="model"):
        Client(model)


def test_the_options_have_one_list_of_names_and_each_has_a_meaning():
    names = set(inspect.signature(Options).parameters)
    assert set(ClientOptions.__annotations__) | {"model"} == names
    for name in names:
        assert meaning_of(name).endswith(".")
        assert f"        {name}: {meaning_of(name)}" in Options.__doc__


def test_numpys_numbers_are_taken():
    options = Options(model="m", dimensions=np.int64(8), timeout=np.float64(2.5), max_cost=np.float32(0.5))
    assert (options.dimensions, options.timeout, options.max_cost) == (8, 2.5, 0.5)
    assert "np." not in repr(options)


def test_the_headers_of_an_option_are_shown_nowhere():
    headers = {"a": "canary", "b": SecretStr("canary"), "c": Secret("canary"), "d": lambda: "canary"}
    options = Options(model="m", extra_headers=headers)
    assert "canary" not in repr(options)
    assert "extra_headers" not in repr(options)
    assert options.extra_headers == headers


def test_what_was_given_makes_a_copy():
    options = Options(model="m", dimensions=8, extra_body={"a": 1}, timeout=60.0)
    assert options.given()["dimensions"] == 8
    assert "max_retries" not in options.given()
    assert Options(**options.given()) == options


def test_what_is_given_is_copied():
    body = {"a": {"b": 1}}
    options = Options(model="m", extra_body=body)
    body["a"]["b"] = 2
    assert options.extra_body == {"a": {"b": 1}}


def test_the_facts_are_the_models_or_those_of_the_one_that_profile_names():
    assert Options(model="baai/bge-m3").facts is profile_for("baai/bge-m3")
    assert Options(model="my-alias", profile="baai/bge-m3").facts is profile_for("baai/bge-m3")
    assert Options(model="my-alias").facts is UNKNOWN


def test_a_profile_that_is_not_known_is_an_error():
    with pytest.raises(ConfigurationError, match="profile names a model that is not known: 'qwen/embeding'"):
        Options(model="my-alias", profile="qwen/embeding")


def test_plain_http_to_another_machine_must_be_allowed():
    assert Options(model="m", base_url="http://a.org/v1", allow_plain_http=True).address() == "http://a.org/v1"
    mine = Gateway(name="mine", base_url="http://a.org/v1", allow_plain_http=True)
    assert Options(model="m", gateway=mine).address() == "http://a.org/v1"


def test_a_gateway_without_an_address_of_its_own_needs_one():
    with pytest.raises(ConfigurationError, match=r"openai-compatible has no address of its own\. Pass base_url="):
        Options(model="m", gateway="openai-compatible").address()
    assert Options(model="m", gateway="openai-compatible").key() == ""
    assert (
        Options(model="m", gateway="openai-compatible", base_url="http://[::1]:1/v1").address() == "http://[::1]:1/v1"
    )


def test_a_missing_key_names_the_variable(monkeypatch):
    client = Client("m", base_url="http://127.0.0.1:9")
    with pytest.raises(ConfigurationError) as caught:
        client.embed_query("x")
    assert str(caught.value) == "No API key for openrouter. Pass api_key=... or set OPENROUTER_API_KEY."
    with pytest.raises(ConfigurationError, match="set INFRON_API_KEY or ONEROUTER_API_KEY"):
        Client("m", gateway="infron").embed_query("x")
    with pytest.raises(ConfigurationError, match=r"Pass api_key=\.\.\.\.$"):
        Client("m", gateway=Gateway(name="mine", base_url="https://example.com")).embed_query("x")


def test_the_key_is_read_where_it_is_kept(monkeypatch):
    assert Options(model="m", api_key="sk-1\n").key() == "sk-1"
    assert Options(model="m", api_key=SecretStr("sk-2")).key() == "sk-2"
    assert Options(model="m", api_key=lambda: "sk-3").key() == "sk-3"
    assert Options(model="m", api_key=lambda: SecretStr("sk-4")).key() == "sk-4"
    with pytest.raises(ConfigurationError, match="gave int"):
        Options(model="m", api_key=lambda: 3).key()
    assert Options(model="m").key(required=False) == ""
    monkeypatch.setenv("INFRON_API_KEY", " ")
    monkeypatch.setenv("ONEROUTER_API_KEY", "sk-5 ")
    assert Options(model="m", gateway="infron").key() == "sk-5"
    monkeypatch.setenv("OPENROUTER_API_KEY", "sk-canäry日")
    with pytest.raises(
        ConfigurationError, match=r"OPENROUTER_API_KEY holds characters that no header can carry \(it\)"
    ):
        Options(model="m").key()


def test_what_a_key_callable_raises_is_its_own_affair():
    with pytest.raises(ZeroDivisionError):
        Options(model="m", api_key=lambda: 1 / 0).key()


def test_a_key_is_shown_nowhere_and_travels_in_a_pickle():
    options = Options(model="m", api_key="sk-1")
    assert "sk-1" not in f"{options!r} {options.api_key} {options.api_key!r} {vars(options)}"
    assert pickle.loads(pickle.dumps(options)) == options
    assert options != Options(model="m", api_key="sk-2")
    with pytest.raises(ConfigurationError, match="gave type"):
        Options(model="m", api_key=lambda: SecretStr).key()


def test_the_address_is_the_given_one_else_the_environments_else_the_gateways(monkeypatch):
    assert Options(model="m").address() == "https://openrouter.ai/api/v1"
    monkeypatch.setenv("OPENROUTER_API_BASE", "https://example.com/v1/")
    assert Options(model="m").address() == "https://example.com/v1"
    assert Options(model="m", base_url="https://example.org/").address() == "https://example.org"
    monkeypatch.setenv("OPENROUTER_API_BASE", "http://example.com")
    with pytest.raises(ConfigurationError, match="unencrypted"):
        Options(model="m").address()


def sides(model: str, **options):
    checked = Options(model=model, **options)
    marks = [marking(checked, profile_for(model), input_type) for input_type in ("query", "document")]
    return [(mark.input_type, mark.prefix) for mark in marks]


def test_each_side_is_marked_as_the_profile_says_unless_the_user_says_otherwise():
    assert sides("intfloat/e5-base-v2") == [(None, "query: "), (None, "passage: ")]
    assert sides("voyageai/voyage-4") == [("query", ""), ("document", "")]
    assert sides("openai/text-embedding-3-small") == [(None, ""), (None, "")]
    assert sides("voyageai/voyage-4", query_input_type="") == [(None, ""), ("document", "")]
    assert sides("intfloat/e5-base-v2", query_prefix="", document_prefix="d: ") == [(None, ""), (None, "d: ")]
    # The user's own input_type takes the place of the profile's prefix: both would mark twice.
    assert sides("intfloat/e5-base-v2", query_input_type="search_query")[0] == ("search_query", "")
    assert sides("voyageai/voyage-4", query_prefix="q: ")[0] == (None, "q: ")


def test_an_unknown_model_gets_the_gateways_documented_values():
    assert sides("new/model") == [("search_query", ""), ("search_document", "")]
    assert sides("new/model", gateway="infron") == [(None, ""), (None, "")]
    assert sides("new/model", provider={"require_parameters": True}) == [(None, ""), (None, "")]
    assert sides("new/model", query_input_type="", document_input_type="passage") == [(None, ""), ("passage", "")]


def test_the_body_holds_what_was_set_and_nothing_null():
    options = Options(
        model="openrouter/openai/text-embedding-3-small",
        dimensions=8,
        user="u",
        trace={"trace_id": "t"},
        provider={"order": ["a"]},
        extra_body={"provider": {"new": 1}, "later": True},
    )
    assert body_fields(options, "query") == {
        "model": "openai/text-embedding-3-small",
        "dimensions": 8,
        "input_type": "query",
        "provider": {"order": ["a"], "new": 1},
        "user": "u",
        "trace": {"trace_id": "t"},
        "later": True,
    }
    assert body_fields(Options(model="m"), None) == {"model": "m"}


def test_batches_start_from_what_is_known():
    def limits(model, **options):
        return LearnedLimits.initial(Options(model=model, **options), profile_for(model))

    assert limits("openai/text-embedding-3-small").max_inputs == 256
    assert limits("new/model").max_inputs == 64
    assert limits("google/gemini-embedding-001").max_inputs == 100
    assert limits("new/model", batch_size=500, batch_tokens=7).max_inputs == 500
    assert limits("new/model", batch_tokens=7).max_tokens == 7
    assert limits("new/model", encoding_format="float").encoding == "float"
    assert limits("new/model").encoding is None


def test_a_limiter_and_a_function_before_each_request_are_one_thing():
    function = len
    assert Options(model="m").shared_limiter is None
    with pytest.raises(ConfigurationError, match="limiter= and before_request= do the same"):
        Options(model="m", limiter=threading.Semaphore(), before_request=function)
    limiter = threading.Semaphore()
    assert Options(model="m", limiter=limiter).shared_limiter is limiter
    assert Options(model="m", before_request=function).shared_limiter is not None
