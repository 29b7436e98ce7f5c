"""What is done to private parts of httpcore and h11 is done still: a version to come may have no such parts.

Bytes that belong to no answer are seen before the next request could take them for its own. Where the way to them is gone,
the tests of sound answers fail here: no connection would be used again. Ctrl-C leaves no pool locked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import httpcore
import httpx
import pytest

from openrouter_embeddings._transport.pools import sync_pool
from openrouter_embeddings._transport.proxies import Route
from openrouter_embeddings._transport.unnamed import has_trailing_bytes

from ...support.interrupts import ends, interrupted_everywhere
from ...support.sockets import answering, http, serving

LEFT_OVER = [b"H", b"\r\n", b"HTTP/1.1 200 OK\r\n", http(b'{"another": "answer"}')]


def of_httpcore(url: str) -> bool:
    with httpcore.ConnectionPool() as pool, pool.stream("GET", url) as response:
        response.read()
        return has_trailing_bytes(response.stream, response.extensions)


def of_httpx(url: str) -> bool:
    with httpx.Client(trust_env=False) as client, client.stream("GET", url) as response:
        for _ in response.stream:
            pass
        return has_trailing_bytes(response.stream, response.extensions)


def of_httpcore_on_a_loop(url: str) -> bool:
    async def run() -> bool:
        async with httpcore.AsyncConnectionPool() as pool, pool.stream("GET", url) as response:
            await response.aread()
            return has_trailing_bytes(response.stream, response.extensions)

    return asyncio.run(run())


def of_httpx_on_a_loop(url: str) -> bool:
    async def run() -> bool:
        async with httpx.AsyncClient(trust_env=False) as client, client.stream("GET", url) as response:
            async for _ in response.stream:
                pass
            return has_trailing_bytes(response.stream, response.extensions)

    return asyncio.run(run())


@pytest.fixture(params=[of_httpcore, of_httpcore_on_a_loop, of_httpx, of_httpx_on_a_loop], ids=lambda way: way.__name__)
def left_over(request):
    return request.param


@pytest.mark.parametrize("answer", [http(), http(b"{}" * 100_000)], ids=["short", "long"])
def test_the_way_to_h11_is_still_there_so_a_sound_answer_leaves_nothing_over(left_over, answer):
    with serving(answering(answer)) as served:
        assert not left_over(served.url)


@pytest.mark.parametrize("extra", LEFT_OVER)
def test_whatever_comes_after_an_answer_is_seen(left_over, extra):
    with serving(answering(http() + extra)) as served:
        assert left_over(served.url)


@pytest.mark.parametrize(
    "stream",
    [
        object(),
        SimpleNamespace(_stream=None),
        SimpleNamespace(_stream=SimpleNamespace(_connection=object())),
    ],
)
def test_where_the_way_is_gone_no_connection_is_trusted(stream: Any):
    assert has_trailing_bytes(stream, {"network_stream": object(), "http_version": b"HTTP/1.1"})


@pytest.mark.parametrize("extensions", [{}, {"network_stream": object(), "http_version": b"HTTP/2"}])
def test_where_there_is_no_connection_or_one_of_many_streams_nothing_can_be_left_over(extensions):
    assert not has_trailing_bytes(object(), extensions)


def test_a_transport_of_the_users_that_has_no_connection_is_trusted():
    with (
        httpx.Client(transport=httpx.MockTransport(lambda request: httpx.Response(200))) as client,
        client.stream("GET", "http://gateway.test") as response,
    ):
        assert not has_trailing_bytes(response.stream, response.extensions)


def test_a_request_that_ctrl_c_ends_anywhere_leaves_its_pool_unlocked():
    pools: list[httpcore.ConnectionPool] = []

    def request() -> None:
        assert pools[-1].request("GET", served.url).status == 200

    def warm() -> Callable[[], None]:
        pools.append(sync_pool(Route(), tls=False, connections=1))
        request()
        return request

    with serving(answering(http())) as served:
        points = 0
        for points in interrupted_everywhere("httpcore", warm):
            assert ends(pools[-1].close), points
        assert points > 200
        pools[-1].close()
