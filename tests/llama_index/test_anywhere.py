"""Any thread, any loop, any process: one object, no request sent twice."""

from __future__ import annotations

import asyncio
import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import pytest

TEXTS = [f"text number {number}" for number in range(30)]


@pytest.fixture(params=["fresh", "pickled", "deep copied"])
def embedder(make, request):
    made = make()
    if request.param == "fresh":
        return made
    made.get_text_embedding("used before")
    return pickle.loads(pickle.dumps(made)) if request.param == "pickled" else copy.deepcopy(made)


def test_three_loops_in_a_row_send_each_request_once(embedder, embeddings_gateway):
    """What property graphs do: bare `asyncio.run`s over one object."""
    before = len(embeddings_gateway.embedding_requests())
    rows = [asyncio.run(embedder.aget_text_embedding_batch(TEXTS)) for _ in range(3)]
    assert rows[0] == rows[1] == rows[2]
    assert embedder.usage.retries == 0
    assert len(embeddings_gateway.embedding_requests()) - before == embedder.usage.requests == 3


async def test_sync_methods_work_inside_a_running_loop(embedder):
    rows = embedder.get_text_embedding_batch(TEXTS)
    assert rows == await embedder.aget_text_embedding_batch(TEXTS)
    assert rows == await asyncio.to_thread(embedder.get_text_embedding_batch, TEXTS)


def test_eight_threads_share_one_object(embedder, embeddings_gateway):
    wanted = embedder.get_text_embedding_batch(TEXTS)
    with ThreadPoolExecutor(8) as pool:
        sync = list(pool.map(embedder.get_text_embedding, TEXTS))
        loops = list(pool.map(lambda text: asyncio.run(embedder.aget_text_embedding(text)), TEXTS))
    assert sync == loops == wanted
    assert embedder.usage.requests == 1 + 2 * len(TEXTS)
    assert embeddings_gateway.max_in_flight() <= 16
