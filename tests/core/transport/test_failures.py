"""What went wrong on the way is told apart, in both colours, and in words of ours alone."""

from __future__ import annotations

import errno
import os
import socket
import ssl

import httpcore
import httpx
import pytest

from openrouter_embeddings._protocol import TransportFailure, TransportFault, diagnose_failure
from openrouter_embeddings._transport.body import BadEncoding, TooLarge
from openrouter_embeddings._transport.failures import failure_of
from openrouter_embeddings._transport.proxies import Route

from ...support.sockets import (
    answering,
    closed_port,
    cut,
    http,
    http_proxy,
    leave,
    reset,
    saying,
    serving,
    socks_proxy,
)

Fault = TransportFault
FAR = "https://gateway.test/v1/embeddings"
ALERT = b"\x15\x03\x01\x00\x02\x02\x28"  # TLS: a handshake that failed


def words_of(failure: TransportFailure) -> str:
    diagnosis = diagnose_failure(failure, seconds=10.0)
    assert diagnosis.error_body is None
    return f"{diagnosis.summary}. {diagnosis.advice}"


# ---------------------------------------------------------------------------------------------------- no connection, no TLS


def test_a_name_that_does_not_resolve_is_a_fault_of_dns(exchange, monkeypatch):
    def fail(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    failure = exchange("http://gateway.invalid/v1")
    assert failure == TransportFailure(Fault.DNS)
    assert words_of(failure).startswith("The gateway's name could not be resolved. Check the host in base_url")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_port_at_which_nobody_listens_refuses_the_connection(exchange, host):
    failure = exchange(f"http://{host}:{closed_port()}/v1")
    assert failure == TransportFailure(Fault.REFUSED)
    assert words_of(failure).startswith("The connection was refused. Check that the gateway runs at this address")


@pytest.mark.parametrize("act", [cut, reset, leave], ids=["cut", "reset", "closed"])
def test_a_handshake_that_is_cut_may_be_tried_again(exchange, act):
    with serving(act) as served:
        failure = exchange(served.url.replace("http:", "https:"))
    assert failure == TransportFailure(Fault.UNREACHABLE, "connection cut")
    assert words_of(failure).startswith("Could not connect (connection cut). ")


def test_a_server_that_speaks_plain_http_where_tls_was_expected_is_told_apart(exchange):
    with serving(saying(http(status="400 Bad Request"))) as served:
        failure = exchange(served.url.replace("http:", "https:"))
    assert failure.fault is Fault.NOT_TLS
    assert words_of(failure) == (
        "The server at this address speaks plain HTTP, not TLS. Correct the port or the https:// in base_url."
    )


def test_a_handshake_that_the_server_refuses_is_a_fault_of_tls(exchange):
    with serving(saying(ALERT)) as served:
        failure = exchange(served.url.replace("http:", "https:"))
    assert failure.fault is Fault.TLS
    assert "HANDSHAKE_FAILURE" in failure.detail


def test_a_certificate_of_an_unknown_authority_is_said_to_be_untrusted_with_the_cure(exchange, authority):
    with serving(answering(), tls=authority.server) as served:
        failure = exchange(f"https://localhost:{served.port}/v1")
    assert failure.fault is Fault.CERTIFICATE
    assert words_of(failure).startswith("The gateway's certificate is not trusted (")
    assert "Set SSL_CERT_FILE" in words_of(failure)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_a_certificate_for_another_name_is_not_called_untrusted(exchange, authority, monkeypatch, host):
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    with serving(answering(), tls=authority.other) as served:
        failure = exchange(f"https://{host}:{served.port}/v1")
    assert failure == TransportFailure(Fault.HOST_NAME)


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_an_authority_that_the_environment_names_is_trusted(exchange, authority, monkeypatch, variable):
    monkeypatch.setenv(variable, str(authority.file))
    with serving(answering(), tls=authority.server) as served:
        assert exchange(f"https://localhost:{served.port}/v1").status == 200


# ----------------------------------------------------------------------------------------------------------------- proxies


@pytest.fixture
def through(monkeypatch):
    """Return a function that sends what leaves this machine through a proxy."""

    def use(address: str) -> None:
        monkeypatch.setenv("HTTPS_PROXY", address)
        monkeypatch.delenv("https_proxy", raising=False)

    return use


@pytest.mark.parametrize("scheme", ["http", "socks5", "socks5h"])
def test_a_proxy_is_gone_through(exchange, authority, monkeypatch, through, scheme):
    if scheme != "http":
        pytest.importorskip("socksio")
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    with serving(answering(), tls=authority.server) as gateway:
        proxy = http_proxy(gateway.port) if scheme == "http" else socks_proxy(gateway.port, method=2)
        with serving(proxy) as served:
            through(f"{scheme}://us%65r:p%C3%A4ss@127.0.0.1:{served.port}")
            answer = exchange(FAR)
    assert answer.status == 200, answer
    assert b"Bearer sk-canary" in gateway.requests[0]
    assert b"canary" not in b"".join(served.requests)
    if scheme == "http":
        assert served.requests[0].startswith(b"CONNECT gateway.test:443 HTTP/1.1")
        assert b"proxy-authorization: Basic dXNlcjpww6Rzcw==" in served.requests[0].replace(b"Proxy-A", b"proxy-a")
    else:
        assert served.requests[0] == b"\x01\x04user\x05p\xc3\xa4ss"
        assert b"gateway.test" in served.requests[1]


def test_a_proxy_may_speak_tls_itself(exchange, authority, monkeypatch, through):
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    with serving(answering()) as gateway, serving(answering(), tls=authority.server) as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"https://localhost:{proxy.port}")
        assert exchange("http://gateway.test/v1").status == 200
    assert proxy.requests[0].startswith(b"POST http://gateway.test/v1 HTTP/1.1")
    assert gateway.requests == []


