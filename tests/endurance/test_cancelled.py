"""Calls cancelled at random points: in the cache, at the gate, on the wire. Nothing of them is left."""

from __future__ import annotations

import asyncio
import random

import numpy as np

from .support import PATIENCE, descriptors, texts

CANCELS = 1000
AT_ONCE = 20
CONCURRENCY = 3


async def cancelled_at_random(client, dice, tally):
    """Begin a call, let the loop turn a few times or a few milliseconds pass, and cancel it."""
    wanted = [f"{dice.randrange(10**9)}" for _ in range(dice.randint(1, 4))]
    task = asyncio.create_task(client.embed_documents(wanted))
    if dice.random() < 0.5:
        for _ in range(dice.randrange(30)):
            await asyncio.sleep(0)
    else:
        await asyncio.sleep(dice.uniform(0.0, 0.03))
    task.cancel()
    try:
        await task
        tally["done"] += 1
    except asyncio.CancelledError:
        tally["cancelled"] += 1


def test_a_thousand_cancelled_calls_leave_nothing_behind(make, truth, tmp_path):
    client = make(batch_size=1, max_concurrency=CONCURRENCY, cache=tmp_path / "embeddings.sqlite").as_async()
    dice = random.Random(26)
    tally = {"done": 0, "cancelled": 0}

    async def run():
        await client.embed_documents(texts(2 * CONCURRENCY))
        await client.aclose()
        before = descriptors()
        while sum(tally.values()) < CANCELS:
            await asyncio.gather(*(cancelled_at_random(client, dice, tally) for _ in range(AT_ONCE)))
        others = asyncio.all_tasks() - {asyncio.current_task()}  # a connection may take a turn of the loop to close
        assert not others or not (await asyncio.wait(others, timeout=PATIENCE))[1]
        dispatcher = client._state.built.dispatcher
        assert dispatcher.limiter.in_flight == 0
        assert not dispatcher.waiting
        assert descriptors() - before <= CONCURRENCY
        assert np.array_equal((await client.embed_documents(texts(len(truth)))).embeddings, truth)
        await client.aclose()
        assert descriptors() <= before
        assert dispatcher.limiter.in_flight == 0

    asyncio.run(run())
    assert tally["cancelled"] > CANCELS // 2
