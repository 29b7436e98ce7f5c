"""How streams end early: consumers stop, are cancelled or close their client; what is in flight lands, and no more."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from openrouter_embeddings import EmbeddingError, MemoryCache

from .conftest import COLOURS, MODEL, stream, texts


@COLOURS
def test_little_is_read_ahead_and_nothing_is_sent_after_the_consumer_stops(make, embeddings_gateway, colour):
    read: list[int] = []

    def endless() -> Iterator[str]:
        while True:
            read.append(len(read))
            yield f"text {len(read)}"

    client = make(batch_size=2, max_concurrency=2)
    got = stream(client, endless(), colour, take=5)
    assert [ident for batch in got for ident in batch.ids] == list(range(10))
    assert len(read) <= 2 * 5 + 2 * 2 * 2 + 2
    gc.collect()
    client.embed_query("still of use")
    client.close()  # waits for what is in flight
    sent = len(embeddings_gateway.embedding_requests())
    assert sent <= 1 + 5 + 2 * 2
    assert client._state.runtime().dispatcher.limiter.in_flight == 0


def test_no_thread_is_left(make):
    stream(make(batch_size=2), texts(40), "sync")
    waiting = [thread for thread in threading.enumerate() if thread.name.startswith("openrouter-embeddings")]
    for thread in waiting:
        thread.join(5.0)
    assert not any(thread.is_alive() for thread in waiting)


def test_a_cancelled_consumer_stops_the_requests(make, embeddings_gateway):
    client = make(batch_size=1, max_concurrency=2)
    client.embed_query("warm")
    embeddings_gateway.reset()
    embeddings_gateway.trouble("slow", seconds=0.3, times=None)

    async def scenario() -> None:
        async def consume() -> None:
            async for _ in client.as_async().embed_stream(texts(100), input_type="document"):
                pass

        task = asyncio.create_task(consume())
        while len(embeddings_gateway.embedding_requests()) < 3:  # noqa: ASYNC110 - another process is looked at
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        others = asyncio.all_tasks() - {asyncio.current_task()}
        if others:
            assert not (await asyncio.wait(others, timeout=10.0))[1]

    asyncio.run(scenario())
    assert client._state.runtime().dispatcher.limiter.in_flight == 0
    assert len(embeddings_gateway.embedding_requests()) < 20


@pytest.mark.parametrize("colour", ["sync", "async"])
def test_what_is_in_flight_when_the_consumer_stops_lands_although_the_client_is_closed(
    make, embeddings_gateway, colour
):
    cache = MemoryCache()
    client = make(batch_size=2, max_concurrency=4, cache=cache)
    client.embed_query("warm")
    known = len(cache)
    embeddings_gateway.reset()
    embeddings_gateway.trouble("slow", seconds=0.3, times=None, after=1)
    if colour == "sync":
        with client:
            for _ in client.embed_stream(texts(100), input_type="document"):
                break
    else:

        async def run() -> None:
            async with client.as_async() as aclient:
                async for _ in aclient.embed_stream(texts(100), input_type="document"):
                    break

        asyncio.run(run())
    assert len(cache) - known == embeddings_gateway.paid_inputs() < 100


MEMORY_PROBE = """
import sys, psutil
from openrouter_embeddings import Client
client = Client(sys.argv[1], api_key="k", base_url=sys.argv[2], max_concurrency=4, dimensions=256)
me, sizes = psutil.Process(), []
stream = client.embed_stream((f"text {number}" for number in range(int(sys.argv[3]))), input_type="document")
for batch in stream:
    sizes.append(me.memory_info().rss)
half = len(sizes) // 2
print((max(sizes[half:]) - max(sizes[:half])) >> 20, (max(sizes) - sizes[0]) >> 20)
"""


def test_memory_does_not_grow_with_the_stream(embeddings_gateway):
    done = subprocess.run(
        [sys.executable, "-c", MEMORY_PROBE, MODEL, embeddings_gateway.base_url, "50000"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")},
    )
    assert done.returncode == 0, done.stderr
    drift, most = map(int, done.stdout.split())
    assert embeddings_gateway.paid_inputs() == 50_000
    assert drift < 16, "a third of what holding one half would take"
    assert most < 48, "all embeddings together are 49 MB"


@pytest.mark.parametrize("colour", ["sync", "async"])
def test_a_client_that_is_closed_while_its_stream_is_held_sends_nothing_more(make, embeddings_gateway, colour):
    client = make(batch_size=1, max_concurrency=2)
    if colour == "sync":
        with client:
            held = client.embed_stream(texts(100), input_type="document")
            next(held)
        sent = len(embeddings_gateway.embedding_requests())
        with pytest.raises(EmbeddingError, match="The stream was stopped: its client was closed"):
            list(held)
    else:

        async def run() -> int:
            async with client.as_async() as other:
                held = other.embed_stream(texts(100), input_type="document")
                await anext(held)
            sent = len(embeddings_gateway.embedding_requests())
            with pytest.raises(EmbeddingError, match="The stream was stopped: its client was closed"):
                async for _ in held:
                    pass
            return sent

        sent = asyncio.run(run())
    assert len(embeddings_gateway.embedding_requests()) == sent < 10