@pytest.mark.parametrize(
    ("status", "fault", "words"),
    [
        ("407 Authenticate", Fault.PROXY_AUTHENTICATION, "The proxy refused the credentials ({}, 407). "),
        ("401 Unauthorized", Fault.PROXY_AUTHENTICATION, "The proxy refused the credentials ({}, 401). "),
        ("403 Forbidden", Fault.PROXY_REFUSED, "The proxy refused to connect to the gateway ({}, 403). "),
        ("502 Bad Gateway", Fault.PROXY_FAILED, "The proxy could not connect to the gateway ({}, 502). "),
    ],
)
def test_an_http_proxy_that_does_not_let_through_is_named_with_its_status(exchange, through, status, fault, words):
    with serving(http_proxy(0, status)) as served:
        through(f"http://user:canary@127.0.0.1:{served.port}")
        failure = exchange(FAR)
    assert failure == TransportFailure(fault, f"127.0.0.1:{served.port}, {status[:3]}")
    assert words_of(failure).startswith(words.format(f"127.0.0.1:{served.port}"))
    assert "canary" not in words_of(failure) + repr(failure)


@pytest.mark.parametrize(
    ("proxy", "user", "fault"),
    [
        ({"method": 2, "accepts": False}, "user:canary@", Fault.PROXY_AUTHENTICATION),
        ({"method": 2}, "", Fault.PROXY_AUTHENTICATION),
        ({"method": 255}, "user:canary@", Fault.PROXY_AUTHENTICATION),
        ({"reply": 2}, "", Fault.PROXY_REFUSED),
        ({"reply": 5}, "", Fault.PROXY_FAILED),
    ],
    ids=["wrong password", "no password", "no method", "not allowed", "refused"],
)
def test_a_socks_proxy_that_does_not_let_through_is_named(exchange, through, proxy, user, fault):
    pytest.importorskip("socksio")
    with serving(socks_proxy(0, **proxy)) as served:
        through(f"socks5://{user}127.0.0.1:{served.port}")
        failure = exchange(FAR)
    assert failure == TransportFailure(fault, f"127.0.0.1:{served.port}")
    assert "canary" not in words_of(failure)


def test_a_socks_proxy_that_speaks_another_protocol_is_said_to_have_failed(exchange, through):
    pytest.importorskip("socksio")
    with serving(saying(http(status="400 Bad Request"))) as served:
        through(f"socks5://127.0.0.1:{served.port}")
        assert exchange(FAR) == TransportFailure(Fault.PROXY_FAILED, f"127.0.0.1:{served.port}")


@pytest.mark.parametrize("scheme", ["http", "socks5"])
def test_a_proxy_that_is_not_there_is_said_to_be_unreachable(exchange, through, scheme):
    if scheme != "http":
        pytest.importorskip("socksio")
    port = closed_port()
    through(f"{scheme}://user:canary@127.0.0.1:{port}")
    failure = exchange(FAR)
    assert failure == TransportFailure(Fault.PROXY_UNREACHABLE, f"127.0.0.1:{port}")
    assert words_of(failure).startswith(f"The proxy could not be reached (127.0.0.1:{port}). Correct HTTPS_PROXY")


def test_a_certificate_behind_a_proxy_is_the_gateways(exchange, authority, through):
    with serving(answering(), tls=authority.server) as gateway, serving(http_proxy(gateway.port)) as served:
        through(f"http://127.0.0.1:{served.port}")
        assert exchange(FAR).fault is Fault.CERTIFICATE


