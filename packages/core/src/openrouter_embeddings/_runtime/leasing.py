"""A limiter of the user's: it is asked for a lease beside the request that waits for it, and gets each lease back once.

Its functions run in threads of their own, or as tasks where they are coroutine functions. So a request whose call is over
waits for no answer; a lease that comes too late is released by the thread or the task that got it.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import math
import numbers
import os
import threading
from collections.abc import Callable, Coroutine
from typing import Any

from openrouter_embeddings._flows import Waker
from openrouter_embeddings.errors import ConfigurationError
from openrouter_embeddings.limiter import NO_LEASE, Lease, LeaseOutcome, Limiter

UNUSED = LeaseOutcome(kind="unused")
_ASK_AGAIN_MIN = 0.01
"""Seconds. A limiter that says "at once" must not keep a processor busy."""


class LimiterCall:
    """One call of a function of the limiter's, under way beside what waits for it.

    Args:
        function: What to call.
        arguments: With what.
    """

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.is_over = False
        self.result: Any = None
        self.error: BaseException | None = None
        self.loop: asyncio.AbstractEventLoop | None = None
        self.task: asyncio.Task[None] | None = None
        self._function, self._arguments = function, arguments
        self._waker: Waker | None = None

    def begin(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        """Begin it, in a thread of its own, or as a task of this loop where it is a coroutine function."""
        self.loop = loop
        if not inspect.iscoroutinefunction(self._function):
            run = contextvars.copy_context().run
            threading.Thread(target=run, args=(self.run,), name="openrouter-embeddings-limiter", daemon=True).start()
        elif loop is not None:
            self._await(self._function(*self._arguments))
        else:
            raise _must_be_awaited(self._function)

    def notify(self, waker: Waker) -> None:
        """Have `waker` woken once it is over."""
        self._waker = waker
        if self.is_over:
            waker.wake()

    def run(self) -> None:
        """Call the function here and now. What it gives to await is awaited on the loop, where one runs."""
        try:
            result = self._function(*self._arguments)
            if inspect.iscoroutine(result):
                if self.loop is not None and self.loop.is_running():
                    self.loop.call_soon_threadsafe(self._await, result)
                    return
                result = _stepped(result, self._function)
        except BaseException as error:  # noqa: BLE001  for what waits for it
            self.end(None, error)
        else:
            self.end(result, None)

    def _await(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        assert self.loop is not None
        self.task = self.loop.create_task(self._awaited(coroutine))

    async def _awaited(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        try:
            self.end(await coroutine, None)
        except BaseException as error:
            self.end(None, error)
            if not isinstance(error, Exception):
                raise

    def end(self, result: Any, error: BaseException | None) -> None:
        """Keep what came of it, and wake what waits for it."""
        self.result, self.error, self.is_over = result, error, True
        if self._waker is not None:
            self._waker.wake()


class Ask(LimiterCall):
    """One question for a lease. What nobody takes up is released, unused.

    Args:
        limiter: Whom to ask.
        tokens: Estimated tokens of the request.
    """

    def __init__(self, limiter: Limiter, tokens: int) -> None:
        super().__init__(limiter.acquire, 1, tokens)
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._is_settled = False

    def take(self) -> HeldLease | float:
        """Return the lease, or after how many seconds to ask again; raise what the limiter raised."""
        self._is_settled = True
        if self.error is not None:
            raise self.error
        return _checked(self.result, self.loop)

    def abandon(self) -> None:
        """Give up a question that nobody has taken the answer to: a lease that comes, or has come, is released."""
        if self._is_settled or self._pid != os.getpid():  # in a forked child it is the parent's
            return
        with self._lock:
            self._is_settled, came = True, self.is_over
        if came:
            self._give_back()
        elif self.task is not None and self.loop is not None and self.loop.is_running():
            self.loop.call_soon_threadsafe(self.task.cancel)

    def end(self, result: Any, error: BaseException | None) -> None:
        """Keep the answer, or give the lease back if it comes too late."""
        with self._lock:
            too_late = self._is_settled
            super().end(result, error)
        if too_late:
            self._give_back()

    def _give_back(self) -> None:
        if _is_lease(self.result):
            HeldLease(self.result, self.loop).give_back()


class HeldLease:
    """A lease of the user's limiter, in use by one request, and what becomes of it.

    Args:
        lease: As the limiter gave it.
        loop: Where its `release` is awaited if it is a coroutine function.
    """

    def __init__(self, lease: Lease, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self.outcome = UNUSED
        self._lease = lease
        self._loop = loop
        self._pid = os.getpid()
        self._is_released = lease is NO_LEASE

    def release(self) -> LimiterCall | None:
        """Return the call that releases it, once, and in the process that acquired it."""
        if self._is_released or self._pid != os.getpid():
            return None
        self._is_released = True
        return LimiterCall(self._lease.release, self.outcome)

    def give_back(self) -> None:
        """Release it where nobody can wait for that."""
        call = self.release()
        if call is None:
            return
        if self._loop is not None and self._loop.is_running():
            self._loop.call_soon_threadsafe(call.begin, self._loop)
        else:
            call.run()


def _checked(answer: Any, loop: asyncio.AbstractEventLoop | None) -> HeldLease | float:
    """Return a limiter's answer as a lease or as seconds."""
    if _is_lease(answer):
        held = HeldLease(answer, loop)
        if loop is None and inspect.iscoroutinefunction(answer.release):
            held.give_back()
            raise _must_be_awaited(answer.release)
        return held
    is_number = isinstance(answer, numbers.Real) and not isinstance(answer, bool)
    if not is_number or not 0.0 <= answer < math.inf:
        shown = repr(answer) if is_number else type(answer).__name__
        raise ConfigurationError(f"limiter.acquire must give seconds to wait, or a lease with release, not {shown}.")
    return max(_ASK_AGAIN_MIN, float(answer))


def _is_lease(answer: Any) -> bool:
    return callable(getattr(answer, "release", None)) and not isinstance(answer, type)


def _must_be_awaited(function: Callable[..., Any]) -> ConfigurationError:
    name = getattr(function, "__qualname__", "acquire")
    return ConfigurationError(f"{name} is a coroutine function: only an AsyncClient, or an async method, can await it.")


def _stepped(coroutine: Coroutine[Any, Any, Any], function: Callable[..., Any]) -> Any:
    """Return the result of a coroutine that waits for nothing."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    coroutine.close()
    raise _must_be_awaited(function)
