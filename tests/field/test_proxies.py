"""Through squid and tinyproxy, by CONNECT and plain: all texts land with the right password; a wrong one is final."""

from __future__ import annotations

import pytest

from openrouter_embeddings import AuthenticationError, ConnectionFailedError

from .calls import COLOURS, COUNT, assert_whole, embed
from .servers import PASSWORD, USER, counted, proxy, run, start_nginx

PROXIES = ("squid", "tinyproxy")
NAMED = {
    ("squid", "CONNECT"): "The proxy refused the credentials",
    ("squid", "plain"): "The proxy refused the credentials",
    ("tinyproxy", "CONNECT"): "The proxy refused the credentials",
    ("tinyproxy", "plain"): "asks for a user and a password",
}
WAYS = ("CONNECT", "plain")


@pytest.fixture
def gateway_over_tls(authority, upstream, tmp_path):
    """A port at which nginx speaks TLS for the gateway, with a certificate of our authority."""
    folder = authority.file.parent
    certificate = f"ssl_certificate {folder}/server.pem; ssl_certificate_key {folder}/server.key;"
    with run(start_nginx(tmp_path, upstream, server=certificate, listen="ssl")) as edge:
        yield edge


@pytest.fixture
def base_url(request, embeddings_gateway, authority, monkeypatch):
    """The gateway's address for a way through the proxy; its certificate is trusted."""
    if request.param == "plain":
        return embeddings_gateway.base_url
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    return f"https://localhost:{request.getfixturevalue('gateway_over_tls').port}/api/v1"


def go_through(monkeypatch, port, password):
    """Name a proxy in the environment, as a user does."""
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, f"http://{USER}:{password}@127.0.0.1:{port}")


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("base_url", WAYS, indirect=True)
@pytest.mark.parametrize("name", PROXIES)
def test_through_a_proxy_all_texts_land(embeddings_gateway, right, monkeypatch, name, base_url, colour):
    with proxy(name) as daemon, counted(daemon) as served:
        go_through(monkeypatch, served.port, PASSWORD)
        result = embed(colour, base_url)
        assert served.connections, "the proxy was passed by"
    assert_whole(result, right, embeddings_gateway)
    assert embeddings_gateway.paid_inputs() == COUNT


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("base_url", WAYS, indirect=True)
@pytest.mark.parametrize("name", PROXIES)
def test_a_proxys_wrong_password_is_tried_twice_at_most_and_named(
    embeddings_gateway, monkeypatch, name, base_url, colour
):
    way = "CONNECT" if base_url.startswith("https:") else "plain"
    with proxy(name) as daemon, counted(daemon) as served:
        go_through(monkeypatch, served.port, "wrong-word")
        with pytest.raises((ConnectionFailedError, AuthenticationError), match=NAMED[name, way]) as caught:
            embed(colour, base_url)
    assert served.connections <= 2
    assert "wrong-word" not in str(caught.value)
    assert embeddings_gateway.paid_inputs() == 0


@pytest.mark.parametrize("colour", COLOURS)
def test_a_private_authority_is_trusted_where_ssl_cert_file_names_it(
    embeddings_gateway, gateway_over_tls, authority, right, monkeypatch, colour
):
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    result = embed(colour, f"https://localhost:{gateway_over_tls.port}/api/v1")
    assert_whole(result, right, embeddings_gateway)
    assert embeddings_gateway.paid_inputs() == COUNT


@pytest.mark.parametrize("colour", COLOURS)
def test_an_unknown_authority_is_met_twice_at_most_and_named(embeddings_gateway, gateway_over_tls, monkeypatch, colour):
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    with (
        counted(gateway_over_tls) as served,
        pytest.raises(ConnectionFailedError, match="The gateway's certificate is not trusted") as caught,
    ):
        embed(colour, f"https://localhost:{served.port}/api/v1")
    assert served.connections <= 2
    assert "SSL_CERT_FILE" in str(caught.value)
    assert embeddings_gateway.paid_inputs() == 0
