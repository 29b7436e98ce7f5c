"""Connections that are used again: nothing on them is ever read as the answer to another request."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
import traceback

import httpx
import pytest

from openrouter_embeddings import AsyncClient, Client, ConfigurationError, ConnectionFailedError, Gateway

from ..support.certificates import make_authority
from ..support.sockets import answering, http_proxy, serving
from .calls import COLOURS, KEY, TEXTS, assert_ours, assert_right, embed_in_turn
from .server import Fault, answer_to, http, right_answer

FAR = Gateway(name="far", base_url="http://gateway.invalid/api/v1", allow_plain_http=True)
"""Loopback is never asked for through a proxy where NO_PROXY names it."""

both_colours = pytest.mark.parametrize("colour", COLOURS)


def poison(request) -> bytes:
    """Return an answer that is complete, plausible and wrong."""
    answer = answer_to(request)
    rows = [{**row, "embedding": answer.encoded([0.5] * 8)} for row in answer.rows()]
    return http(json.dumps({**answer.body(), "data": rows}).encode())


SENT = threading.Event()


def and_then(extra, *, apart: bool = False):
    """Return a fault that answers rightly, sends something more, and keeps the connection open."""

    def act(wire, request):
        if apart:
            wire.send(right_answer(request))
            time.sleep(0.05)  # the client has its answer by now, and nothing is wrong with it
            wire.send(extra(request))
        else:
            wire.send(right_answer(request) + extra(request))
        wire.open = True
        SENT.set()

    return act


GLUED = {
    "a_whole_answer": and_then(poison),
    "half_an_answer": and_then(lambda request: poison(request)[:-100]),
    "a_status_line": and_then(lambda request: b"HTTP/1.1 200 OK\r\n"),
    "one_byte": and_then(lambda request: b"H"),
    "a_line_end": and_then(lambda request: b"\r\n"),
    "a_whole_answer_in_a_packet_of_its_own": and_then(poison, apart=True),
}


@both_colours
@pytest.mark.parametrize("name", GLUED)
def test_what_is_left_over_is_never_the_next_answer(server, name, colour):
    SENT.clear()
    server.strike(Fault(name, GLUED[name]), times=1)
    # What comes after the next request has left cannot be told from its answer, by anyone.
    first, second, third = embed_in_turn(
        colour, [lambda: SENT.wait(10), lambda: None], base_url=server.url, api_key=KEY
    )
    for outcome in (first, second, third):
        assert_right(outcome)


@both_colours
def test_a_sound_connection_is_used_again(server, colour):
    outcomes = embed_in_turn(colour, [lambda: None] * 9, base_url=server.url, api_key=KEY)
    for outcome in outcomes:
        assert_right(outcome)
    assert server.connections == 1


@pytest.mark.parametrize("name", [None, *GLUED])
def test_a_client_of_the_users_own_is_looked_after_too(server, name):
    SENT.clear()
    if name is not None:
        server.strike(Fault(name, GLUED[name]), times=1)
    with (
        httpx.Client() as own,
        Client("faults/model", base_url=server.url, api_key=KEY, http_client=own, document_input_type="") as client,
    ):
        assert_right(client.embed_documents(TEXTS))
        assert name is None or SENT.wait(10)
        assert_right(client.embed_documents(TEXTS))
    assert server.connections == (1 if name is None else 2)


@both_colours
def test_a_proxy_of_the_environment_is_used(server, colour, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", server.url.removesuffix("/api/v1"))
    (outcome,) = embed_in_turn(colour, [], gateway=FAR, api_key=KEY)
    assert_right(outcome)
    assert server.requests[0].head.startswith(b"POST http://gateway.invalid/api/v1/embeddings HTTP/1.1\r\n")


@both_colours
@pytest.mark.parametrize("proxy", ["nonsense://user:canary@host", "socks5://user:canary@host"])
def test_a_proxy_that_cannot_be_used_is_named_by_its_variable_alone(server, colour, proxy, monkeypatch):
    monkeypatch.setitem(sys.modules, "socksio", None)  # as if it were not installed
    monkeypatch.setenv("HTTP_PROXY", proxy)
    (outcome,) = embed_in_turn(colour, [], gateway=FAR, api_key=KEY)
    assert isinstance(outcome, ConfigurationError), repr(outcome)
    assert "HTTP_PROXY" in str(outcome)
    assert "canary" not in "".join(traceback.format_exception(outcome))
    assert not server.requests


@both_colours
def test_wrong_credentials_for_a_proxy_are_tried_once(colour, monkeypatch):
    """Each try counts towards locking the account."""
    with serving(http_proxy(0, "407 Authenticate")) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://user:canary@127.0.0.1:{proxy.port}")
        gateway = Gateway(name="far", base_url="https://gateway.invalid/api/v1")
        (outcome,) = embed_in_turn(colour, [], gateway=gateway, api_key=KEY, batch_size=1)
    assert_ours(outcome, ConnectionFailedError)
    assert f"The proxy refused the credentials (127.0.0.1:{proxy.port}, 407)" in str(outcome)
    assert proxy.connections == 1


@both_colours
def test_an_unknown_authority_is_met_once(colour, tmp_path):
    with serving(answering(), tls=make_authority(tmp_path).server) as gateway:
        url = f"https://localhost:{gateway.port}/api/v1"
        (outcome,) = embed_in_turn(colour, [], base_url=url, api_key=KEY, batch_size=1)
    assert_ours(outcome, ConnectionFailedError)
    assert "The gateway's certificate is not trusted" in str(outcome)
    assert gateway.connections == 1


@both_colours
@pytest.mark.parametrize("end", ["closed", "reset"])
def test_a_connection_that_ended_while_idle_costs_no_retry(server, colour, end):
    def answer_and_end(wire, request):
        wire.send(right_answer(request))
        if end == "reset":
            wire.reset()

    server.strike(Fault(end, answer_and_end))
    outcomes = embed_in_turn(
        colour, [server.wait_for_ends] * 4, base_url=server.url, api_key=KEY, max_retries=0, max_replays=0
    )
    for outcome in outcomes:
        assert_right(outcome)
    assert server.connections == 5


@both_colours
def test_a_connection_that_ends_under_the_next_request_costs_one_replay(server, colour):
    def answer_once(wire, request):
        if wire.answered == 0:
            wire.send(right_answer(request))
            wire.open = True
        # The second request on this connection is read, and not answered.

    server.strike(Fault("stale", answer_once))
    first, second = embed_in_turn(colour, [lambda: None], base_url=server.url, api_key=KEY)
    assert_right(first)
    assert_right(second)
    assert (second.usage.requests, second.usage.retries, second.usage.replays) == (2, 1, 1)
    assert server.connections == 2


def test_one_connection_for_each_of_many_at_once_and_right_answers(server):
    """Texts that differ by call: an answer that went astray would show."""
    mine = [[f"{text} of call {call}" for text in TEXTS] for call in range(40)]

    async def all_at_once():
        async with AsyncClient("faults/model", base_url=server.url, api_key=KEY, document_input_type="") as client:
            return await asyncio.gather(*(client.embed_documents(texts) for texts in mine))

    for texts, found in zip(mine, asyncio.run(all_at_once()), strict=True):
        assert_right(found, texts)
    with Client("faults/model", base_url=server.url, api_key=KEY, document_input_type="") as client:
        assert_right(client.embed_documents(mine[0]), mine[0])
