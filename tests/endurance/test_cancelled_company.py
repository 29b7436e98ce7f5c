"""Calls cancelled while others wait for what they have in flight: those take over, and are right; nothing is left."""

from __future__ import annotations

import asyncio
import random
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from .support import PATIENCE, descriptors, texts

CALLS = 1000
AT_ONCE = 40
THREADS = 4
CONCURRENCY = 3
POOL = 8
"""So few texts that most calls ask for what another has in flight."""


async def documents(client, dice, truth):
    picks = dice.sample(range(POOL), dice.randint(1, 4))
    got = await client.embed_documents([texts(POOL)[at] for at in picks])
    return np.array_equal(got.embeddings, truth[picks])


async def query(client, dice, truth):
    at = dice.randrange(POOL)
    return np.array_equal((await client.embed_query(texts(POOL)[at])).embeddings, truth[[at]])


async def stream(client, dice, truth):
    """Read a stream; now and then only its beginning, leaving the rest to the loop's garbage collection."""
    picks = dice.sample(range(POOL), 4)
    enough = dice.randint(1, 6)
    right = True
    async for batch in client.embed_stream([(at, texts(POOL)[at]) for at in picks], input_type="document"):
        right &= np.array_equal(batch.embeddings, truth[batch.ids]) and not batch.errors
        enough -= 1
        if not enough:
            break
    return right


async def perhaps_cancelled(client, dice, truth, tally):
    """Make a call of some kind; most are cancelled, after some turns of the loop or some milliseconds."""
    task = asyncio.create_task(dice.choice([documents, query, stream])(client, dice, truth))
    if dice.random() < 0.7:
        if dice.random() < 0.5:
            for _ in range(dice.randrange(30)):
                await asyncio.sleep(0)
        else:
            await asyncio.sleep(dice.uniform(0.0, 0.05))
        task.cancel()
    try:
        tally["right" if await task else "wrong"] += 1
    except asyncio.CancelledError:
        tally["cancelled"] += 1


def in_a_thread(client, seed, truth, over):
    """Ask for the same texts in a thread that nobody cancels; return how many answers were wrong."""
    dice, wrong = random.Random(seed), 0
    while not over.is_set():
        picks = dice.sample(range(POOL), 2)
        wrong += not np.array_equal(client.embed_documents([texts(POOL)[at] for at in picks]).embeddings, truth[picks])
    return wrong


async def left_to_themselves():
    """Wait for the tasks that close streams and connections."""
    while others := asyncio.all_tasks() - {asyncio.current_task()}:
        await asyncio.wait(others)


def test_calls_that_follow_one_another_are_cancelled(make, truth, embeddings_gateway):
    client = make(batch_size=2, max_concurrency=CONCURRENCY, coalesce_queries=True)
    waiting, dice = client.as_async(), random.Random(27)
    tally = {"right": 0, "wrong": 0, "cancelled": 0}

    async def run():
        await waiting.embed_documents(texts(2 * CONCURRENCY))
        await waiting.aclose()
        before = descriptors()
        while sum(tally.values()) < CALLS:
            await asyncio.gather(*(perhaps_cancelled(waiting, dice, truth, tally) for _ in range(AT_ONCE)))
        await left_to_themselves()
        await waiting.aclose()
        assert descriptors() - before <= THREADS  # the threads' connections are their own
        assert np.array_equal((await waiting.embed_documents(texts(len(truth)))).embeddings, truth)
        await waiting.aclose()

    async def run_in_time():
        async with asyncio.timeout(PATIENCE):
            await run()

    over = threading.Event()
    with ThreadPoolExecutor(THREADS) as pool:
        working = [pool.submit(in_a_thread, client, seed, truth, over) for seed in range(THREADS)]
        try:
            asyncio.run(run_in_time())
        finally:
            over.set()
        assert [one.result(PATIENCE) for one in working] == [0] * THREADS
    client.close()
    registry, dispatcher = client._state.built.registry, client._state.built.dispatcher
    assert not any(registry.owners.values())
    assert dispatcher.limiter.in_flight == 0
    assert not dispatcher.waiting
    assert tally["wrong"] == 0
    assert min(tally["right"], tally["cancelled"]) > CALLS // 10
    assert client.usage.shared > CALLS // 10
