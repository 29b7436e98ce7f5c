"""The connections of one client: one pool for all threads, one for each loop; used again, and closed in time."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import threading
import warnings
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from openrouter_embeddings._protocol import Response
from openrouter_embeddings._transport import HttpTransport

from ...support.interrupts import ends, interrupted_everywhere
from ...support.sockets import answering, http, read_request, serving
from .conftest import HEADERS

GIVEN: dict[str, Any] = {"max_bytes": 100_000, "seconds": 10.0, "keyed": True}
FAR = 600.0


def made() -> HttpTransport:
    return HttpTransport(headers=lambda keyed: HEADERS, connections=4)


def is_over(connection: socket.socket) -> bool:
    """Return whether a server's connection has come to its end, or waits for it."""
    try:
        return connection.fileno() == -1 or not connection.recv(1)
    except OSError:  # closed by the server's own thread just now
        return True


def holding(release: threading.Event, entered: threading.Event):
    """Return what answers its connection's requests once it is released."""

    def act(connection, served):
        while request := read_request(connection):
            served.requests.append(request)
            entered.set()
            release.wait(FAR)
            connection.sendall(http(b"[1]"))

    return act


# --------------------------------------------------------------------------------------------- connections of threads


@pytest.mark.parametrize(("extra", "connections"), [(b"", 1), (http(b'"poison"'), 3)], ids=["sound", "more"])
def test_a_sound_connection_is_used_again_and_one_with_more_on_it_is_not(extra, connections):
    transport = made()

    async def thrice(url: str) -> None:
        for _ in range(3):
            assert (await transport.aexchange(url, b"{}", **GIVEN)).body == b"[1]"

    with serving(answering(http(b"[1]") + extra)) as served:
        for _ in range(3):
            assert transport.exchange(served.url, b"{}", **GIVEN).body == b"[1]"
        transport.close()
        assert served.connections == connections
        asyncio.run(thrice(served.url))
        assert served.connections == 2 * connections


def test_close_cuts_no_request_of_another_thread():
    entered, release, answers = threading.Event(), threading.Event(), list[Any]()
    transport = made()
    with serving(holding(release, entered)) as served:
        thread = threading.Thread(target=lambda: answers.append(transport.exchange(served.url, b"{}", **GIVEN)))
        thread.start()
        assert entered.wait(FAR)
        transport.close()
        release.set()
        thread.join(FAR)
        assert served.connections == 1
    assert [answer.body for answer in answers] == [b"[1]"]


def test_a_closed_transport_opens_again_and_one_that_nobody_holds_leaves_no_socket_open():
    transport = made()
    with serving(answering()) as served:
        for _ in range(2):
            assert transport.exchange(served.url, b"{}", **GIVEN).status == 200
            transport.close()
        assert transport.exchange(served.url, b"{}", **GIVEN).status == 200
        assert served.connections == 3
        del transport
        gc.collect()
        for connection in served.open:  # each is closed on this side, or about to be: the server reads its end
            assert is_over(connection)


def test_of_pools_that_were_closed_nothing_is_kept():
    transport, pools = made(), []
    with serving(answering()) as served:
        for _ in range(3):
            transport.exchange(served.url, b"{}", **GIVEN)
            pools += map(weakref.ref, transport._pools._pools.values())
            transport.close()
    gc.collect()
    assert [pool() for pool in pools] == [None] * 3


def test_an_exchange_that_ctrl_c_ends_anywhere_in_httpcore_leaves_the_transport_usable():
    transport = made()

    def exchange() -> None:
        assert transport.exchange(served.url, b"{}", **GIVEN).status == 200

    def warm() -> Callable[[], None]:
        exchange()
        return exchange

    with serving(answering()) as served:
        points = 0
        for points in interrupted_everywhere("httpcore", warm):
            assert ends(exchange), points
        assert points > 200
        transport.close()


def test_connections_that_were_dropped_are_left_open_for_they_are_the_parents():
    transport = made()
    with serving(answering()) as served:
        transport.exchange(served.url, b"{}", **GIVEN)
        (parents,) = transport._pools._pools.values()
        transport.drop_connections()
        assert transport.exchange(served.url, b"{}", **GIVEN).status == 200
        transport.close()
        del transport
        gc.collect()
        assert [connection.is_idle() for connection in parents.pool.connections] == [True]
        parents.close()
        assert served.connections == 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # of Python 3.12 and later