# ------------------------------------------------------------------------------------------------ exceptions, one by one

OURS, PROXIED = Route(), Route("http://p:1", (b"u", b"canary"))
CUT = TransportFailure(Fault.UNREACHABLE, "connection cut")


def caused(error: Exception, *causes: BaseException) -> Exception:
    link: BaseException = error
    for cause in causes:
        link.__cause__ = cause
        link = cause
    return error


@pytest.mark.parametrize(
    ("error", "route", "failure"),
    [
        (TooLarge(), OURS, TransportFailure(Fault.TOO_LARGE)),
        (BadEncoding(), OURS, TransportFailure(Fault.BAD_ENCODING)),
        (httpx.ConnectTimeout(""), None, TransportFailure(Fault.CONNECT_TIMEOUT)),
        (httpcore.PoolTimeout(), OURS, TransportFailure(Fault.CONNECT_TIMEOUT)),
        (httpcore.ConnectTimeout(), PROXIED, TransportFailure(Fault.PROXY_UNREACHABLE, "p:1")),
        (httpx.ReadTimeout(""), None, TransportFailure(Fault.TIMED_OUT)),
        (httpcore.WriteTimeout(), OURS, TransportFailure(Fault.TIMED_OUT)),
        (TimeoutError(), OURS, TransportFailure(Fault.TIMED_OUT)),
        (httpx.RemoteProtocolError("secret"), None, TransportFailure(Fault.CONNECTION_LOST, "RemoteProtocolError")),
        (httpcore.ReadError("secret"), OURS, TransportFailure(Fault.CONNECTION_LOST, "ReadError")),
        (ConnectionResetError("secret"), OURS, TransportFailure(Fault.CONNECTION_LOST, "ConnectionResetError")),
        (ssl.SSLError("secret"), None, TransportFailure(Fault.CONNECTION_LOST, "SSLError")),
        (httpx.DecodingError("secret"), None, TransportFailure(Fault.CONNECTION_LOST, "DecodingError")),
        (httpx.ProxyError("407 no"), None, TransportFailure(Fault.PROXY_AUTHENTICATION, "407")),
        (httpx.ConnectError("secret"), None, TransportFailure(Fault.UNREACHABLE, "ConnectError")),
        (
            caused(httpcore.ConnectError("secret"), OSError(errno.EHOSTUNREACH, "secret")),
            OURS,
            TransportFailure(Fault.UNREACHABLE, os.strerror(errno.EHOSTUNREACH)),
        ),
        (
            caused(
                httpcore.ConnectError(),
                ExceptionGroup("all", [OSError(errno.ENETUNREACH, ""), ConnectionRefusedError()]),
            ),
            OURS,
            TransportFailure(Fault.REFUSED),
        ),
        (caused(httpcore.ConnectError(), ConnectionResetError()), OURS, CUT),
        (caused(httpcore.ConnectError(), ssl.SSLEOFError()), OURS, CUT),
        (
            caused(httpcore.ConnectError(), ssl.SSLWantReadError(), ConnectionResetError()),
            OURS,
            CUT,
        ),
        (caused(httpcore.ConnectError(), ssl.SSLError()), OURS, TransportFailure(Fault.TLS, "SSLError")),
        (caused(httpcore.ConnectError(), OSError()), PROXIED, TransportFailure(Fault.PROXY_UNREACHABLE, "p:1")),
        (httpcore.ConnectError(), PROXIED, TransportFailure(Fault.PROXY_UNREACHABLE, "p:1")),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_an_exception_of_the_transport_is_a_fault_without_its_words(error, route, failure):
    assert failure_of(error, route) == failure
    assert "secret" not in repr(failure_of(error, route))


def test_a_chain_that_leads_back_to_itself_has_an_end():
    error = httpcore.ConnectError()
    error.__cause__ = inner = OSError()
    inner.__context__ = error
    assert failure_of(error, OURS).fault is Fault.UNREACHABLE


@pytest.mark.parametrize(
    "error", [ZeroDivisionError(), OSError(), TimeoutError(), httpx.HTTPStatusError("", request=None, response=None)]
)
def test_what_a_hook_of_the_users_raises_is_raised_again(error):
    with pytest.raises(type(error)) as caught:
        failure_of(error)
    assert caught.value is error


def test_what_is_no_fault_of_the_transport_is_raised_again():
    with pytest.raises(ZeroDivisionError):
        failure_of(ZeroDivisionError(), OURS)
