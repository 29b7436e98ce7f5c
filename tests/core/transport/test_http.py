"""One exchange with servers that no correct HTTP stack would be: bounded in time and size, never redirected."""

from __future__ import annotations

import gzip
import logging
import threading
import tracemalloc
import zlib
from typing import Any

import httpx
import pytest

from openrouter_embeddings._protocol import Remedy, TransportFailure, TransportFault, diagnose_failure
from openrouter_embeddings._transport import HttpTransport
from openrouter_embeddings.errors import ConfigurationError

from ...support.sockets import (
    answering,
    cut,
    dripping,
    hang,
    http,
    leave,
    read_request,
    reset,
    saying,
    serving,
)
from .conftest import HEADERS

Fault = TransportFault
GIVEN: dict[str, Any] = {"max_bytes": 100_000, "seconds": 10.0, "keyed": True}
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"
FAR = 600.0


# ------------------------------------------------------------------------------------------------------- what is sent


def test_a_body_is_posted_and_its_answer_read(exchange):
    with serving(answering(http(b"[1]", "X-Name: a", "X-Latin: caf\xe9"))) as served:
        answer = exchange(served.url, b'{"input": []}')
    assert (answer.status, answer.body, answer.headers["x-name"]) == (200, b"[1]", "a")
    assert answer.headers["x-latin"] == "caf\xe9"
    assert answer.at > 0.0
    (request,) = served.requests
    assert request.startswith(b"POST /v1/embeddings HTTP/1.1\r\n")
    assert b"\r\nhost: 127.0.0.1:%d\r\n" % served.port in request.lower()
    assert request.endswith(b'\r\n\r\n{"input": []}')


def test_a_page_is_got_where_there_is_no_body(exchange):
    with serving(answering()) as served:
        assert exchange(served.url, None).status == 200
    assert served.requests[0].startswith(b"GET /v1/embeddings HTTP/1.1\r\n")


def test_headers_are_asked_for_each_time_with_the_key_or_without():
    asked: list[bool] = []

    def headers(keyed: bool) -> Any:
        asked.append(keyed)
        return HEADERS[not keyed :]

    transport = HttpTransport(headers=headers, connections=4)
    with serving(answering()) as served:
        for keyed in (True, False, True):
            transport.exchange(served.url, b"{}", **GIVEN | {"keyed": keyed})
        transport.close()
    assert asked == [True, False, True]
    assert [b"sk-canary" in request for request in served.requests] == asked


