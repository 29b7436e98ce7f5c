"""A client of the user's own: used as it is, bounded as ours is, and never taken for the network when it is at fault."""

from __future__ import annotations

import asyncio
import gzip
from typing import Any

import httpx
import pytest

from openrouter_embeddings._protocol import TransportFailure, TransportFault
from openrouter_embeddings._transport.user_clients import aexchange_with, exchange_with
from openrouter_embeddings.errors import ConfigurationError

from ...support.sockets import answering, closed_port, cut, dripping, hang, http, saying, serving

HEADERS = [(b"authorization", b"Bearer sk-canary")]
URL = "http://gateway.test/v1"


@pytest.fixture(params=["sync", "async"])
def exchange(request):
    """Return a function that makes exchanges with a client of the user's, made of httpx's own options."""

    def run(
        url: str,
        body: bytes | None = b"{}",
        *,
        headers: Any = HEADERS,
        times: int = 1,
        closed: bool = False,
        act: Any = None,
        max_bytes: int = 100_000,
        seconds: float = 10.0,
        **options: Any,
    ) -> Any:
        options = {"trust_env": False} | options
        given = {"max_bytes": max_bytes, "seconds": seconds}
        if request.param == "sync":
            hooks = {"response": [act]} if act is not None else {}
            with httpx.Client(event_hooks=hooks, **options) as client:
                if closed:
                    client.close()
                answers = [exchange_with(client, url, body, headers, **given) for _ in range(times)]
                assert client.is_closed is closed
            return answers[-1]

        async def once() -> Any:
            async def hook(response: httpx.Response) -> None:
                made = act(response)
                if made is not None:
                    await made

            hooks = {"response": [hook]} if act is not None else {}
            async with httpx.AsyncClient(event_hooks=hooks, **options) as client:
                if closed:
                    await client.aclose()
                answers = [await aexchange_with(client, url, body, headers, **given) for _ in range(times)]
                assert client.is_closed is closed
            return answers[-1]

        return asyncio.run(once())

    return run


def mock(answer: Any) -> httpx.MockTransport:
    return httpx.MockTransport(answer)


def test_its_headers_parameters_and_cookies_go_along_and_it_stays_open(exchange):
    with serving(answering(http(b"[1]", "X-One: 1"))) as served:
        answer = exchange(served.url, headers=HEADERS, times=3, params={"a": "b"}, cookies={"c": "d"}, base_url="")
    assert (answer.status, answer.body, answer.headers["x-one"]) == (200, b"[1]", "1")
    assert answer.at > 0.0
    assert served.connections == 1
    for request in served.requests:
        assert request.startswith(b"POST /v1/embeddings?a=b HTTP/1.1\r\n")
        assert b"Bearer sk-canary" in request
        assert b"c=d" in request
        assert request.endswith(b"\r\n\r\n{}")


def test_a_page_is_got_where_there_is_no_body(exchange):
    with serving(answering()) as served:
        assert exchange(served.url, None).status == 200
    assert served.requests[0].startswith(b"GET ")


def test_a_packed_answer_is_read_and_one_packed_otherwise_is_not(exchange):
    with serving(answering(http(gzip.compress(b"[1]"), "Content-Encoding: gzip"))) as served:
        assert exchange(served.url).body == b"[1]"
    with serving(answering(http(b"[1]", "Content-Encoding: br"))) as served:
        assert exchange(served.url) == TransportFailure(TransportFault.BAD_ENCODING)


def test_no_more_is_read_than_a_right_answer_has(exchange):
    with serving(answering(http(gzip.compress(bytes(50_000_000)), "Content-Encoding: gzip"))) as served:
        assert exchange(served.url) == TransportFailure(TransportFault.TOO_LARGE)


