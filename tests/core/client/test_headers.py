"""The headers of a request: what the options say, each name once, and the key as it is at that moment."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from openrouter_embeddings import Client, ConfigurationError
from openrouter_embeddings.client.headers import RequestHeaders
from openrouter_embeddings.options import Options

from .conftest import MODEL


def headers(*, keyed: bool = True, **options) -> dict[str, str]:
    given = RequestHeaders(Options(model=MODEL, **options), accept_encoding="identity")(keyed)
    named = {name.decode(): value.decode("latin-1") for name, value in given}
    assert len(named) == len(given), "a name stands twice"
    return named


def test_every_option_has_its_header():
    given = headers(
        api_key="sk-1",
        session_id="s-1",
        app_url="https://example.com",
        app_title="Café",
        app_categories=["a", "b"],
        server_cache=600,
    )
    assert given.pop("user-agent").startswith("openrouter-embeddings/")
    assert given == {
        "authorization": "Bearer sk-1",
        "content-type": "application/json",
        "accept": "application/json",
        "accept-encoding": "identity",
        "http-referer": "https://example.com",
        "x-openrouter-title": "Café",
        "x-openrouter-categories": "a,b",
        "x-session-id": "s-1",
        "x-openrouter-cache": "true",
        "x-openrouter-cache-ttl": "600",
    }


def test_a_gateway_without_rankings_is_told_nothing_of_the_app():
    told = headers(api_key="k", gateway="infron", app_url="https://example.com", app_title="t", app_categories=["a"])
    assert not {"http-referer", "x-openrouter-title", "x-openrouter-categories"} & set(told)


def test_what_the_user_adds_wins_whatever_its_case():
    assert headers(api_key="k", extra_headers={"User-Agent": "mine", "X-Own": "1"})["user-agent"] == "mine"
    assert headers(api_key="k", extra_headers={"Authorization": "Basic x"})["authorization"] == "Basic x"


def test_where_no_key_is_needed_or_wanted_none_goes_along():
    assert "authorization" not in headers(gateway="openai-compatible", base_url="http://127.0.0.1:1/v1")
    assert "authorization" not in headers(api_key="k", keyed=False)
    assert "authorization" not in headers(keyed=False, extra_headers={"authorization": "Basic x"})


def test_a_header_may_be_a_secret_or_be_asked_for_each_time():
    values = iter(["one", "two"])
    options = Options(
        model=MODEL, api_key="k", extra_headers={"x-secret": SecretStr("canary"), "x-new": lambda: next(values)}
    )
    make = RequestHeaders(options, accept_encoding="identity")
    assert [dict(make(True))[b"x-new"] for _ in range(2)] == [b"one", b"two"]
    assert headers(api_key="k", extra_headers={"x-secret": SecretStr("canary")})["x-secret"] == "canary"


@pytest.mark.parametrize("value", ["a\r\nb", "日本", 7])
def test_a_value_that_no_header_can_carry_is_refused_when_it_is_given_and_not_shown(value):
    with pytest.raises(ConfigurationError, match=r"extra_headers\['x-own'\]") as caught:
        headers(api_key="k", extra_headers={"x-own": lambda: value})
    assert str(value) not in str(caught.value) or value == 7


def test_a_callable_key_may_change_between_requests(embeddings_gateway):
    keys = iter(["sk-first-key"] * 2 + ["sk-second-key"] * 9)
    with Client(MODEL, api_key=lambda: next(keys), base_url=embeddings_gateway.base_url) as client:
        client.embed_query("x")
        client.embed_query("y")
    hashes = {request.headers["authorization_sha256"] for request in embeddings_gateway.embedding_requests()}
    assert len(hashes) == 2


def test_a_key_that_cannot_be_had_ends_the_call_before_anything_leaves(embeddings_gateway):
    def lost() -> str:
        raise OSError("the vault is shut")

    with (
        Client(MODEL, api_key=lost, base_url=embeddings_gateway.base_url) as client,
        pytest.raises(OSError, match="the vault is shut"),
    ):
        client.embed_documents(["a"])
    assert embeddings_gateway.embedding_requests() == []
    assert client.usage.requests == 0
