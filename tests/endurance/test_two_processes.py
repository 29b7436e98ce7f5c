"""Two processes with the same texts on one cache file: each text is paid for once, and a killed one holds up nobody."""

from __future__ import annotations

import signal
import sys
import time

import numpy as np
import pytest

from openrouter_embeddings.cache import SqliteCache

from .support import PATIENCE, embed_when_told, texts, zygote

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no such signal there")
WANTED = texts(1000)
CONCURRENCY, BATCH = 4, 32


class Process:
    """A process that embeds once it is told to, and then tells what came of it."""

    def __init__(self, options, path):
        self.pipe, theirs = zygote().Pipe()
        options = {**options, "batch_size": BATCH, "max_concurrency": CONCURRENCY}
        self.process = zygote().Process(target=embed_when_told, args=(theirs, options, path, WANTED), daemon=True)
        self.process.start()
        theirs.close()
        assert self.receive() == "ready"

    def receive(self):
        assert self.pipe.poll(PATIENCE), "the process hangs"
        return self.pipe.recv()

    def outcome(self):
        found = self.receive()
        self.process.join(PATIENCE)
        assert not isinstance(found, str), found
        return found


@pytest.fixture
def wanted(make):
    with make() as client:
        return client.embed_documents(WANTED).embeddings


@pytest.fixture
def two(options, tmp_path, wanted, embeddings_gateway):
    """Two processes, and a gateway that takes its time and was paid for nothing yet."""
    embeddings_gateway.reset()
    embeddings_gateway.configure(latency=0.2)
    yield [Process({**options, "timeout": 2.0}, str(tmp_path / "embeddings.sqlite")) for _ in range(2)]
    embeddings_gateway.configure(latency=0.0)


def test_the_same_thousand_texts_at_once_are_paid_for_once(two, wanted, embeddings_gateway):
    for process in two:
        process.pipe.send("go")
    outcomes = [process.outcome() for process in two]
    assert all(np.array_equal(embeddings, wanted) for embeddings, _ in outcomes)
    assert embeddings_gateway.paid_inputs() == 1000
    assert sum(cached for _, cached in outcomes) == 1000


def test_of_a_killed_one_only_what_was_in_flight_is_paid_for_twice(two, wanted, embeddings_gateway, tmp_path):
    killed, survivor = two
    for process in two:
        process.pipe.send("go")
    while embeddings_gateway.paid_inputs() < 4 * CONCURRENCY * BATCH:
        assert killed.process.is_alive()
        time.sleep(0.01)
    killed.process.kill()
    killed.process.join(PATIENCE)
    assert killed.process.exitcode == -signal.SIGKILL
    embeddings, _ = survivor.outcome()
    assert np.array_equal(embeddings, wanted)
    assert 1000 <= embeddings_gateway.paid_inputs() <= 1000 + CONCURRENCY * BATCH
    with SqliteCache(tmp_path / "embeddings.sqlite") as cache:
        assert len(cache) == 1000
        assert cache.verify() == 0
