"""A limiter of the user's: its answers, who waits for them, and that each lease comes back once."""

from __future__ import annotations

import asyncio
import os
import threading
from typing import Any

import pytest

from openrouter_embeddings import ConfigurationError, LeaseOutcome
from openrouter_embeddings._runtime.leasing import UNUSED, Ask, HeldLease, LimiterCall
from openrouter_embeddings.limiter import NO_LEASE, BeforeRequest

from .doubles import Bell


class Limiter:
    """Gives what it is told to give, and notes what comes back."""

    def __init__(self, answer: Any = None) -> None:
        self.answer = answer if answer is not None else self
        self.outcomes: list[LeaseOutcome] = []

    def acquire(self, requests: int, tokens: int) -> Any:
        return self.answer

    def release(self, outcome: LeaseOutcome) -> None:
        self.outcomes.append(outcome)


class AsyncLease:
    def __init__(self, *, waits: bool = False) -> None:
        self.outcomes: list[LeaseOutcome] = []
        self.waits = waits

    async def release(self, outcome: LeaseOutcome) -> None:
        if self.waits:
            await asyncio.sleep(0)
        self.outcomes.append(outcome)


def asked(limiter: Any) -> Ask:
    ask = Ask(limiter, 7)
    ask.run()
    return ask


def test_a_lease_is_taken_and_released_once():
    limiter = Limiter()
    held = asked(limiter).take()
    held.outcome = LeaseOutcome(kind="landed")
    held.release().run()
    assert held.release() is None
    held.give_back()
    assert limiter.outcomes == [LeaseOutcome(kind="landed")]


@pytest.mark.parametrize("when", ["before the answer", "after the answer"])
def test_what_nobody_takes_is_released_unused(when):
    limiter = Limiter()
    ask = Ask(limiter, 7)
    if when == "before the answer":
        ask.abandon()
        ask.run()
    else:
        ask.run()
        ask.abandon()
    ask.abandon()
    assert limiter.outcomes == [UNUSED]


def test_what_was_taken_is_not_abandoned_any_more():
    limiter = Limiter()
    ask = asked(limiter)
    ask.take()
    ask.abandon()
    assert limiter.outcomes == []


def test_seconds_are_taken_as_they_are_and_at_once_is_a_moment_later():
    assert asked(Limiter(2)).take() == 2.0
    assert asked(Limiter(0.0)).take() == 0.01


def test_a_class_is_no_lease():
    with pytest.raises(ConfigurationError, match="a lease with release, not type"):
        asked(Limiter(Limiter)).take()


def test_what_a_limiter_raises_is_raised_where_the_answer_is_taken():
    ask = Ask(BeforeRequest(lambda tokens: 1 / 0), 7)
    ask.run()
    with pytest.raises(ZeroDivisionError):
        ask.take()


def test_a_function_that_waits_is_called_with_the_tokens_and_its_lease_need_not_come_back():
    seen: list[int] = []
    held = asked(BeforeRequest(seen.append)).take()
    assert seen == [7]
    assert held.release() is None
    assert HeldLease(NO_LEASE).release() is None


def test_a_call_wakes_what_waits_for_it_before_and_after_it_is_over():
    early, late = Bell(), Bell()
    call = LimiterCall(lambda: "done")
    call.notify(early)
    assert not early.rung
    call.run()
    call.notify(late)
    assert early.rung
    assert late.rung
    assert call.result == "done"


def test_a_call_has_a_thread_of_its_own():
    called = threading.Event()
    names: list[str] = []
    call = LimiterCall(lambda: (names.append(threading.current_thread().name), called.set()))
    call.begin()
    assert called.wait(60)
    assert names == ["openrouter-embeddings-limiter"]


def test_without_a_loop_a_coroutine_that_waits_for_nothing_is_seen_through_and_another_is_refused():
    lease, waiting = AsyncLease(), AsyncLease(waits=True)
    HeldLease(lease).give_back()
    assert lease.outcomes == [UNUSED]
    call = HeldLease(waiting).release()
    call.run()
    assert isinstance(call.error, ConfigurationError)


def test_a_lease_that_must_be_awaited_is_refused_where_nobody_can_await_it():
    lease = AsyncLease()
    with pytest.raises(ConfigurationError, match=r"AsyncLease\.release is a coroutine function"):
        asked(Limiter(lease)).take()
    assert lease.outcomes == [UNUSED]


async def test_a_function_that_gives_something_to_await_is_awaited_on_the_loop():
    async def waits(requests: int, tokens: int) -> float:
        await asyncio.sleep(0)
        return 3.0

    class Wrapped:
        def acquire(self, requests: int, tokens: int) -> Any:
            return waits(requests, tokens)

    ask, over = Ask(Wrapped(), 7), asyncio.Event()
    loop = asyncio.get_running_loop()

    class Waker:
        def wake(self) -> None:
            loop.call_soon_threadsafe(over.set)

    ask.notify(Waker())
    ask.begin(loop)
    await over.wait()
    assert ask.take() == 3.0


async def test_a_lease_that_comes_too_late_is_released_on_the_loop():
    lease, released = AsyncLease(waits=True), asyncio.Event()
    ask = Ask(Limiter(lease), 7)
    ask.loop = asyncio.get_running_loop()
    ask.abandon()
    await asyncio.to_thread(ask.run)
    asyncio.get_running_loop().call_later(0.0, released.set)
    await released.wait()
    for _ in range(5):
        await asyncio.sleep(0)
    assert lease.outcomes == [UNUSED]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # of Python 3.12 and later
def test_a_forked_child_releases_no_lease_of_its_parent():
    limiter = Limiter()
    held, ask = asked(limiter).take(), asked(limiter)
    pid = os.fork()
    if pid == 0:
        held.give_back()
        ask.abandon()
        os._exit(len(limiter.outcomes))
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    held.give_back()
    ask.abandon()
    assert limiter.outcomes == [UNUSED, UNUSED]
