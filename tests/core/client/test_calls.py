"""Calls side by side: in threads, tasks, loops and forks, cancelled and interrupted."""

from __future__ import annotations

import asyncio
import os
import random
import re
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from openrouter_embeddings import MemoryCache, ProviderUnavailableError
from openrouter_embeddings.client.calls import embed_call, listing_call

from .conftest import MODEL, texts


@pytest.fixture
def warm(make, embeddings_gateway):
    """Make a client that has had its first answer, so that it sends several requests at once."""

    def build(**options):
        client = make(**options)
        client.embed_query("warm")
        embeddings_gateway.reset()
        return client

    return build


def test_a_call_says_what_it_may_take_in_all(make):
    state = make(call_timeout=7.0)._state
    assert embed_call(state, ["a", "b"], "document").seconds == 7.0
    assert embed_call(make()._state, ["a", "b"], "document").seconds is None
    assert embed_call(make()._state, ["a"], "query").seconds == 30.0
    assert embed_call(make(coalesce_queries=True)._state, ["a"], "query").seconds == 30.0
    assert listing_call(state).seconds is None


# ------------------------------------------------------------------------------------------------------ single flight


@pytest.mark.parametrize("colour", ["threads", "tasks", "both"])
def test_equal_queries_at_the_same_time_are_sent_once(warm, embeddings_gateway, colour):
    client = warm()
    embeddings_gateway.trouble("slow", seconds=0.5, times=1)
    together = threading.Barrier(2 if colour == "both" else 8)

    def ask() -> np.ndarray:
        together.wait()
        return client.embed_query("the same").embeddings

    async def ask_all() -> list[np.ndarray]:
        if colour == "both":
            together.wait()
        other = client.as_async()
        return [
            result.embeddings for result in await asyncio.gather(*(other.embed_query("the same") for _ in range(8)))
        ]

    with ThreadPoolExecutor(8) as pool:
        if colour == "threads":
            rows = [future.result() for future in [pool.submit(ask) for _ in range(8)]]
        elif colour == "tasks":
            rows = asyncio.run(ask_all())
        else:
            futures = [pool.submit(asyncio.run, ask_all()) for _ in range(2)]
            rows = [row for future in futures for row in future.result()]
    assert all((row == rows[0]).all() for row in rows)
    assert embeddings_gateway.paid_inputs() == 1
    assert client.usage.shared == len(rows) - 1


def test_with_a_cache_each_text_is_paid_for_once_whoever_asks(make, embeddings_gateway):
    """4,000 texts, half of them doubles, from threads and tasks."""
    client = make(cache=MemoryCache(), batch_size=64)
    given = [f"text {number}" for number in range(2_000)] * 2
    random.Random(5).shuffle(given)
    parts = [given[start::32] for start in range(32)]
    truth = dict(zip(given, make(batch_size=256).embed_documents(given).embeddings, strict=True))
    embeddings_gateway.reset()

    def right(part: list[str], rows: np.ndarray) -> bool:
        return all(np.array_equal(row, truth[text]) for text, row in zip(part, rows, strict=True))

    async def embed_all(some: list[list[str]]) -> bool:
        results = await asyncio.gather(*(client.as_async().embed_documents(part) for part in some))
        return all(right(part, result.embeddings) for part, result in zip(some, results, strict=True))

    with ThreadPoolExecutor(17) as pool:
        futures = [
            pool.submit(lambda part: right(part, client.embed_documents(part).embeddings), part) for part in parts[:16]
        ]
        futures.append(pool.submit(asyncio.run, embed_all(parts[16:])))
        assert all(future.result() for future in futures)
    assert embeddings_gateway.paid_inputs() == 2_000


def test_six_threads_and_a_task_that_ask_for_the_same_do_not_wait_for_each_others_threads(warm, tmp_path):
    """The loop's own executor is full of threads that wait for the task: it needs none of theirs for its cache."""
    client = warm(cache=tmp_path / "e.sqlite")

    async def ask_all() -> list:
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(2))
        tasks = [asyncio.to_thread(client.embed_query, "the same") for _ in range(6)]
        return await asyncio.wait_for(asyncio.gather(client.as_async().embed_query("the same"), *tasks), 60)

    rows = [result.embeddings for result in asyncio.run(ask_all())]
    assert all((row == rows[0]).all() for row in rows)


def test_when_the_first_is_cancelled_the_next_takes_over(warm, embeddings_gateway):
    client = warm()
    embeddings_gateway.trouble("slow", seconds=1.0, times=1)

    async def scenario() -> list:
        other = client.as_async()
        first = asyncio.create_task(other.embed_query("the same"))
        while not embeddings_gateway.embedding_requests():  # noqa: ASYNC110 - another process is looked at
            await asyncio.sleep(0.01)
        others = [asyncio.create_task(other.embed_query("the same")) for _ in range(4)]
        await asyncio.sleep(0)  # each goes on up to its wait
        first.cancel()
        return [first.cancelled() or first.cancelling(), *(await asyncio.gather(*others))]

    cancelled, *results = asyncio.run(scenario())
    assert cancelled
    assert len(results) == 4
    assert len(embeddings_gateway.embedding_requests()) == 2
    assert client.usage.shared == 3


