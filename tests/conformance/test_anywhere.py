"""Laws 9 and 10. Never more in flight than allowed; any thread, any loop, any process; both colours are one text."""

from __future__ import annotations

import asyncio
import copy
import os
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest


def test_all_subjects_return_the_same_bits(all_of_them, texts):
    """Core and adapters, sync and async: the same call gives the same float32 numbers, to the last bit.

    Troubleshooting: a small difference is a conversion on the way; a large one, another option or another side.
    """
    subjects = all_of_them(model="qwen/qwen3-embedding-8b", dimensions=256, batch_size=7)
    documents = [one.embed_documents(texts) for one in subjects]
    queries = [one.embed_query(texts[0]) for one in subjects]
    for rows, row in zip(documents[1:], queries[1:], strict=True):
        np.testing.assert_array_equal(rows, documents[0])
        np.testing.assert_array_equal(row, queries[0])


def test_all_subjects_send_the_same_bytes(all_of_them, sent, texts):
    """The body of a request does not depend on who asked for it.

    Troubleshooting: a field that only one of them sends is a default that stands twice.
    """
    for one in all_of_them(provider={"zdr": True}, user="someone", session_id="s1", trace={"trace_id": "t1"}):
        one.embed_documents(texts)
    bodies = [one.body for one in sent()]
    assert bodies == [bodies[0]] * 8
    assert {one.headers["x-session-id"] for one in sent()} == {"s1"}


def test_requests_in_flight_never_exceed_the_limit(make, gateway, texts):
    """Four threads share one object whose limit is three: three is the most that the gateway ever sees at once.

    Troubleshooting: more means that each call, thread or loop has a limit of its own; one, that nothing is parallel.
    """
    subject = make(batch_size=2, max_concurrency=3)
    subject.embed_documents(texts[:2])
    gateway.trouble("slow", seconds=0.02, times=None)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(subject.embed_documents, [texts] * 4))
    assert 2 <= gateway.max_in_flight() <= 3


def test_one_object_serves_eight_threads(make, truth, texts):
    """Results do not mix, whichever thread or loop they are asked from.

    Troubleshooting: an error about a closed or another loop means that a client is bound to the first loop it met.
    """
    subject = make(batch_size=4)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(subject.embed_documents, [texts[at : at + 20] for at in range(16)]))
    right = truth.rows(texts)
    for at, rows in enumerate(found):
        np.testing.assert_allclose(rows, right[at : at + 20], atol=1e-6)


def test_every_method_works_inside_a_running_loop_and_on_the_next_one(make, truth, texts):
    """Notebooks and web apps call sync methods from async code, and one object outlives its first loop.

    Troubleshooting: "cannot be called from a running event loop" means an `asyncio.run` inside a sync method; "loop is
    closed", a client that is bound to the first loop it met.
    """
    subject = make()

    async def inside():
        answer = subject.documents(texts[:3])
        return await answer if subject.is_async else answer

    for _ in range(3):
        np.testing.assert_allclose(asyncio.run(inside()), truth.rows(texts[:3]), atol=1e-6)


def test_one_loop_after_another_sends_each_request_once(make, sent, texts):
    """Bare `asyncio.run`s over one object, as in property graphs, task queues and notebooks.

    Troubleshooting: more requests mean that one went out on a connection of a loop that is closed, was billed, and was
    sent again.
    """
    subject = make()
    for _ in range(3):
        subject.embed_documents(texts[:3])
    assert subject.usage.retries == 0
    assert len(sent()) == subject.usage.requests == 3


@pytest.mark.parametrize("used", [True, False], ids=["used", "fresh"])
@pytest.mark.parametrize("how", ["pickle", "deepcopy", "copy"])
def test_a_copy_works_like_the_original(make, sent, truth, texts, how, used):
    """Objects travel to workers and carry their configuration, never a socket; totals start anew after a pickle.

    Troubleshooting: an error about locks or sockets means that something alive is pickled; another width or side, that
    an option was left behind.
    """
    copied = {"pickle": lambda one: pickle.loads(pickle.dumps(one)), "deepcopy": copy.deepcopy, "copy": copy.copy}[how]
    subject = make(batch_size=4, provider={"zdr": True})
    if used:
        subject.embed_documents(texts[:4])
    subject.parts = [copied(part) for part in subject.parts]
    np.testing.assert_allclose(subject.embed_documents(texts[:8]), truth.rows(texts[:8]), atol=1e-6)
    np.testing.assert_allclose(subject.embed_query(texts[0]), truth.rows(texts[:1])[0], atol=1e-6)
    assert all(one.body["provider"] == {"zdr": True} for one in sent())
    assert max(one.inputs for one in sent()) == 4


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this platform")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")  # Python's, since 3.12
def test_a_forked_child_works(make, truth, texts):
    """A child of a process that has embedded connects by itself, and disturbs no connection of its parent's.

    Troubleshooting: a child that hangs holds a lock of a thread that is not there; mixed answers share a socket.
    """
    subject = make()
    subject.embed_documents(texts[:2])
    right = truth.rows(texts[:8])
    child = os.fork()
    if not child:  # no assertion and no cleanup in here: both belong to the parent
        good = False
        try:
            good = np.allclose(subject.embed_documents(texts[:8]), right, atol=1e-6)
        finally:
            os._exit(0 if good else 1)
    np.testing.assert_allclose(subject.embed_documents(texts[:8]), right, atol=1e-6)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
