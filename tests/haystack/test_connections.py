"""The clients of `http_client_kwargs`: closed, connected anew, one for each process and event loop."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import warnings
from contextlib import ExitStack
from typing import Any

import pytest

from ..support.sockets import Served
from .conftest import Front, rows


def test_closed_connections_are_closed_and_the_embedder_connects_anew(
    make: Any, front: Front, served: Served, documents: Any
) -> None:
    embedder = make()
    queries = embedder.text_embedder()
    for connections in (1, 2):
        embedder.run(documents())
        queries.run("a question")
        assert served.connections == connections
        embedder.close()
        embedder.close()
        assert front.ended.acquire(timeout=10)

    async def twice() -> None:
        for connections in (3, 4):
            await embedder.run_async(documents())
            await queries.run_async("another question")
            assert served.connections == connections
            await embedder.close_async()
            await embedder.close_async()
            assert front.ended.acquire(timeout=10)

    asyncio.run(twice())


def test_a_run_that_is_under_way_outlives_a_close(make: Any, front: Front, served: Served, documents: Any) -> None:
    """Cut off, it would be sent again, and perhaps paid twice."""
    embedder, found = make(), []
    front.may_answer.clear()
    thread = threading.Thread(target=lambda: found.append(embedder.run(documents())))
    thread.start()
    assert front.arrived.acquire(timeout=10)
    embedder.close()
    front.may_answer.set()
    thread.join(10)
    assert rows(found[0]) == [1536]
    assert front.ended.acquire(timeout=10)

    async def closed_meanwhile() -> None:
        front.may_answer.clear()
        task = asyncio.create_task(embedder.run_async(documents()))
        assert await asyncio.to_thread(front.arrived.acquire, timeout=10)
        await embedder.close_async()
        front.may_answer.set()
        assert rows(await task) == [1536]
        assert await asyncio.to_thread(front.ended.acquire, timeout=10)

    asyncio.run(closed_meanwhile())
    assert len(served.requests) == 2


def test_each_event_loop_has_its_own_which_ends_with_it(
    make: Any, front: Front, served: Served, documents: Any
) -> None:
    embedder = make()
    for loops in (1, 2, 3):
        assert rows(asyncio.run(embedder.run_async(documents()))) == [1536]
        assert served.connections == loops
        assert front.ended.acquire(timeout=10)


def test_several_event_loops_side_by_side(make: Any, front: Front, served: Served, documents: Any) -> None:
    embedder, found = make(), list[Any]()

    def call() -> None:
        found.append(asyncio.run(embedder.run_async(documents())))

    call()  # one request goes alone until the client knows its model
    assert front.arrived.acquire(timeout=10)
    front.may_answer.clear()
    threads = [threading.Thread(target=call) for _ in range(3)]
    for thread in threads:
        thread.start()
    assert all(front.arrived.acquire(timeout=10) for _ in threads)
    front.may_answer.set()
    for thread in threads:
        thread.join(10)
    assert [rows(one) for one in found] == [[1536]] * 4
    assert served.connections == 4
    assert all(front.ended.acquire(timeout=10) for _ in range(4))


def test_many_threads_share_one(make: Any, front: Front, served: Served, documents: Any) -> None:
    embedder = make()
    embedder.run(documents())
    threads = [threading.Thread(target=embedder.run, args=[documents()]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    connections = served.connections
    assert len(served.requests) == 9
    embedder.close()
    assert all(front.ended.acquire(timeout=10) for _ in range(connections))


def test_an_embedder_that_nobody_closes_leaves_no_connection(make: Any, front: Front, documents: Any) -> None:
    embedder = make()
    embedder.run(documents())
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        del embedder
        gc.collect()
    assert [one for one in seen if "unclosed" in str(one.message)] == []
    assert front.ended.acquire(timeout=10)


def test_one_that_is_forgotten_on_a_loop_is_closed_by_it(make: Any, front: Front, documents: Any) -> None:
    async def forgotten() -> None:
        await make().run_async(documents())
        gc.collect()
        assert await asyncio.to_thread(front.ended.acquire, timeout=10)

    asyncio.run(forgotten())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_has_connections_of_its_own(make: Any, front: Front, served: Served, documents: Any) -> None:
    embedder = make()
    embedder.run(documents())
    child = os.fork()
    if child == 0:
        with ExitStack() as ending:
            ending.callback(os._exit, 1)
            found = [embedder.run(documents()), asyncio.run(embedder.run_async(documents()))]
            embedder.close()
            os._exit(0 if [rows(one) for one in found] == [[1536], [1536]] else 2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    embedder.run(documents(2)[1:])
    assert served.connections == 3
    embedder.close()