def test_a_body_that_drips_ends_with_the_time_of_the_exchange(exchange):
    with serving(dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")) as served:
        assert exchange(served.url, seconds=0.3) == TransportFailure(TransportFault.TIMED_OUT)


def test_a_server_that_says_nothing_times_out(exchange):
    with serving(hang) as served:
        assert exchange(served.url, seconds=0.2) == TransportFailure(TransportFault.TIMED_OUT)


def test_no_redirect_is_followed_even_if_the_client_would(exchange):
    with serving(answering()) as other:
        redirect = http(b"", f"Location: {other.url}", status="307 Elsewhere")
        with serving(answering(redirect)) as served:
            assert exchange(served.url, follow_redirects=True).status == 307
    assert other.requests == []


def test_a_connection_that_holds_more_than_an_answer_is_not_used_again(exchange):
    with serving(answering(http(b"[1]") + http(b'"poison"'))) as served:
        assert exchange(served.url, times=3).body == b"[1]"
    assert served.connections == 3


@pytest.mark.parametrize(
    ("act", "fault"), [(cut, TransportFault.CONNECTION_LOST), (saying(b"HTTP/1.1 2"), TransportFault.CONNECTION_LOST)]
)
def test_a_broken_connection_is_a_fault_of_the_transport(exchange, act, fault):
    with serving(act) as served:
        assert exchange(served.url).fault is fault


def test_a_refused_connection_is_told_apart(exchange):
    assert exchange(f"http://127.0.0.1:{closed_port()}/v1").fault is TransportFault.REFUSED


# --------------------------------------------------------------------------------------------------- the user's own faults


def test_a_client_that_is_closed_is_a_mistake_that_nothing_leaves_for(exchange):
    with serving(answering()) as served, pytest.raises(ConfigurationError, match="The http_client is closed"):
        exchange(served.url, closed=True)
    assert served.connections == 0


@pytest.mark.parametrize("name", [b"x header", b"x:header", b"", b"x\nheader"])
def test_a_header_that_http_cannot_carry_is_a_mistake_and_its_value_is_not_shown(exchange, name):
    with serving(answering()) as served, pytest.raises(ConfigurationError, match="cannot be sent") as caught:
        exchange(served.url, headers=[(name, b"canary")])
    assert "canary" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert served.requests == []


def test_an_address_that_no_client_can_ask_is_a_mistake(exchange):
    with pytest.raises(ConfigurationError, match="base_url"):
        exchange("ftp://gateway.test/v1")


@pytest.mark.parametrize("error", [ZeroDivisionError("theirs"), OSError("theirs"), TimeoutError("theirs")])
def test_what_a_hook_raises_is_the_users_own_exception(exchange, error):
    def act(response: httpx.Response) -> None:
        raise error

    with serving(answering()) as served, pytest.raises(type(error), match="theirs") as caught:
        exchange(served.url, act=act)
    assert caught.value is error


def test_what_a_transport_of_the_users_raises_is_theirs_too(exchange):
    def answer(request: httpx.Request) -> httpx.Response:
        raise TimeoutError("theirs")

    with pytest.raises(TimeoutError, match="theirs"):
        exchange(URL, transport=mock(answer))


def test_an_answer_that_a_hook_has_read_already_is_read_all_the_same(exchange):
    def act(response: httpx.Response) -> Any:
        return response.aread() if isinstance(response.stream, httpx.AsyncByteStream) else response.read()

    def read(response: httpx.Response) -> Any:
        made = act(response)
        return made if hasattr(made, "__await__") else None

    with serving(answering(http(gzip.compress(b"[1]"), "Content-Encoding: gzip"))) as served:
        assert exchange(served.url, act=read).body == b"[1]"
        assert exchange(served.url, act=read, max_bytes=2) == TransportFailure(TransportFault.TOO_LARGE)


def test_a_transport_of_the_users_answers_without_a_connection(exchange):
    answer = exchange(URL, transport=mock(lambda request: httpx.Response(200, json=[request.method])))
    assert answer.body == b'["POST"]'
