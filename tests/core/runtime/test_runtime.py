"""What one client's flows act on, and what of it is the parent's in a forked child."""

from __future__ import annotations

import os

import pytest

from .doubles import Transport, runtime


def test_the_threads_that_wait_for_the_cache_are_the_clients_own_and_few():
    run = runtime()
    assert run.disk is run.disk
    names = {run.disk.submit(lambda: __import__("threading").current_thread().name).result() for _ in range(8)}
    assert all(name.startswith("openrouter-embeddings-cache") for name in names)
    assert len(names) <= 2
    run.disk.shutdown()


def test_in_a_forked_child_sockets_and_threads_are_dropped():
    transport = Transport()
    run = runtime(transport)
    disk = run.disk
    run.after_fork()
    assert transport.dropped == 1
    assert run.disk is not disk
    disk.shutdown()
    run.disk.shutdown()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # of Python 3.12 and later
def test_a_fork_tells_it():
    transport = Transport()
    run = runtime(transport)
    pid = os.fork()
    if pid == 0:
        os._exit(0 if transport.dropped == 1 and run.dispatcher.waiting == 0 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert transport.dropped == 0
