"""LlamaIndex gathers windows of texts and, when one fails, lets the others spend on. Here they stop with it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any


class Windows:
    """The windows of one batch call: the tasks that embed one each."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self._over = False

    async def stop(self, *, at_once: bool) -> None:
        """Let no window begin any more; `at_once`, cancel those that have, and wait until they are gone."""
        self._over = True
        if at_once:
            mine = self._tasks - {asyncio.current_task()}
            for task in mine:
                task.cancel()
            await asyncio.gather(*mine, return_exceptions=True)

    def join(self) -> None:
        """Count the running task among the windows, unless they have been stopped: then it ends here."""
        if self._over:
            raise asyncio.CancelledError
        if task := asyncio.current_task():
            self._tasks.add(task)


_CURRENT: ContextVar[Windows | None] = ContextVar("windows", default=None)


@contextmanager
def gathered() -> Iterator[Windows]:
    """Open a batch call: the tasks begun inside inherit it with their context."""
    windows = Windows()
    token = _CURRENT.set(windows)
    try:
        yield windows
    finally:
        _CURRENT.reset(token)


def join() -> None:
    """Join the batch call that the running task was begun in, if in any."""
    if (windows := _CURRENT.get()) is not None:
        windows.join()
