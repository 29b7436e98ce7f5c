"""Streams: in order, bounded, stopping when the consumer stops, paying for nothing twice."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Iterator

import numpy as np
import pytest

from openrouter_embeddings import (
    Client,
    ConfigurationError,
    InputError,
    InputTooLongError,
    InsufficientCreditsError,
    MemoryCache,
    StreamBatch,
    StreamProgress,
)

MODEL = "openai/text-embedding-3-small"
COLOURS = pytest.mark.parametrize("colour", ["sync", "async", "async iterable"])


@pytest.fixture
def make(embeddings_gateway):
    made: list[Client] = []

    def build(**options) -> Client:
        made.append(Client(MODEL, api_key="sk-test", base_url=embeddings_gateway.base_url, **options))
        return made[-1]

    yield build
    for client in made:
        client.close()


def stream(client: Client, inputs, colour: str, take: int | None = None, **options) -> list[StreamBatch]:
    """Collect the batches, the first `take` of them where that is said."""
    got: list[StreamBatch] = []
    if colour == "sync":
        batches = client.embed_stream(inputs, input_type="document", **options)
        for batch in batches:
            got.append(batch)
            if len(got) == take:
                batches.close()
                break
        return got

    async def agiven():
        for one in inputs:
            yield one

    async def run() -> None:
        given = agiven() if colour == "async iterable" else inputs
        batches = client.as_async().embed_stream(given, input_type="document", **options)
        async for batch in batches:
            got.append(batch)
            if len(got) == take:
                await batches.aclose()
                break

    asyncio.run(run())
    return got


def texts(count: int) -> list[str]:
    return [f"text {one}" for one in range(count)]


@COLOURS
def test_batches_come_in_order_whatever_order_they_land_in(make, embeddings_gateway, colour):
    client = make(batch_size=4, max_concurrency=4)
    truth = make().embed_documents(texts(50)).embeddings
    embeddings_gateway.reset()
    embeddings_gateway.trouble("slow", seconds=0.2, times=2, after=1)
    got = stream(client, (one for one in texts(50)), colour)
    assert [ident for batch in got for ident in batch.ids] == list(range(50))
    assert np.array_equal(np.concatenate([batch.embeddings for batch in got]), truth)
    assert not any(batch.errors for batch in got)
    assert embeddings_gateway.paid_inputs() == 50


@COLOURS
def test_ids_may_come_with_the_inputs(make, colour):
    got = stream(make(batch_size=2), [("a", "one"), ("b", "two"), ("c", "three")], colour)
    assert [batch.ids for batch in got] == [["a", "b"], ["c"]]


@COLOURS
def test_an_input_at_fault_stops_nothing(make, colour):
    bad = ["good", "", "also good", 3, "word " * 20_000, "last"]
    got = stream(make(batch_size=3), bad, colour)
    assert [ident for batch in got for ident in batch.ids] == [0, 2, 5]
    errors = {ident: type(error) for batch in got for ident, error in batch.errors.items()}
    assert errors == {1: InputError, 3: InputError, 4: InputTooLongError}
    assert sum(len(batch.embeddings) for batch in got) == 3


@COLOURS
def test_what_ends_the_job_is_raised_after_everything_before_it(make, embeddings_gateway, colour):
    embeddings_gateway.trouble("status", status=402, after=3, times=None)
    client, got = make(batch_size=2, max_concurrency=1, cache=MemoryCache()), []
    with pytest.raises(InsufficientCreditsError):
        if colour == "sync":
            for batch in client.embed_stream(texts(100), input_type="document"):
                got.append(batch)
        else:

            async def run() -> None:
                async for batch in client.as_async().embed_stream(texts(100), input_type="document"):
                    got.append(batch)

            asyncio.run(run())
    assert [ident for batch in got for ident in batch.ids] == list(range(6))
    assert len(embeddings_gateway.embedding_requests()) == 4
    embeddings_gateway.reset()
    assert [ident for batch in stream(client, texts(100), colour) for ident in batch.ids] == list(range(100))
    assert embeddings_gateway.paid_inputs() == 94


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
    sent = len(embeddings_gateway.embedding_requests())
    assert sent <= 1 + 5 + 2 * 2
    assert client._shared.world().gate.limits.in_flight == 0


@COLOURS
def test_progress_counts_what_was_handed_out(make, colour):
    told: list[StreamProgress] = []
    client = make(batch_size=2)
    stream(client, ["a", "", "b", "c"], colour, on_progress=told.append)
    assert [(one.done, one.failed) for one in told] == [(1, 1), (3, 1)]
    assert told[-1].rate > 0.0
    assert told[-1].usage.requests == client.usage.requests >= 2


def test_lines_of_a_file_are_texts_without_their_ends(make, tmp_path):
    path = tmp_path / "texts.txt"
    path.write_text("one\ntwo\nthree", encoding="utf-8")
    with path.open(encoding="utf-8") as file:
        got = stream(make(), file, "sync")
    assert np.array_equal(got[0].embeddings, make().embed_documents(["one", "two", "three"]).embeddings)


def test_an_arrow_array_is_taken_as_it_is(make):
    pyarrow = pytest.importorskip("pyarrow")
    got = stream(make(), pyarrow.chunked_array([["one", "two"], ["three"]]), "sync")
    assert np.array_equal(got[0].embeddings, make().embed_documents(["one", "two", "three"]).embeddings)


@COLOURS
def test_an_iterable_that_raises_is_heard(make, colour):
    def broken() -> Iterator[str]:
        yield from texts(10)
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        stream(make(batch_size=2), broken(), colour)


@COLOURS
def test_no_inputs_no_batches_no_request(make, embeddings_gateway, colour):
    assert stream(make(), [], colour) == []
    assert embeddings_gateway.embedding_requests() == []


def test_a_side_that_does_not_exist_is_refused_at_once(make):
    with pytest.raises(ConfigurationError, match="Unknown input_type"):
        make().embed_stream(["a"], input_type="passage")


def test_no_thread_is_left(make):
    stream(make(batch_size=2), texts(40), "sync")
    waiting = [one for one in threading.enumerate() if one.name.startswith("openrouter-embeddings")]
    for one in waiting:
        one.join(5.0)
    assert not any(one.is_alive() for one in waiting)


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
        await asyncio.sleep(0.5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        others = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.sleep(0.1)
        assert all(one.done() for one in others)

    asyncio.run(scenario())
    assert client._shared.world().gate.limits.in_flight == 0
    assert len(embeddings_gateway.embedding_requests()) < 20