def test_a_forked_child_opens_connections_of_its_own_and_leaves_the_parents_alone():
    transport = made()
    with serving(answering()) as served:
        transport.exchange(served.url, b"{}", **GIVEN)
        pid = os.fork()
        if pid == 0:
            transport.drop_connections()
            answer = transport.exchange(served.url, b"{}", **GIVEN)
            os._exit(0 if isinstance(answer, Response) else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        assert transport.exchange(served.url, b"{}", **GIVEN).status == 200
        assert served.connections == 2
        transport.close()


# ------------------------------------------------------------------------------------------------ connections of loops


def test_each_loop_has_connections_of_its_own_which_close_with_it():
    transport = made()
    ends: list[bool] = []

    async def twice(url: str) -> None:
        for _ in range(2):
            assert (await transport.aexchange(url, b"{}", **GIVEN)).status == 200

    with serving(answering()) as served:
        for _ in range(3):
            asyncio.run(twice(served.url))  # and no word of aclose
            ends.append(is_over(served.open[-1]))
        assert served.connections == 3
    assert ends == [True] * 3
    assert len(transport._by_loop) == 0


def test_a_loop_that_was_closed_without_a_farewell_is_forgotten_by_the_next_one():
    transport = made()
    with serving(answering()) as served:
        lost = asyncio.new_event_loop()
        lost.run_until_complete(transport.aexchange(served.url, b"{}", **GIVEN))
        served.open[0].shutdown(socket.SHUT_RDWR)
        lost.close()
        asyncio.run(transport.aexchange(served.url, b"{}", **GIVEN))
    assert len(transport._by_loop) == 0


async def test_a_transport_that_is_closed_on_a_loop_opens_again():
    transport = made()
    with serving(answering()) as served:
        for _ in range(2):
            assert (await transport.aexchange(served.url, b"{}", **GIVEN)).status == 200
            await transport.aclose()
        await transport.aclose()
        assert served.connections == 2


async def test_a_cancelled_exchange_leaves_no_connection_behind():
    entered, release = threading.Event(), threading.Event()
    transport = made()
    with serving(holding(release, entered)) as served:
        task = asyncio.create_task(transport.aexchange(served.url, b"{}", **GIVEN))
        await asyncio.to_thread(entered.wait, FAR)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        release.set()
        answer = await transport.aexchange(served.url, b"{}", **GIVEN)
        assert answer.body == b"[1]"
        (pools,) = transport._by_loop.values()
        assert [len(used.pool.connections) for used in pools.pools.values()] == [1]
        await transport.aclose()


async def test_exchanges_that_are_cancelled_at_any_moment_strand_no_connection():
    transport = made()
    with serving(answering()) as served:
        for turns in range(40):
            task = asyncio.create_task(transport.aexchange(served.url, b"{}", **GIVEN))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        assert (await transport.aexchange(served.url, b"{}", **GIVEN)).status == 200
        (pools,) = transport._by_loop.values()
        assert not any(used.has_stranded_connection() for used in pools.pools.values())
        await transport.aclose()
        await asyncio.gather(*transport._closing)


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_transport_dropped_on_a_loop_closes_its_connections_there(monkeypatch, authority, scheme):
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    with (
        serving(answering(), tls=authority.server if scheme == "https" else None) as served,
        warnings.catch_warnings(record=True) as seen,
    ):
        warnings.simplefilter("always")
        gc.collect()
        seen.clear()  # what earlier tests in this process have dropped
        transport = made()
        transport.itself = transport  # a cycle, as a client has
        url = f"{scheme}://localhost:{served.port}/v1"
        answers = await asyncio.gather(*(transport.aexchange(url, b"{}", **GIVEN) for _ in range(3)))
        assert [answer.status for answer in answers] == [200] * 3
        del transport
        gc.collect()
        for _ in range(3):
            await asyncio.sleep(0)
        gc.collect()
        for connection in served.open:
            assert is_over(connection)
    assert [str(warning.message) for warning in seen] == []


def test_a_transport_dropped_as_its_loop_ends_says_nothing(caplog):
    async def last(url: str) -> int:
        return (await made().aexchange(url, b"{}", **GIVEN)).status

    with serving(answering()) as served:
        loop = asyncio.new_event_loop()
        assert loop.run_until_complete(last(served.url)) == 200
        loop.close()
        gc.collect()
    assert caplog.messages == []
