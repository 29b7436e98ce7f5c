"""Where a request goes, and how it looks on the wire."""

from __future__ import annotations

import pytest

from openrouter_embeddings._transport.proxies import Route
from openrouter_embeddings._transport.targets import Target, connect_seconds

HEADERS = [(b"authorization", b"Bearer sk-canary")]


@pytest.mark.parametrize(("seconds", "to_connect"), [(600.0, 10.0), (60.0, 10.0), (10.0, 9.0), (1.0, 0.9)])
def test_to_connect_takes_less_than_the_exchange_so_that_it_can_be_told_what_took_too_long(seconds, to_connect):
    assert connect_seconds(seconds) == to_connect


@pytest.mark.parametrize(
    ("url", "host", "path", "tls"),
    [
        ("https://gateway.test/v1/embeddings", b"gateway.test", b"/v1/embeddings", True),
        ("https://gateway.test:443/v1", b"gateway.test", b"/v1", True),
        ("http://gateway.test:8088/v1?key=a%20b", b"gateway.test:8088", b"/v1?key=a%20b", False),
        ("http://[::1]:8088/", b"[::1]:8088", b"/", False),
    ],
)
def test_an_address_is_read_once_with_the_way_there(monkeypatch, url, host, path, tls):
    monkeypatch.setenv("HTTPS_PROXY", "http://p:3128")
    target = Target.of(url)
    assert (target.host, target.url.target, target.tls) == (host, path, tls)
    assert target.route == (Route("http://p:3128") if tls else Route())


def test_a_body_is_posted_with_its_length_and_a_page_is_got():
    target = Target.of("http://gateway.test:8088/v1")
    post, get = target.request(b"{}", HEADERS, 60.0), target.request(None, HEADERS, 60.0)
    assert (post.method, get.method) == (b"POST", b"GET")
    assert post.headers == [(b"host", b"gateway.test:8088"), *HEADERS, (b"content-length", b"2")]
    assert get.headers == [(b"host", b"gateway.test:8088"), *HEADERS]
    assert post.extensions["timeout"] == {"connect": 10.0, "read": 60.0, "write": 60.0, "pool": 60.0}
