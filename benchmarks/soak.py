"""A long run through trouble: does anything leak, does a wrong number ever come out?

One client, eight threads and eight asyncio tasks at once, against the local gateway, which spoils every tenth request
in one of some fifty ways. After each thousand calls the connections are closed, descriptors and memory are read and a
line is printed. The run fails on a wrong embedding, an exception that is not ours, more than two more descriptors, or
more than 10 MB more memory than after the warm-up.

    python benchmarks/soak.py --calls 50000
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import psutil

from openrouter_embeddings import Client, EmbeddingError
from openrouter_embeddings_gateway import LocalGateway

MODEL = "openai/text-embedding-3-small"
MOST_DESCRIPTORS = 2
MOST_MEGABYTES = 10.0
PER_ROUND = 1000
FAULT_EVERY = 10
WARM_UP = 0.1
THREADS = TASKS = 8
TIMEOUT = 2.0

_STATUSES = (400, 401, 402, 403, 404, 408, 422, 500, 502, 504, 524)
_TURNED_AWAY = (429, 503, 529)
_PLAIN = (
    "answer_floats", "bad_base64", "bom", "cut", "doubled_index", "empty_body", "empty_data", "extra", "html",
    "ignore_dimensions", "inf", "missing", "nan", "no_index", "no_usage", "not_json", "null_embedding", "null_number",
    "odd_width", "ragged", "redirect", "reset", "reversed", "shuffled", "some_index", "strings", "wrong_width", "zero",
)  # fmt: skip
FAULTS: list[dict[str, Any]] = [
    *({"kind": "status", "status": status} for status in _STATUSES),
    *({"kind": "status", "status": status, "retry_after": 0.02} for status in _TURNED_AWAY),
    *({"kind": "error_in_200", "code": code} for code in (429, 502)),
    *({"kind": kind} for kind in _PLAIN),
    {"kind": "slow", "seconds": 0.05},
    {"kind": "slow", "seconds": TIMEOUT * 1.5},
    {"kind": "drip", "seconds": 0.05},
]
"""Left out is what teaches the client for good, such as 413: from then on it asks for less."""


@dataclass
class Tally:
    """What the calls came to."""

    right: int = 0
    wrong: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    foreign: Counter[str] = field(default_factory=Counter)

    @property
    def calls(self) -> int:
        """All calls so far."""
        return self.right + self.wrong + self.refused.total() + self.foreign.total()


@dataclass(frozen=True)
class Reading:
    """What the process holds between two rounds."""

    descriptors: int
    megabytes: float
    threads: int

    @classmethod
    def now(cls) -> Reading:
        """Read it, garbage collected first."""
        gc.collect()
        process = psutil.Process()
        count = process.num_fds() if hasattr(process, "num_fds") else process.num_handles()
        return cls(count, process.memory_info().rss / 1e6, threading.active_count())


class Soak:
    """The client under test, the texts with their right embeddings, and the tally."""

    def __init__(self, gateway: LocalGateway, *, seed: int) -> None:
        self.gateway = gateway
        self.dice = random.Random(seed)
        self.tally = Tally()
        self._lock = threading.Lock()
        self.client = Client(
            MODEL, api_key="local", base_url=gateway.base_url, dimensions=64, timeout=TIMEOUT, retry_timeout=30.0
        )
        self.texts = [f"text {n} {'about something ' * (n % 9)}" for n in range(512)]
        self.truth = self.client.embed_documents(self.texts).embeddings
        # Without chance in the pauses an open breaker closes when it was told to, and the run takes minutes, not hours.
        self.dispatcher.jitter = lambda: 0.01

    @property
    def dispatcher(self) -> Any:
        """The queue of the client's requests."""
        return self.client._state.runtime().dispatcher  # noqa: SLF001  a long run watches what no user sees

    def round(self, calls: int) -> None:
        """Make so many calls, half of them in threads, half on a loop of their own, and close the connections."""
        self.gateway.reset()
        kinds = self.dice.choices(FAULTS, k=calls // FAULT_EVERY)
        for at, fault in enumerate(kinds):
            # A rule counts the requests that no rule before it has struck.
            self.gateway.trouble(after=at * (FAULT_EVERY - 1), **fault)
        picks = [self.dice.sample(range(len(self.texts)), self.dice.randint(1, 4)) for _ in range(calls)]
        half = calls // 2
        with ThreadPoolExecutor(THREADS + 1) as pool:
            loop = pool.submit(asyncio.run, self._on_a_loop(picks[half:]))
            for _ in pool.map(self._in_a_thread, picks[:half]):
                pass
            loop.result()
        self.client.close()

    def _in_a_thread(self, pick: Sequence[int]) -> None:
        try:
            got: Any = self.client.embed_documents([self.texts[at] for at in pick]).embeddings
        except Exception as failed:
            got = failed
        self._judge(pick, got)

    async def _on_a_loop(self, picks: Sequence[Sequence[int]]) -> None:
        client = self.client.as_async()
        waiting = iter(picks)

        async def work() -> None:
            for pick in waiting:
                try:
                    got: Any = (await client.embed_documents([self.texts[at] for at in pick])).embeddings
                except Exception as failed:
                    got = failed
                self._judge(pick, got)

        await asyncio.gather(*(work() for _ in range(TASKS)))
        await client.aclose()
        if left := len(asyncio.all_tasks()) - 1:
            self.tally.foreign[f"{left} tasks left behind"] += 1

    def _judge(self, pick: Sequence[int], got: Any) -> None:
        tally = self.tally
        with self._lock:
            if isinstance(got, EmbeddingError):
                tally.refused[type(got).__name__] += 1
            elif isinstance(got, Exception):
                tally.foreign[repr(got)] += 1
            elif np.array_equal(got, self.truth[list(pick)]):
                tally.right += 1
            else:
                tally.wrong += 1


def run(calls: int, *, seed: int) -> list[str]:
    """Run it all, print as it goes, and return what is wrong: nothing, one hopes."""
    with LocalGateway.start() as gateway:
        soak = Soak(gateway, seed=seed)
        began, warm = time.monotonic(), None
        print(f"{'calls':>7} {'seconds':>8} {'fds':>4} {'RSS MB':>7} {'threads':>8} {'right':>7} {'refused':>8}")
        while soak.tally.calls < calls:
            soak.round(min(PER_ROUND, calls - soak.tally.calls))
            tally, now = soak.tally, Reading.now()
            print(
                f"{tally.calls:>7} {time.monotonic() - began:>8.1f} {now.descriptors:>4} {now.megabytes:>7.1f}"
                f" {now.threads:>8} {tally.right:>7} {tally.refused.total():>8}",
                flush=True,
            )
            if warm is None and tally.calls >= calls * WARM_UP:
                warm = now
        assert warm is not None
        print(f"requests sent: {soak.client.usage.requests}, of which again: {soak.client.usage.retries}")
        print("refused, as it should be:", dict(soak.tally.refused.most_common()))
        print(
            f"since the warm-up: {now.descriptors - warm.descriptors:+} fds, {now.megabytes - warm.megabytes:+.1f} MB"
        )
        places = soak.dispatcher.limiter.in_flight
    return complaints(soak.tally, warm, now, places=places)


def complaints(tally: Tally, warm: Reading, last: Reading, *, places: int) -> list[str]:
    """Return what a run may not do and did."""
    found = []
    if tally.wrong:
        found.append(f"{tally.wrong} wrong answers")
    if tally.foreign:
        found.append(f"not ours: {dict(tally.foreign)}")
    if last.descriptors - warm.descriptors > MOST_DESCRIPTORS:
        found.append(f"descriptors grew from {warm.descriptors} to {last.descriptors}")
    if last.megabytes - warm.megabytes > MOST_MEGABYTES:
        found.append(f"memory grew from {warm.megabytes:.1f} to {last.megabytes:.1f} MB")
    if last.threads > warm.threads:
        found.append(f"threads grew from {warm.threads} to {last.threads}")
    if places:
        found.append(f"{places} places are still taken")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=50_000)
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    found = run(given.calls, seed=given.seed)
    for one in found:
        print("FAILED:", one)
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
