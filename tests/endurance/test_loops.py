"""One client on loop after loop, on loops side by side, and in threads beside them."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from .support import PATIENCE, descriptors, texts, wrong_calls

LOOPS = 50
CALLS = 5
SLACK = 2


async def wrong_and_tasks_left(client, truth, start):
    """Embed side by side; return how many embeddings are wrong and how many tasks are left."""
    picks = [(start + one) % len(truth) for one in range(CALLS)]
    wanted = texts(len(truth))
    results = await asyncio.gather(*(client.embed_documents([wanted[at]]) for at in picks))
    wrong = sum(not np.array_equal(result.embeddings[0], truth[at]) for result, at in zip(results, picks, strict=True))
    return wrong, len(asyncio.all_tasks()) - 1


def test_fifty_loops_one_after_another(make, truth):
    client = make().as_async()
    asyncio.run(wrong_and_tasks_left(client, truth, 0))
    before = descriptors()
    assert [asyncio.run(wrong_and_tasks_left(client, truth, n)) for n in range(LOOPS)] == [(0, 0)] * LOOPS
    assert abs(descriptors() - before) <= SLACK
    assert client._state.built.dispatcher.limiter.in_flight == 0


def test_eight_loops_in_eight_threads_and_sync_threads_beside_them(make, truth):
    client = make(max_concurrency=6)

    def on_loops(number):
        return [asyncio.run(wrong_and_tasks_left(client.as_async(), truth, number + n)) for n in range(10)]

    def in_a_thread(number):
        return wrong_calls(client, truth, calls=10 * CALLS, start=number)

    def all_at_once():
        with ThreadPoolExecutor(16) as pool:
            loops = [pool.submit(on_loops, n) for n in range(8)]
            threads = [pool.submit(in_a_thread, n) for n in range(8)]
            assert [one.result(PATIENCE) for one in loops] == [[(0, 0)] * 10] * 8
            assert [one.result(PATIENCE) for one in threads] == [0] * 8
        client.close()

    all_at_once()
    before = descriptors()
    all_at_once()
    assert abs(descriptors() - before) <= SLACK
    assert client._state.built.dispatcher.limiter.in_flight == 0
