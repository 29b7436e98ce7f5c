"""Equal inputs that are in flight from different calls, threads, tasks and loops are sent once."""

from __future__ import annotations

import asyncio
import random
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from openrouter_embeddings import AsyncClient, Client, MemoryCache, ProviderUnavailableError
from openrouter_embeddings._flows.inflight import InFlightRegistry
from openrouter_embeddings._runtime.waiting import ThreadWaiter

MODEL = "openai/text-embedding-3-small"


@pytest.fixture
def make(embeddings_gateway):
    made: list[Client] = []

    def build(**options) -> Client:
        made.append(Client(MODEL, api_key="sk-test", base_url=embeddings_gateway.base_url, **options))
        return made[-1]

    yield build
    for client in made:
        client.close()


def rows(count: int) -> np.ndarray:
    return np.arange(count * 2, dtype=np.float32).reshape(count, 2)


def test_the_first_leads_and_the_others_hear_what_landed():
    flights = InFlightRegistry()
    first, second = flights.begin(("query", "auto")), flights.begin(("query", "auto"))
    assert first.claim(["a", "b"]) == ["a", "b"]
    assert second.claim(["b", "c"]) == ["c"]
    waiter = ThreadWaiter()
    second.wake_when_heard(waiter)
    given = rows(2)
    first.land(["a", "b"], given)
    given[:] = 0  # whoever got the result may change it
    waiter.wait(1.0)
    assert second.heard()["b"].tolist() == [2.0, 3.0]
    assert first.claim(["a"]) == ["a"], "what has landed is in flight no more"


def test_what_is_given_up_is_the_followers_to_send():
    flights = InFlightRegistry()
    first, second = flights.begin(("query", "auto")), flights.begin(("query", "auto"))
    first.claim(["a"])
    assert second.claim(["a"]) == []
    first.release(["a"], {})
    assert second.heard() == {"a": None}
    assert second.claim(["a"]) == ["a"]


def test_the_sides_are_told_apart():
    flights = InFlightRegistry()
    assert flights.begin(("query", "auto")).claim(["a"]) == flights.begin(("document", "auto")).claim(["a"]) == ["a"]


def test_a_flight_is_overtaken_only_by_others():
    flights = InFlightRegistry()
    mine, other = flights.begin(("query", "auto")), flights.begin(("query", "auto"))
    mine.claim(["a"])
    mine.land(["a"], rows(1))
    assert not mine.overtaken()
    other.land(["b"], rows(1))
    assert mine.overtaken()


@pytest.mark.parametrize("colour", ["threads", "tasks", "both"])
def test_equal_queries_at_the_same_time_are_sent_once(make, embeddings_gateway, colour):
    client = make()
    client.embed_query("warm")
    embeddings_gateway.reset()
    embeddings_gateway.trouble("slow", seconds=0.5, times=1)
    together = threading.Barrier(2 if colour == "both" else 8)

    def ask() -> np.ndarray:
        if colour == "threads":
            together.wait()
        return client.embed_query("the same").embeddings

    async def ask_all() -> list:
        if colour == "both":
            together.wait()
        waiting = client.as_async()
        return [one.embeddings for one in await asyncio.gather(*(waiting.embed_query("the same") for _ in range(8)))]

    if colour == "threads":
        with ThreadPoolExecutor(8) as pool:
            got = [one.result() for one in [pool.submit(ask) for _ in range(8)]]
    elif colour == "tasks":
        got = asyncio.run(ask_all())
    else:
        with ThreadPoolExecutor(2) as pool:
            futures = [pool.submit(asyncio.run, ask_all()), pool.submit(asyncio.run, ask_all())]
            got = [row for one in futures for row in one.result()]
    assert all((one == got[0]).all() for one in got)
    assert embeddings_gateway.paid_inputs() == 1
    assert client.usage.shared == len(got) - 1


def test_with_a_cache_each_text_is_paid_for_once_whoever_asks(make, embeddings_gateway):
    """10,000 texts, half of them doubles, from 32 threads and tasks."""
    client = make(cache=MemoryCache(), batch_size=64)
    chooser = random.Random(5)
    texts = [f"text {one}" for one in range(5_000)] * 2
    chooser.shuffle(texts)
    parts = [texts[at::64] for at in range(64)]
    truth = dict(zip(texts, make(batch_size=256).embed_documents(texts).embeddings, strict=True))
    embeddings_gateway.reset()

    def embed(part: list[str]) -> bool:
        got = client.embed_documents(part).embeddings
        return all(np.array_equal(row, truth[text]) for text, row in zip(part, got, strict=True))

    async def embed_all(some: list[list[str]]) -> bool:
        waiting = client.as_async()
        results = await asyncio.gather(*(waiting.embed_documents(part) for part in some))
        return all(
            np.array_equal(row, truth[text])
            for part, result in zip(some, results, strict=True)
            for text, row in zip(part, result.embeddings, strict=True)
        )

    with ThreadPoolExecutor(33) as pool:
        futures = [pool.submit(embed, part) for part in parts[:32]]
        futures.append(pool.submit(asyncio.run, embed_all(parts[32:])))
        assert all(one.result() for one in futures)
    assert embeddings_gateway.paid_inputs() == 5_000