def test_a_failure_that_waiting_did_not_cure_is_shared_and_names_each_callers_positions(make, embeddings_gateway):
    client = make(max_retries=0, retry_timeout=0.2)
    embeddings_gateway.trouble("status", status=503, times=None)
    together = threading.Barrier(4)

    def ask() -> Exception:
        together.wait()
        with pytest.raises(ProviderUnavailableError) as caught:
            client.embed_documents(["the same"])
        return caught.value

    with ThreadPoolExecutor(4) as pool:
        failed = [future.result() for future in [pool.submit(ask) for _ in range(4)]]
    assert all(error.positions == (0,) for error in failed)


# ------------------------------------------------------------------------------------------- threads, loops, processes


def test_one_client_serves_any_number_of_loops_one_after_another(make, embeddings_gateway):
    client = make().as_async()
    for _ in range(5):
        assert asyncio.run(client.embed_documents(texts(3))).embeddings.shape == (3, 1536)
    assert len(embeddings_gateway.embedding_requests()) == 5


def test_one_client_serves_eight_loops_in_eight_threads_and_sync_beside_them(make, embeddings_gateway):
    client = make(batch_size=3, max_concurrency=5)
    other = client.as_async()
    expected = make().embed_documents(texts(12)).embeddings

    def in_loop(_: int) -> bool:
        return bool((asyncio.run(other.embed_documents(texts(12))).embeddings == expected).all())

    def in_thread(_: int) -> bool:
        return bool((client.embed_documents(texts(12)).embeddings == expected).all())

    with ThreadPoolExecutor(16) as pool:
        assert all([*pool.map(in_loop, range(8)), *pool.map(in_thread, range(8))])
    assert embeddings_gateway.max_in_flight() <= 5


def test_sync_methods_work_inside_a_running_loop(make):
    async def run() -> int:
        return len(make(batch_size=1).embed_documents(texts(5)))

    assert asyncio.run(run()) == 5


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_used_client_survives_fork(make):
    client = make(batch_size=2)
    expected = client.embed_documents(texts(6)).embeddings
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            same = (client.embed_documents(texts(6)).embeddings == expected).all()
            os.write(writer, b"same" if same else b"different")
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as answer:
        assert answer.read() == b"same"
    os.waitpid(child, 0)
    assert (client.embed_documents(texts(6)).embeddings == expected).all()


def test_no_thread_is_left_behind(make):
    make(batch_size=1).embed_documents(texts(8))
    assert not [thread for thread in threading.enumerate() if thread.name == "openrouter-embeddings"]


# ------------------------------------------------------------------------------------------- cancelled and interrupted


def test_cancelled_calls_leave_no_permits_taken(make, embeddings_gateway):
    client = make(batch_size=1, max_concurrency=2).as_async()
    embeddings_gateway.trouble("slow", seconds=0.2, times=6)

    async def run() -> None:
        task = asyncio.create_task(client.embed_documents(texts(10)))
        while not embeddings_gateway.embedding_requests():  # noqa: ASYNC110 - another process is looked at
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert client.usage.requests >= 1, "what was sent is counted though no answer came"
        assert client._state.runtime().dispatcher.limiter.in_flight == 0
        assert (await client.embed_documents(texts(4))).embeddings.shape == (4, 1536)
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(run())


@pytest.mark.skipif(sys.platform == "win32", reason="signals are another matter there")
@pytest.mark.parametrize("call", ["embed_documents(texts)", "embed_stream(texts, input_type='document')"])
def test_ctrl_c_that_another_thread_receives_ends_the_call_too(embeddings_gateway, call):
    """The kernel picks the thread, and a lock that the main thread waits for is not told."""
    embeddings_gateway.trouble("slow", seconds=0.2, times=None)
    script = (
        "import itertools, signal, threading\n"
        "from openrouter_embeddings import Client\n"
        "requests = itertools.count()\n"
        "def interrupt(_):\n"
        "    if next(requests) == 3:\n"
        "        signal.pthread_kill(threading.get_ident(), signal.SIGINT)\n"
        f"client = Client({MODEL!r}, api_key='sk-test-key', base_url={embeddings_gateway.base_url!r}, batch_size=1,\n"
        "    max_concurrency=4, before_request=interrupt)\n"
        "texts = map(str, range(400))\n"
        "try:\n"
        f"    list(client.{call})\n"
        "except KeyboardInterrupt:\n"
        "    print('interrupted')\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=120)
    assert done.stdout == "interrupted\n", done.stderr
    assert 0 < len(embeddings_gateway.embedding_requests()) < 100


@pytest.mark.skipif(sys.platform == "win32", reason="signals are another matter there")
def test_ctrl_c_in_the_middle_sends_nothing_more_and_counts_what_was_sent(embeddings_gateway):
    embeddings_gateway.trouble("slow", seconds=0.3, times=None)
    script = (
        "from openrouter_embeddings import Client\n"
        f"client = Client({MODEL!r}, api_key='sk-test-key', base_url={embeddings_gateway.base_url!r}, batch_size=1)\n"
        "try:\n"
        "    client.embed_documents([str(i) for i in range(500)], on_progress=lambda *_: print('landed', flush=True))\n"
        "except KeyboardInterrupt:\n"
        "    print('requests:', client.usage.requests, flush=True)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout.readline() == "landed\n"
        child.send_signal(signal.SIGINT)
        # The interrupt may cut a line of the progress in two, so the count is searched for, not split off.
        counted = int(re.search(r"requests: (\d+)", child.stdout.read())[1])
        assert child.wait(60) == 0
    # Workers that had their permits by then may still have sent their one request.
    assert counted > 0
    assert 0 < len(embeddings_gateway.embedding_requests()) <= counted + 16
    assert len(embeddings_gateway.embedding_requests()) < 100
