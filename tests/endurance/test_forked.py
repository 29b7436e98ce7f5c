"""A client that is busy in many threads while its process divides; and one that is sent to other processes."""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from openrouter_embeddings.cache import MemoryCache

from .support import PATIENCE, report_wrong_calls, sized, wrong_calls

# A lock of coverage's that a thread holds would not be free in the child.
pytestmark = pytest.mark.usefixtures("unmeasured")

FORKS = 8
CALLS = sized(200, 25)
THREADS = 32
CALLS_OF_A_THREAD = sized(500, 15)


@contextmanager
def traffic(client, truth, *, threads=4):
    """Keep a client busy in threads; in the end, none of them may have had a wrong answer."""
    over = threading.Event()

    def work(start):
        wrong = 0
        while not over.is_set():
            wrong += wrong_calls(client, truth, calls=5, start=start)
        return wrong

    with ThreadPoolExecutor(threads) as pool:
        working = [pool.submit(work, n) for n in range(threads)]
        try:
            yield
        finally:
            over.set()
        assert [one.result(PATIENCE) for one in working] == [0] * threads


def wrong_in(context, client, truth, *, processes):
    """Run the calls in so many processes at once, and return what each of them reports."""
    started = []
    for _ in range(processes):
        pipe, theirs = context.Pipe(duplex=False)
        process = context.Process(target=report_wrong_calls, args=(theirs, client, truth, CALLS), daemon=True)
        process.start()
        theirs.close()
        started.append((process, pipe))
    told = []
    for process, pipe in started:
        told.append(pipe.recv() if pipe.poll(PATIENCE) else "it hangs")
        pipe.close()
        process.kill()
        process.join(PATIENCE)
    return told


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_forks_during_traffic(make, truth, tmp_path):
    client = make(cache=None)
    cached = make(cache=tmp_path / "embeddings.sqlite")
    with traffic(client, truth), traffic(cached, truth, threads=2):
        context = multiprocessing.get_context("fork")
        assert wrong_in(context, client, truth, processes=FORKS) == [0] * FORKS
        assert wrong_in(context, cached, truth, processes=2) == [0] * 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_fork_while_another_thread_holds_a_lock(make, truth):
    cache = MemoryCache()
    client = make(cache=cache)
    client.embed_query("a first request")
    state = client._state
    runtime = state.built
    with state._lock, runtime.dispatcher._lock, runtime.registry.lock, cache._lock:
        assert wrong_in(multiprocessing.get_context("fork"), client, truth, processes=1) == [0]
    assert wrong_calls(client, truth, calls=5) == 0


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_a_busy_client_is_sent_to_other_processes(make, truth, method):
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip("not on this system")
    client = make()
    with traffic(client, truth):
        assert wrong_in(multiprocessing.get_context(method), client, truth, processes=2) == [0, 0]


def test_many_threads_that_switch_all_the_time(make, truth):
    client = make()
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(THREADS) as pool:
            working = [
                pool.submit(wrong_calls, client, truth, calls=CALLS_OF_A_THREAD, start=n) for n in range(THREADS)
            ]
            assert [one.result() for one in working] == [0] * THREADS
    finally:
        sys.setswitchinterval(interval)
    assert client.usage.requests + client.usage.shared >= THREADS * CALLS_OF_A_THREAD
    assert client._state.built.dispatcher.limiter.in_flight == 0
