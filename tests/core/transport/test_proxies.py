"""Which way a request takes, by the environment; no address of a proxy is shown, as it may hold a password."""

from __future__ import annotations

import traceback

import pytest

from openrouter_embeddings._transport.proxies import Route, route_to
from openrouter_embeddings.errors import ConfigurationError

HTTP, HTTPS = "http://gateway.test:8088/v1/embeddings", "https://gateway.test/v1/embeddings"


@pytest.mark.parametrize(
    ("environment", "url", "proxy"),
    [
        ({}, HTTPS, None),
        ({"HTTPS_PROXY": "http://p:3128"}, HTTPS, "http://p:3128"),
        ({"https_proxy": "http://p:3128"}, HTTPS, "http://p:3128"),
        ({"HTTPS_PROXY": "http://p:3128"}, HTTP, None),
        ({"HTTP_PROXY": "http://p:3128"}, HTTP, "http://p:3128"),
        ({"HTTP_PROXY": "http://p:3128"}, HTTPS, None),
        ({"ALL_PROXY": "http://p:3128"}, HTTPS, "http://p:3128"),
        ({"ALL_PROXY": "http://other:1", "HTTPS_PROXY": "http://p:3128"}, HTTPS, "http://p:3128"),
        ({"HTTPS_PROXY": ""}, HTTPS, None),
        ({"HTTPS_PROXY": "http://p:3128", "NO_PROXY": "gateway.test"}, HTTPS, None),
        ({"HTTPS_PROXY": "http://p:3128", "NO_PROXY": ".test"}, HTTPS, None),
        ({"HTTPS_PROXY": "http://p:3128", "NO_PROXY": "*"}, HTTPS, None),
        ({"HTTPS_PROXY": "http://p:3128", "NO_PROXY": "other.test, localhost"}, HTTPS, "http://p:3128"),
        ({"HTTP_PROXY": "http://p:3128", "NO_PROXY": "gateway.test:8088"}, HTTP, None),
        ({"HTTP_PROXY": "http://p:3128", "NO_PROXY": "gateway.test:8089"}, HTTP, "http://p:3128"),
        ({"HTTP_PROXY": "http://p:3128", "NO_PROXY": "127.0.0.1"}, "http://127.0.0.1:8088/v1", None),
    ],
)
def test_the_environment_names_the_way(monkeypatch, environment, url, proxy):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert route_to(url).proxy == proxy


@pytest.mark.parametrize(
    ("address", "route"),
    [
        ("p:3128", Route("http://p:3128")),
        ("http://p", Route("http://p:80")),
        ("https://p", Route("https://p:443")),
        ("socks5://p", Route("socks5://p:1080")),
        ("socks5h://p:9", Route("socks5h://p:9")),
        ("HTTP://P:3128/", Route("http://p:3128")),
        ("http://[::1]:3128", Route("http://[::1]:3128")),
        ("http://user:secret@p:3128", Route("http://p:3128", (b"user", b"secret"))),
        ("http://us%65r:p%C3%A4%40ss@p:3128", Route("http://p:3128", (b"user", "pä@ss".encode()))),
        ("http://user@p:3128", Route("http://p:3128", (b"user", b""))),
    ],
)
def test_a_proxys_address_is_read(monkeypatch, address, route):
    monkeypatch.setenv("HTTPS_PROXY", address)
    assert route_to(HTTPS) == route


@pytest.mark.parametrize(
    "address",
    [
        "nonsense://user:canary@p:1",
        "ftp://user:canary@p:1",
        "http://user:canary@",
        "http://user:canary@p:port",
        "http://user:canary@p:99999",
        "http://user:canary@[::1:3128",
        "http://user:canary@prox\N{LATIN SMALL LETTER Y WITH DIAERESIS}:1",
        "http://user:canary@p..test:1",
        f"socks5://user:canary@{'p' * 64}:1",
    ],
)
def test_a_proxy_that_cannot_be_used_is_named_by_its_variables_alone(monkeypatch, address):
    monkeypatch.setenv("HTTPS_PROXY", address)
    with pytest.raises(ConfigurationError, match="Correct HTTP_PROXY, HTTPS_PROXY or ALL_PROXY") as caught:
        route_to(HTTPS)
    assert "canary" not in "".join(traceback.format_exception(caught.value))


def test_a_route_is_named_by_its_proxy_and_shows_no_password():
    route = Route("http://p:3128", (b"user", b"canary"))
    assert route.proxy_name == "p:3128"
    assert "canary" not in repr(route)
    assert Route().proxy_name == ""
    assert [Route(proxy).is_socks for proxy in (None, "http://p:1", "socks5://p:1", "socks5h://p:1")] == [
        False,
        False,
        True,
        True,
    ]
