"""One client in a process of its own: it reads commands as lines of JSON, does them, and says what they cost.

Costs are those of this process alone: user and system CPU, wall time, the highest resident size during the command.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from queries import with_tasks, with_threads
from truth import Truth, stream, text, texts

sys.path.insert(0, str(Path(__file__).parent / "subjects"))
_STATUS = Path("/proc/self/status")
_FIRST_QUERY = 5_000_000
"""Queries are none of the bulk texts: equal ones would travel together."""


def cpu() -> float:
    """Return user and system seconds of this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def system_cpu() -> float:
    """Return what of it the system took, for new pages of memory and for sockets."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_stime


def resident(name: str = "VmRSS") -> float:
    """Return MB resident now (`VmRSS`) or at most since `forget_peak` (`VmHWM`)."""
    if not _STATUS.exists():  # not Linux: the peak is that of the whole life
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / (1e6 if sys.platform == "darwin" else 1e3)
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) * 1024 / 1e6


def forget_peak() -> None:
    """Let the peak count from now on, where the system can."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


class Worker:
    """A subject and what can be asked of it."""

    def __init__(self, module: str, name: str, url: str, table: str, dimensions: int, options: dict[str, Any]) -> None:
        self._runner = asyncio.Runner()
        self._truth = Truth(table, dimensions)
        make = getattr(importlib.import_module(module), name)
        self._subject = self._runner.run(_made(make, url, options))
        self._texts: Any = None

    def _call(self, name: str, *arguments: Any) -> Any:
        if (coroutine := getattr(self._subject, f"a{name}", None)) is not None:
            return self._runner.run(_awaited(coroutine, *arguments))
        return getattr(self._subject, name)(*arguments)

    def _vectors(self, found: Any) -> Any:
        return self._subject.vectors(found) if hasattr(self._subject, "vectors") else found

    def check(self, count: int) -> dict[str, Any]:
        """Compare some documents and a query with the truth, warming everything up on the way."""
        if getattr(self._subject, "asks_nobody", False):
            return {}
        prepare = getattr(self._subject, "prepare", list)
        self._truth.check(self._vectors(self._call("documents", prepare(texts(count)))))
        if hasattr(self._subject, "query") or hasattr(self._subject, "aquery"):
            self._truth.check([self._call("query", text(3))], first=3)
        return {}

    def load(self, count: int) -> dict[str, Any]:
        """Make the texts of what comes."""
        self._texts = getattr(self._subject, "prepare", list)(texts(count))
        return {}

    def documents(self, repeat: int = 1) -> dict[str, Any]:
        """Embed the loaded texts `repeat` times; costs are those of one time. An error is an outcome, too."""
        gc.collect()
        before = resident()
        forget_peak()
        error, found = None, None
        began, used, of_system = time.perf_counter(), cpu(), system_cpu()
        try:
            for _ in range(repeat):
                found = None
                found = self._call("documents", self._texts)
        except Exception as failed:
            error = type(failed).__name__
        wall, spent, of_system = time.perf_counter() - began, cpu() - used, system_cpu() - of_system
        peak = resident("VmHWM")
        vectors = [] if found is None else self._vectors(found)
        count = sum(one is not None for one in vectors)
        if error is None and count == len(self._texts) and not getattr(self._subject, "asks_nobody", False):
            self._truth.check_some(vectors)
        return {
            "cpu": spent / repeat, "system": of_system / repeat, "wall": wall / repeat, "peak_mb": peak, "grown_mb": peak - before,
            "vectors": count, "error": error,
        }  # fmt: skip

    def queries(self, count: int) -> dict[str, Any]:
        """Embed queries one after another; costs are those of one."""
        asked = [text(number) for number in range(count)]
        if (coroutine := getattr(self._subject, "aquery", None)) is not None:
            return self._runner.run(_timed_async(coroutine, asked))
        return _timed(self._subject.query, asked)

    def queries_evenly(self, count: int, period: float, *, beside_bulk: bool) -> dict[str, Any]:
        """Embed queries that come every `period` seconds, the loaded texts beside them or not."""
        asked = [text(number) for number in range(_FIRST_QUERY, _FIRST_QUERY + count)]
        texts = self._texts if beside_bulk else None
        if hasattr(self._subject, "aquery"):
            seen = self._runner.run(with_tasks(self._subject, asked, period, texts))
        else:
            seen = with_threads(self._subject, asked, period, texts)
        self._truth.check([seen.answers[index] for index in range(count)], first=_FIRST_QUERY)
        if beside_bulk:
            self._truth.check_some(self._vectors(seen.bulk))
        return {
            "p50": seen.percentile(0.5), "p99": seen.percentile(0.99), "longest": seen.percentile(1.0),
            "bulk": seen.bulk_seconds,
        }  # fmt: skip

    def stream(self, count: int) -> dict[str, Any]:
        """Embed a stream, looking at the resident size on the way."""
        gc.collect()
        before, seen, sizes, next_look = resident(), 0, [], 0
        began, used = time.perf_counter(), cpu()
        try:
            for batch in self._subject.stream(stream(count)):
                self._truth.check(batch.embeddings[:1], first=seen)
                seen += len(batch.ids)
                if seen >= next_look:
                    sizes.append((seen, resident() - before))
                    next_look += count // 50
        except Exception as failed:
            if not seen:
                return {"error": f"{type(failed).__name__}: {failed}"}
            raise
        wall, spent = time.perf_counter() - began, cpu() - used
        return {"cpu": spent, "wall": wall, "vectors": seen, "sizes": sizes, "error": None}


async def _made(make: Callable[..., Any], url: str, options: dict[str, Any]) -> Any:
    return make(url, **options)


async def _awaited(call: Callable[..., Any], *arguments: Any) -> Any:
    return await call(*arguments)


def _timed(call: Callable[[str], Any], asked: list[str]) -> dict[str, Any]:
    began, used = time.perf_counter(), cpu()
    for one in asked:
        call(one)
    return {"cpu": (cpu() - used) / len(asked), "wall": (time.perf_counter() - began) / len(asked)}


async def _timed_async(call: Callable[[str], Any], asked: list[str]) -> dict[str, Any]:
    began, used = time.perf_counter(), cpu()
    for one in asked:
        await call(one)
    return {"cpu": (cpu() - used) / len(asked), "wall": (time.perf_counter() - began) / len(asked)}


def main() -> None:
    """Do as told until the input ends. Whatever a client prints goes to stderr, not into the answers."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    worker: Worker | None = None
    for line in sys.stdin:
        command = json.loads(line)
        what = command.pop("do")
        try:
            if what == "open":
                worker, answer = Worker(**command), {}
            else:
                answer = getattr(worker, what)(**command)
        except BaseException as failed:
            answer = {"failed": f"{type(failed).__name__}: {str(failed)[:300]}"}
        answers.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
