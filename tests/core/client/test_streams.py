"""Streams: in order, bounded, stopping when the consumer stops, paying for nothing twice."""

from __future__ import annotations

import asyncio
import gc
import itertools
import os
import subprocess
import sys
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
    # Three slices landed. They may overtake each other at the gate; what is handed out is in order and has no gap.
    handed = [ident for batch in got for ident in batch.ids]
    asked = [request.body["input"] for request in embeddings_gateway.embedding_requests()]
    landed = {text for inputs in asked[:3] for text in inputs}
    assert handed == list(itertools.takewhile(lambda at: texts(100)[at] in landed, range(100)))
    assert len(asked) == 4
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
    client.close()  # waits for what is in flight
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


@COLOURS
def test_a_request_holds_no_more_tokens_than_it_may(make, embeddings_gateway, colour):
    long = [f"{one:03d}" + "x" * 296 for one in range(40)]  # 100 estimated tokens each
    client = make(batch_tokens=350)
    assert [ident for batch in stream(client, long, colour) for ident in batch.ids] == list(range(40))
    assert [one.inputs for one in embeddings_gateway.embedding_requests()].count(3) == 13


@COLOURS
def test_the_marking_counts_among_a_requests_tokens(make, embeddings_gateway, colour):
    client = make(batch_tokens=350, document_prefix="p" * 150)
    stream(client, ["x" * 149] * 3 + ["y" * 149] * 3, colour)
    assert {one.inputs for one in embeddings_gateway.embedding_requests()} == {1}
    assert len(embeddings_gateway.embedding_requests()) == 2


@COLOURS
@pytest.mark.parametrize(
    "wrong", ["text", b"bytes", {"key": "value"}, {"a", "set"}], ids=["str", "bytes", "dict", "set"]
)
def test_what_is_no_stream_of_inputs_is_refused_at_once(make, embeddings_gateway, colour, wrong):
    client = make() if colour == "sync" else make().as_async()
    with pytest.raises(InputError, match=f"Inputs came as {type(wrong).__name__}"):
        client.embed_stream(wrong, input_type="document")
    assert embeddings_gateway.embedding_requests() == []


@COLOURS
def test_an_id_that_cannot_be_hashed_is_named_where_it_stands(make, colour):
    with pytest.raises(InputError, match=r"The id of input 1 is list, which cannot be hashed\."):
        stream(make(), [("a", "one"), (["b"], "two")], colour)


@COLOURS
def test_an_id_may_come_twice(make, colour):
    (got,) = stream(make(), [("a", "one"), ("a", "two"), ("b", ""), ("b", 3)], colour)
    assert got.ids == ["a", "a"]
    assert len(got.embeddings) == 2
    assert list(got.errors) == ["b"]


async def test_the_sync_stream_runs_inside_a_running_loop(make):
    got = await asyncio.to_thread(stream, make(batch_size=2), texts(10), "sync")
    assert [ident for batch in got for ident in batch.ids] == list(range(10))
    assert [batch.ids for batch in make(batch_size=8).embed_stream(texts(3), input_type="document")] == [[0, 1, 2]]


MEMORY_PROBE = """
import sys, psutil
from openrouter_embeddings import Client
client = Client(sys.argv[1], api_key="k", base_url=sys.argv[2], max_concurrency=4, dimensions=256)
me, sizes = psutil.Process(), []
stream = client.embed_stream((f"text {one}" for one in range(int(sys.argv[3]))), input_type="document")
for at, batch in enumerate(stream):
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