def test_a_long_answer_over_tls_is_read_whole(exchange, authority, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    body = b"0123456789" * 200_000
    with serving(answering(http(body)), tls=authority.server) as served:
        assert exchange(f"https://localhost:{served.port}/v1", max_bytes=len(body)).body == body


def test_what_a_key_function_of_the_users_raises_is_theirs_and_nothing_leaves(exchange):
    def headers() -> Any:
        raise OSError("the user's own")

    with serving(answering()) as served, pytest.raises(OSError, match="the user's own"):
        exchange(served.url, headers=headers)
    assert served.connections == 0


@pytest.mark.parametrize("name", [b"x header", b"", b"x\nheader"])
def test_a_header_that_http_cannot_carry_is_a_mistake_and_no_fault_of_the_network(exchange, name):
    with serving(answering()) as served, pytest.raises(ConfigurationError, match="cannot be sent") as caught:
        exchange(served.url, headers=[(name, b"canary")])
    assert "canary" not in str(caught.value)
    assert served.requests == []


def test_certificates_that_do_not_exist_are_a_mistake_before_anything_leaves(exchange, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/ca.pem")
    with serving(answering()) as served, pytest.raises(ConfigurationError, match="SSL_CERT_FILE"):
        exchange(served.url.replace("http:", "https:"))
    assert served.connections == 0


# ------------------------------------------------------------------------------------------------------ what is read


@pytest.mark.parametrize(
    ("pack", "encoding"), [(gzip.compress, "gzip"), (zlib.compress, "deflate"), (bytes, "identity")]
)
def test_packed_answers_are_read(exchange, pack, encoding):
    with serving(answering(http(pack(b"[1]"), f"Content-Encoding: {encoding}"))) as served:
        assert exchange(served.url).body == b"[1]"


@pytest.mark.parametrize(
    ("body", "encodings"),
    [
        (b"not gzip", ["gzip"]),
        (gzip.compress(b"[1]" * 100)[:-12], ["gzip"]),
        (b"[1]", ["br"]),
        (gzip.compress(b"[1]"), ["gzip", "gzip"]),
    ],
    ids=["foreign", "cut", "unknown", "twice"],
)
def test_an_answer_that_cannot_be_unpacked_is_broken(exchange, body, encodings):
    headers = [f"Content-Encoding: {encoding}" for encoding in encodings]
    with serving(answering(http(body, *headers))) as served:
        failure = exchange(served.url)
    assert failure == TransportFailure(Fault.BAD_ENCODING)
    assert diagnose_failure(failure, seconds=1.0).summary == "The answer could not be decompressed"


def test_a_bomb_is_not_unpacked_and_not_asked_for_again(exchange):
    bomb = http(gzip.compress(bytes(64 << 20)), "Content-Encoding: gzip")
    with serving(answering(bomb)) as served:
        tracemalloc.start()
        try:
            failure = exchange(served.url, max_bytes=1 << 20)
            assert tracemalloc.get_traced_memory()[1] < 16 << 20
        finally:
            tracemalloc.stop()
    assert failure == TransportFailure(Fault.TOO_LARGE)
    diagnosis = diagnose_failure(failure, seconds=1.0)
    assert diagnosis.remedy is Remedy.NONE
    assert diagnosis.summary == "The answer was larger than any right answer"


def test_a_body_without_end_is_left(exchange):
    def endless(connection, served):
        read_request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            connection.sendall(bytes(1 << 16))

    with serving(endless) as served:
        assert exchange(served.url) == TransportFailure(Fault.TOO_LARGE)


@pytest.mark.parametrize(
    "act",
    [leave, reset, cut, saying(HEAD + b"[1"), saying(b"HTTP/1.1 2"), saying(HEAD), saying(b"220 mail ready\r\n")],
    ids=["left", "reset", "cut", "in the body", "in the head", "after the head", "no HTTP"],
)
def test_a_cut_answer_is_a_broken_connection_that_may_have_been_billed(exchange, act):
    with serving(act) as served:
        failure = exchange(served.url)
    assert failure.fault is Fault.CONNECTION_LOST
    assert diagnose_failure(failure, seconds=1.0).remedy is Remedy.REPLAY


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(exchange, status):
    with serving(answering()) as other:
        redirect = http(b"", f"Location: {other.url}", status=f"{status} Elsewhere")
        with serving(answering(redirect)) as served:
            assert exchange(served.url).status == status
    assert other.connections == 0


# ------------------------------------------------------------------------------------------------------- how long


@pytest.mark.parametrize(
    "act",
    [hang, dripping(HEAD), dripping(b"HTTP/1.1 200 OK\r\nX-Slow: "), dripping(b"", b"HTTP/1.1 100 Continue\r\n\r\n")],
    ids=["nothing", "body", "headers", "promises"],
)
def test_no_server_holds_an_exchange_beyond_its_time(exchange, act):
    """Each byte comes in time, and there is always another one: the server ends only when the client has left."""
    with serving(act) as served:
        assert exchange(served.url, seconds=0.3) == TransportFailure(Fault.TIMED_OUT)


def test_a_server_that_does_not_read_holds_no_exchange_either(exchange):
    release = threading.Event()
    with serving(lambda connection, served: release.wait(FAR)) as served:
        assert exchange(served.url, bytes(64 << 20), seconds=0.3) == TransportFailure(Fault.TIMED_OUT)
        release.set()


# ------------------------------------------------------------------------------------------------------- secrets


@pytest.mark.parametrize("status", ["401 No", "200 OK", "500 No"])
@pytest.mark.parametrize(
    ("name", "value", "secret"),
    [
        (b"authorization", b"Bearer sk-canary-1", b"sk-canary-1"),
        (b"x-api-key", b"canary-of-a-key", b"canary-of-a-key"),
        (b"cf-access-token", b"canary-of-a-token", b"canary-of-a-token"),
    ],
)
def test_a_secret_that_the_gateway_repeats_is_not_shown(exchange, status, name, value, secret):
    body = b'{"error": {"message": "bad %s given"}}' % secret
    with serving(answering(http(body, status=status))) as served:
        answer = exchange(served.url, headers=[(name, value)])
    assert answer.body == b'{"error": {"message": "bad [key] given"}}'


def test_a_client_of_the_users_own_is_asked_instead_and_its_answers_lose_the_key_too():
    answer = http(b'{"error": "bad sk-canary"}')
    with serving(answering(answer)) as served, httpx.Client(trust_env=False) as own:
        transport = HttpTransport(headers=lambda keyed: HEADERS, connections=4, http_client=own)
        assert transport.exchange(served.url, b"{}", **GIVEN).body == b'{"error": "bad [key]"}'
        transport.close()
        assert not own.is_closed


async def test_an_async_client_of_the_users_own_is_asked_instead_and_stays_open():
    answer = http(b'{"error": "bad sk-canary"}')
    with serving(answering(answer)) as served:
        async with httpx.AsyncClient(trust_env=False) as own:
            transport = HttpTransport(headers=lambda keyed: HEADERS, connections=4, async_http_client=own)
            assert (await transport.aexchange(served.url, b"{}", **GIVEN)).body == b'{"error": "bad [key]"}'
            await transport.aclose()
            assert not own.is_closed


def test_what_is_no_secret_or_no_error_is_left_as_it_came(exchange):
    headers = [(b"x-title", b"canary-of-a-title"), (b"x-key", b"short"), (b"authorization", b"Bearer in-a-vector")]
    for body, status in [(b"canary-of-a-title, short", "400 No"), (b"in-a-vector", "200 OK")]:
        with serving(answering(http(body, status=status))) as served:
            assert exchange(served.url, headers=headers).body == body


def test_the_log_says_status_size_and_the_gateways_id_and_nothing_of_ours(exchange, caplog):
    caplog.set_level(logging.DEBUG, "openrouter_embeddings")
    with serving(answering(http(b"[canary]", "X-Generation-Id: gen-7"))) as served:
        exchange(served.url, b"a canary of a text")
    ours = [record.getMessage() for record in caplog.records if record.name == "openrouter_embeddings"]
    assert ours == ["answered 200: 8 bytes, generation gen-7"]
    assert "canary" not in caplog.text
