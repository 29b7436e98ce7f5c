"""A bulk run that is killed again and again loses nothing it has acknowledged, and pays little twice."""

from __future__ import annotations

import itertools
import random
import signal
import sys
import time

import numpy as np
import pytest

from openrouter_embeddings.cache import SqliteCache

from .support import PATIENCE, embed_and_tell, sized, texts, zygote

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no such signal there")
KILLS = sized(100, 12)
MOST_BATCHES = 8
CONCURRENCY, BATCH = 4, 8


class Run:
    """One process that embeds, and what it has acknowledged."""

    def __init__(self, *args):
        self.pipe, theirs = zygote().Pipe(duplex=False)
        self.process = zygote().Process(target=embed_and_tell, args=(theirs, *args), daemon=True)
        self.process.start()
        theirs.close()
        assert self.receive() == b"ready"

    def receive(self):
        assert self.pipe.poll(PATIENCE), "the process hangs"
        return self.pipe.recv_bytes()

    def kill_after(self, batches, seconds):
        """Kill it once it has acknowledged so many batches, a moment later; return every acknowledged key."""
        told = [self.receive() for _ in range(batches)]
        time.sleep(seconds)
        self.process.kill()
        self.process.join(PATIENCE)
        assert self.process.exitcode == -signal.SIGKILL
        try:
            while True:
                told.append(self.receive())
        except (EOFError, OSError):  # a message that was cut off acknowledges nothing
            self.pipe.close()
        keys = b"".join(told)
        return [keys[at : at + 32] for at in range(0, len(keys), 32)]


def paid_when_quiet(gateway):
    """Return what was paid once the gateway has answered the dead."""
    give_up = time.monotonic() + PATIENCE
    while (stats := gateway.stats())["in_flight"]:
        assert time.monotonic() < give_up
        time.sleep(0.005)
    return stats["paid_inputs"]


def test_kills_lose_no_acknowledged_row_and_pay_only_what_was_in_flight(embeddings_gateway, make, options, tmp_path):
    path = str(tmp_path / "cache" / "embeddings.sqlite")
    wanted = texts(KILLS * (MOST_BATCHES + 3 * CONCURRENCY) * BATCH)  # more than the killed can ever finish
    dice = random.Random(4)
    acknowledged, paid_twice, kept_before, paid_before = set(), [], 0, 0
    for _ in range(KILLS):
        run = Run(path, wanted, {**options, "batch_size": BATCH, "max_concurrency": CONCURRENCY})
        acknowledged.update(run.kill_after(dice.randrange(MOST_BATCHES), dice.uniform(0.0, 0.01)))
        paid = paid_when_quiet(embeddings_gateway)
        with SqliteCache(path) as cache:
            assert len(cache.get(list(acknowledged))) == len(acknowledged)
            kept = len(cache)
        paid_twice.append((paid - paid_before) - (kept - kept_before))
        paid_before, kept_before = paid, kept
    assert min(paid_twice) >= 0
    # What a dead process had sent may be paid for after the count was taken: then it is in the next one.
    in_flight = itertools.count(CONCURRENCY * BATCH, CONCURRENCY * BATCH)
    assert all(paid <= most for paid, most in zip(itertools.accumulate(paid_twice), in_flight, strict=False))
    assert kept_before < len(wanted)

    with SqliteCache(path) as cache:
        result = make(cache=cache).embed_documents(wanted)
        assert result.usage.cached == kept_before
        assert cache.verify() == 0
    assert np.array_equal(result.embeddings, make().embed_documents(wanted).embeddings)