def test_when_the_first_is_cancelled_the_next_takes_over(make, embeddings_gateway):
    client = make()
    client.embed_query("warm")
    embeddings_gateway.reset()
    embeddings_gateway.trouble("slow", seconds=1.0, times=1)

    async def scenario() -> list:
        waiting: AsyncClient = client.as_async()
        first = asyncio.create_task(waiting.embed_query("the same"))
        while not embeddings_gateway.embedding_requests():  # noqa: ASYNC110 - another process is looked at
            await asyncio.sleep(0.01)
        others = [asyncio.create_task(waiting.embed_query("the same")) for _ in range(4)]
        await asyncio.sleep(0.05)
        first.cancel()
        return [first.cancelled() or first.cancelling(), *(await asyncio.gather(*others))]

    cancelled, *got = asyncio.run(scenario())
    assert cancelled
    assert len(got) == 4
    assert len(embeddings_gateway.embedding_requests()) == 2
    assert client.usage.shared == 3


def test_a_failure_that_waiting_did_not_cure_is_shared(make, embeddings_gateway):
    client = make(max_retries=0, retry_timeout=0.2)
    embeddings_gateway.trouble("status", status=503, times=None)
    together = threading.Barrier(4)
    failed: list[Exception] = []

    def ask() -> None:
        together.wait()
        try:
            client.embed_documents(["the same"])
        except Exception as error:
            failed.append(error)

    with ThreadPoolExecutor(4) as pool:
        for one in [pool.submit(ask) for _ in range(4)]:
            one.result()
    assert len(failed) == 4
    assert all(error.positions == (0,) for error in failed)
    assert any(isinstance(error, ProviderUnavailableError) for error in failed)


def test_queries_at_the_same_time_share_requests_if_the_user_asks(make, embeddings_gateway):
    client = make(coalesce_queries=True)
    client.embed_query("warm")
    embeddings_gateway.reset()
    alone = {text: make().embed_query(text).embeddings for text in [f"query {one}" for one in range(40)]}
    embeddings_gateway.reset()

    async def ask_all() -> list:
        waiting = client.as_async()
        return await asyncio.gather(*(waiting.embed_query(text) for text in [*alone, *alone]))

    got = asyncio.run(ask_all())
    for text, result in zip([*alone, *alone], got, strict=True):
        assert result.embeddings.shape == (1, 1536)
        assert np.allclose(result.embeddings, alone[text], atol=1e-6)
    assert len(embeddings_gateway.embedding_requests()) <= 4
    assert embeddings_gateway.paid_inputs() == 40
    assert client.usage.requests == 1 + len(embeddings_gateway.embedding_requests())


def test_a_query_that_cannot_be_embedded_harms_none_of_those_it_travelled_with(make, embeddings_gateway):
    client = make(coalesce_queries=True)
    client.embed_query("warm")
    queries = [*(f"query {one}" for one in range(10)), "word " * 10_000]

    async def ask_all() -> list:
        waiting = client.as_async()
        return await asyncio.gather(*(waiting.embed_query(text) for text in queries), return_exceptions=True)

    *good, bad = asyncio.run(ask_all())
    assert all(len(one.embeddings) == 1 for one in good)
    assert type(bad).__name__ == "InputTooLongError"
    assert bad.positions == (0,)


def test_a_query_in_a_group_that_is_cancelled_leaves_the_others_their_answers(make, embeddings_gateway):
    client = make(coalesce_queries=True)
    client.embed_query("warm")

    async def scenario() -> list:
        waiting = client.as_async()
        tasks = [asyncio.create_task(waiting.embed_query(f"query {one}")) for one in range(6)]
        await asyncio.sleep(0)
        tasks[0].cancel()  # the one that gathers
        return await asyncio.gather(*tasks, return_exceptions=True)

    gone, *others = asyncio.run(scenario())
    assert isinstance(gone, asyncio.CancelledError)
    assert all(one.embeddings.shape == (1, 1536) for one in others)
