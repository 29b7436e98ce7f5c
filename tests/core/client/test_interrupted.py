"""What ends a call or a stream from outside: an exception of the user's callback, Ctrl-C. What was paid is kept and counted."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest

from openrouter_embeddings import Client, EmbeddingResult, MemoryCache, StreamBatch, StreamProgress

from .conftest import COLOURS, MODEL, stream, texts


def embed(client: Client, inputs: list[str], colour: str, **options) -> EmbeddingResult:
    """Embed documents in either colour."""
    if colour == "sync":
        return client.embed(inputs, input_type="document", **options)
    return asyncio.run(client.as_async().embed(inputs, input_type="document", **options))


# ------------------------------------------------------------------------------------------- the user's own exceptions


@COLOURS
def test_an_exception_of_on_progress_ends_its_stream_and_what_was_paid_is_not_paid_again(
    make, embeddings_gateway, colour
):
    truth = make().embed_documents(texts(40)).embeddings
    embeddings_gateway.reset()
    embeddings_gateway.trouble("slow", seconds=0.3, times=6, after=3)
    cache = MemoryCache()
    client = make(batch_size=2, max_concurrency=2, cache=cache)

    def tell(progress: StreamProgress) -> None:
        if progress.done >= 6:
            raise ZeroDivisionError("theirs")

    got: list[StreamBatch] = []
    with pytest.raises(ZeroDivisionError, match=r"^theirs$"):
        stream(client, texts(40), colour, got=got, on_progress=tell)
    assert [ident for batch in got for ident in batch.ids] == [0, 1, 2, 3]
    assert np.array_equal(np.concatenate([batch.embeddings for batch in got]), truth[:4])
    client.close()  # waits for what is in flight
    assert 6 <= len(cache) == embeddings_gateway.paid_inputs() < 40
    again = stream(client, texts(40), colour)
    assert np.array_equal(np.concatenate([batch.embeddings for batch in again]), truth)
    assert embeddings_gateway.paid_inputs() == 40


@pytest.mark.parametrize("colour", ["sync", "async"])
def test_an_exception_of_on_progress_is_the_users_own_and_has_what_landed(make, embeddings_gateway, colour):
    truth = make().embed_documents(texts(40)).embeddings
    embeddings_gateway.reset()
    client = make(batch_size=2, max_concurrency=4)

    def tell(done: int, of: int) -> None:
        if done >= 6:
            raise ZeroDivisionError("theirs")

    with pytest.raises(ZeroDivisionError, match=r"^theirs$") as caught:
        embed(client, texts(40), colour, on_progress=tell)
    partial = caught.value.partial
    done = list(partial.positions_done)
    assert 6 <= len(done) == embeddings_gateway.paid_inputs() < 40
    assert np.array_equal(partial.embeddings[done], truth[done])
    assert partial.usage == client.usage
    again = embed(client, texts(40), colour, resume=partial)
    assert np.array_equal(again.embeddings, truth)
    assert embeddings_gateway.paid_inputs() == 40


# -------------------------------------------------------------------------------------------------------------- Ctrl-C

PROBE = """
import asyncio, json, sys, threading, time
from openrouter_embeddings import Client, track_usage
client = Client(sys.argv[1], api_key="k", base_url=sys.argv[2], batch_size=2, max_concurrency=2)
texts = [f"sentence number {number}" for number in range(400)]
def tell(done, of):
    print(done, flush=True)
with track_usage() as tracked:
    try:
        if sys.argv[3] == "sync":
            client.embed_documents(texts, on_progress=tell)
        else:
            asyncio.run(client.as_async().embed_documents(texts, on_progress=tell))
    except KeyboardInterrupt:
        at_once = client.usage
# No join: before Python 3.13, Ctrl-C marks the thread that is being joined as ended though it runs on.
while any(thread.name == "openrouter-embeddings" for thread in threading.enumerate()):
    time.sleep(0.01)
print(json.dumps([usage.to_dict() for usage in (at_once, client.usage, tracked.total)]))
"""
"""Prints how many texts are done, and after Ctrl-C what is known to be spent: at once, and when nothing is in flight."""


def interrupted(gateway, colour: str) -> list[dict]:
    """Interrupt a call of its own process when 12 texts have landed and two requests are in flight."""
    command = [sys.executable, "-c", PROBE, MODEL, gateway.base_url, colour]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        while int(child.stdout.readline()) < 12:
            pass
        while gateway.usage()["in_flight"] < 2:
            assert child.poll() is None
        child.send_signal(signal.SIGINT)
        *_, last = child.stdout
        assert child.wait(60) == 0
    return json.loads(last)


@pytest.mark.skipif(sys.platform == "win32", reason="signals are another matter there")
def test_after_ctrl_c_usage_is_what_the_gateway_billed(embeddings_gateway):
    embeddings_gateway.trouble("slow", seconds=0.5, times=None, after=6)
    at_once, spent, tracked = interrupted(embeddings_gateway, "sync")
    billed = embeddings_gateway.usage()
    assert at_once["cost"] > 0
    assert (spent["requests"], spent["total_tokens"]) == (billed["requests"], billed["tokens"])
    assert spent["cost"] == pytest.approx(billed["cost"])
    assert tracked == spent
    assert 8 <= billed["requests"] < 200


@pytest.mark.skipif(sys.platform == "win32", reason="signals are another matter there")
def test_after_ctrl_c_on_an_event_loop_usage_has_every_request_and_the_price_of_what_landed(make, embeddings_gateway):
    embeddings_gateway.trouble("slow", seconds=30.0, times=None, after=6)
    at_once, spent, tracked = interrupted(embeddings_gateway, "async")
    requests = embeddings_gateway.embedding_requests()
    assert len(requests) == spent["requests"] == 8
    assert at_once == spent == tracked
    embeddings_gateway.reset()
    landed = [text for request in requests[:6] for text in request.body["input"]]
    make().embed_documents(landed)
    worth = embeddings_gateway.usage()
    assert spent["total_tokens"] == worth["tokens"] > 0
    assert spent["cost"] == pytest.approx(worth["cost"])


# -------------------------------------------------------------------------------------------------------------- totals


@pytest.fixture
def switching() -> Iterator[None]:
    """Let threads take turns as often as they can: what is added to without a lock loses some."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@COLOURS
def test_the_usage_of_a_stream_is_what_the_gateway_billed_however_many_land_at_once(
    make, embeddings_gateway, colour, switching
):
    embeddings_gateway.configure(latency=0.05)
    reported: list[StreamProgress] = []
    client = make(batch_size=1, max_concurrency=16)
    stream(client, texts(400), colour, on_progress=reported.append)
    spent, billed = reported[-1].usage, embeddings_gateway.usage()
    assert (spent.requests, spent.total_tokens) == (billed["requests"], billed["tokens"])
    assert spent.cost == pytest.approx(billed["cost"])
    assert spent == client.usage
    assert billed["max_in_flight"] > 4, "some land at once"
