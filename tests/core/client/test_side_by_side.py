"""Different work of one client side by side: a query beside bulk work, many calls without credit, a locked cache, a still loop."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from openrouter_embeddings import CacheWarning, Client, InsufficientCreditsError, SqliteCache
from openrouter_embeddings._runtime import dispatcher, sending
from openrouter_embeddings.cache import sqlite, sqlite_file

from .conftest import texts

QUERY = "what is asked"
IN_FLIGHT = 4


@pytest.fixture
def warm(make, embeddings_gateway) -> Callable[..., Client]:
    """Make a client that has had its first answer, so that it sends several requests at once."""

    def build(**options: Any) -> Client:
        client = make(**options)
        client.embed_query("warm")
        embeddings_gateway.reset()
        return client

    return build


def embed(client: Client, inputs: list[str], colour: str) -> Any:
    """Embed documents in this thread, or on a loop that it runs."""
    if colour == "sync":
        return client.embed_documents(inputs)
    return asyncio.run(client.as_async().embed_documents(inputs))


# --------------------------------------------------------------------------------------------- a query beside bulk work


def bulk_received(gateway: Any) -> int:
    """Return how many requests of the bulk work the gateway has received."""
    return sum(request.body["input"] != [QUERY] for request in gateway.embedding_requests())


def ask_beside_threads(client: Client, jobs: list[list[str]], gateway: Any) -> tuple[list[int], list[Any]]:
    """Ask one query after another while threads embed."""
    overtaken = []
    with ThreadPoolExecutor(len(jobs)) as pool:
        futures = [pool.submit(client.embed_documents, job) for job in jobs]
        for number in range(1, 4):
            while (before := bulk_received(gateway)) < number * 2 * IN_FLIGHT:
                time.sleep(0.01)
            client.embed_query(QUERY)
            overtaken.append(bulk_received(gateway) - before)
        return overtaken, [future.result() for future in futures]


async def ask_beside_tasks(client: Client, jobs: list[list[str]], gateway: Any) -> tuple[list[int], list[Any]]:
    """Ask one query after another while tasks of the same loop embed."""
    overtaken, other = [], client.as_async()
    tasks = [asyncio.create_task(other.embed_documents(job)) for job in jobs]
    for number in range(1, 4):
        while (before := bulk_received(gateway)) < number * 2 * IN_FLIGHT:  # noqa: ASYNC110 - another process is looked at
            await asyncio.sleep(0.01)
        await other.embed_query(QUERY)
        overtaken.append(bulk_received(gateway) - before)
    return overtaken, list(await asyncio.gather(*tasks))


@pytest.mark.parametrize("calls", [1, 16])
@pytest.mark.parametrize("colour", ["threads", "tasks"])
def test_a_query_is_served_before_the_bulk_work_that_waits(warm, embeddings_gateway, colour, calls):
    """Only the gateway counts: a query that waits for its turn among the bulk work is overtaken by all that waits."""
    client = warm(max_concurrency=IN_FLIGHT, batch_size=1)
    embeddings_gateway.trouble("slow", seconds=0.15, times=None, only_if_contains="sentence")
    jobs = [texts(48)[start::calls] for start in range(calls)]
    if colour == "threads":
        overtaken, results = ask_beside_threads(client, jobs, embeddings_gateway)
    else:
        overtaken, results = asyncio.run(ask_beside_tasks(client, jobs, embeddings_gateway))
    assert max(overtaken) <= 3 * IN_FLIGHT, f"requests of bulk work that came before the queries: {overtaken}"
    assert [len(result) for result in results] == [len(job) for job in jobs]
    assert embeddings_gateway.max_in_flight() <= IN_FLIGHT
    received = [request.body["input"] for request in embeddings_gateway.embedding_requests()]
    assert len(received) == 48 + 3, "nothing was sent twice"
    assert received[-1] != [QUERY], "the bulk work went on after the last query"


# ------------------------------------------------------------------------------------------- many calls without credit


@pytest.mark.parametrize("colour", ["sync", "async"])
def test_ten_calls_at_once_meet_a_402_no_oftener_than_requests_are_in_flight(warm, embeddings_gateway, colour):
    client = warm(max_concurrency=IN_FLIGHT, batch_size=1)
    embeddings_gateway.configure(latency=1.0)  # nobody is answered before all ten wait
    embeddings_gateway.trouble("status", status=402, times=None)
    parts = [texts(50)[start::10] for start in range(10)]
    together = threading.Barrier(10)

    def ask(part: list[str]) -> Any:
        together.wait()
        return client.embed_documents(part)

    async def ask_all() -> list[Any]:
        other = client.as_async()
        return await asyncio.gather(*(other.embed_documents(part) for part in parts), return_exceptions=True)

    if colour == "sync":
        with ThreadPoolExecutor(10) as pool:
            errors = [future.exception() for future in [pool.submit(ask, part) for part in parts]]
    else:
        errors = asyncio.run(ask_all())
    assert [type(error) for error in errors] == [InsufficientCreditsError] * 10
    assert all(set(error.partial.positions_failed) == set(range(5)) for error in errors)
    assert len(embeddings_gateway.embedding_requests()) <= IN_FLIGHT
    assert client.usage.requests == len(embeddings_gateway.embedding_requests()) + 1, "the one that warmed it"
    embeddings_gateway.reset()
    assert len(embed(client, texts(8), colour)) == 8, "a call that comes later asks for itself"


# ---------------------------------------------------------------------------------------------------- a cache that waits


HOLDER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def hold() -> Iterator[Callable[[Path], None]]:
    """Have another process keep a cache file locked for writing until the test ends."""
    with contextlib.ExitStack() as held:

        def begin(path: Path) -> None:
            command = [sys.executable, "-c", HOLDER, str(path)]
            holder = held.enter_context(
                subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            )
            held.callback(holder.stdin.close)  # which tells it to stop
            assert holder.stdout.readline() == "held\n"

        yield begin


@pytest.mark.parametrize("most", [1, IN_FLIGHT])
@pytest.mark.parametrize("colour", ["sync", "async"])
def test_a_cache_that_another_process_keeps_locked_costs_one_wait_and_no_embedding(
    make, embeddings_gateway, hold, monkeypatch, tmp_path, colour, most
):
    waits, store = [], sqlite.store

    def counted(*given: Any) -> None:
        waits.append(given)
        store(*given)

    monkeypatch.setattr(sqlite_file, "BUSY_SECONDS", 0.5)
    cache = SqliteCache(tmp_path / "e.sqlite")
    client = make(cache=cache, batch_size=1, max_concurrency=most)
    known = embed(client, texts(1), colour)
    hold(cache.path)
    monkeypatch.setattr(sqlite, "store", counted)
    embeddings_gateway.trouble("slow", seconds=0.2, times=None)  # all that may be in flight lands in the first wait
    with pytest.warns(CacheWarning, match="locked") as seen:
        result = embed(client, texts(13), colour)
    assert len(seen) == 1
    assert (result.embeddings[:1] == known.embeddings).all()
    assert (result.embeddings == make(batch_size=1).embed_documents(texts(13)).embeddings).all()
    assert (result.usage.cached, cache.failures) == (1, 12), "reading goes on, and none was stored"
    assert len(waits) == 1, "after the first wait none waits again"
    cache.close()


# --------------------------------------------------------------------------------------------- a loop that stands still


@pytest.mark.parametrize("most", [1, IN_FLIGHT])
@pytest.mark.parametrize("colour", ["sync", "async"])
def test_beside_a_loop_that_stands_still_a_thread_gets_its_embeddings(
    make, embeddings_gateway, monkeypatch, colour, most
):
    """A notebook between two cells: the request is in flight, with the permit and the claim to a text."""
    for module in (dispatcher, sending):
        monkeypatch.setattr(module, "MARGIN", 0.5)
    client = make(max_concurrency=most, batch_size=1, timeout=1.0, call_timeout=30.0)
    embeddings_gateway.trouble("slow", seconds=0.8)
    loop = asyncio.new_event_loop()

    async def until_received() -> None:
        while not embeddings_gateway.embedding_requests():  # noqa: ASYNC110 - another process is looked at
            await asyncio.sleep(0.01)

    try:
        task = loop.create_task(client.as_async().embed_documents(texts(1)))
        loop.run_until_complete(until_received())
        with ThreadPoolExecutor(1) as pool:
            result = pool.submit(embed, client, texts(4), colour).result()
        assert not task.done()
        inputs = [request.body["input"] for request in embeddings_gateway.embedding_requests()]
        assert inputs[0] == texts(1)
        assert sorted(inputs[1:]) == [[text] for text in texts(4)], "what the still loop has sent is sent again"
        late = loop.run_until_complete(task)  # the next cell
    finally:
        loop.run_until_complete(client.as_async().aclose())
        loop.close()
    expected = make().embed_documents(texts(4)).embeddings
    assert (result.embeddings == expected).all()
    assert (late.embeddings == expected[:1]).all()
    assert client._state.runtime().dispatcher.limiter.in_flight == 0
