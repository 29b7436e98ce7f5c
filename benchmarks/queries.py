"""Queries that come evenly, each in a thread or a task of its own, alone or while the same client does bulk work."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import Any


@dataclass
class Seen:
    """What came of it. Seconds of a query count from the time at which it was due."""

    asked: Sequence[str]
    period: float
    began: float = field(default_factory=time.perf_counter)
    seconds: dict[int, float] = field(default_factory=dict)
    answers: dict[int, Any] = field(default_factory=dict)
    bulk: Any = None
    bulk_seconds: float | None = None

    def due(self, index: int) -> float:
        """Return when a query is due."""
        return self.began + (index + 1) * self.period

    def answered(self, index: int, answer: Any) -> None:
        """Note an answer."""
        self.answers[index], self.seconds[index] = answer, time.perf_counter() - self.due(index)

    def bulk_ended(self, result: Any) -> None:
        """Note the end of the bulk call."""
        self.bulk, self.bulk_seconds = result, time.perf_counter() - self.began

    def percentile(self, share: float) -> float:
        """Return the seconds that so large a share of the queries took at most."""
        ordered = sorted(self.seconds.values())
        return ordered[ceil(share * len(ordered)) - 1]


def with_threads(subject: Any, asked: Sequence[str], period: float, texts: Any) -> Seen:
    """Ask from threads; `texts` is embedded beside it, unless it is None."""
    seen = Seen(asked, period)
    threads = [threading.Thread(target=lambda: seen.bulk_ended(subject.documents(texts)))] if texts is not None else []
    for thread in threads:
        thread.start()
    for index, text in enumerate(asked):
        time.sleep(max(0.0, seen.due(index) - time.perf_counter()))
        threads.append(
            threading.Thread(target=lambda index=index, text=text: seen.answered(index, subject.query(text)))
        )
        threads[-1].start()
    for thread in threads:
        thread.join()
    return seen


async def with_tasks(subject: Any, asked: Sequence[str], period: float, texts: Any) -> Seen:
    """Do the same from tasks of one loop."""
    seen = Seen(asked, period)

    async def ask(index: int, text: str) -> None:
        await asyncio.sleep(max(0.0, seen.due(index) - time.perf_counter()))
        seen.answered(index, await subject.aquery(text))

    async def embed() -> None:
        seen.bulk_ended(await subject.adocuments(texts))

    async with asyncio.TaskGroup() as group:
        if texts is not None:
            group.create_task(embed())
        for index, text in enumerate(asked):
            group.create_task(ask(index, text))
    return seen
