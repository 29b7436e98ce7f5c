"""How threads and tasks wait, and how a call is cancelled."""

from __future__ import annotations

import asyncio
import threading

import pytest

from openrouter_embeddings._flows import InFlightRegistry
from openrouter_embeddings._runtime import CancelScope, TaskWaiter, ThreadWaiter

from .doubles import Bell, Clock

FAR = 600.0
"""Longer than any test may take: a wait that is not woken is found by the time limit of the run."""


def test_a_thread_that_is_woken_before_it_waits_does_not_wait():
    waiter = ThreadWaiter()
    waiter.wake()
    waiter.wait(FAR)
    waiter.wait(FAR)


def test_a_thread_is_woken_by_another_one_or_by_its_time():
    waiter = ThreadWaiter()
    waiter.wait(0.0)
    thread = threading.Thread(target=waiter.wait, args=(FAR,))
    thread.start()
    waiter.wake()
    thread.join(FAR)
    assert not thread.is_alive()


async def test_a_task_is_woken_from_its_loop_before_or_while_it_waits():
    waiter = TaskWaiter()
    waiter.wake()
    await waiter.wait(FAR)
    later = TaskWaiter()
    task = asyncio.create_task(later.wait(FAR))
    await asyncio.sleep(0)
    later.wake()
    await task


async def test_a_task_is_woken_from_another_thread_or_by_its_time():
    waiter = TaskWaiter()
    await waiter.wait(0.0)
    thread = threading.Thread(target=waiter.wake)
    thread.start()
    await waiter.wait(FAR)
    thread.join()


def test_a_wait_on_a_loop_that_is_closed_by_now_is_no_error():
    async def make() -> TaskWaiter:
        return TaskWaiter()

    asyncio.run(make()).wake()


# --------------------------------------------------------------------------------------------------------------- the scope


def test_whoever_is_registered_is_woken_when_the_call_is_cancelled_and_the_others_are_not():
    scope, stays, leaves = CancelScope(Clock()), Bell(), Bell()
    scope.register(stays)
    scope.register(leaves)
    scope.unregister(leaves)
    scope.unregister(leaves)
    assert not scope.cancelled
    scope.cancel()
    assert scope.cancelled
    assert (stays.rung, leaves.rung) == (True, False)


def test_whoever_registers_after_that_is_woken_at_once():
    scope, late = CancelScope(Clock()), Bell()
    scope.cancel()
    scope.register(late)
    assert late.rung


def test_a_call_without_a_bound_has_as_much_time_as_is_asked_for():
    clock = Clock()
    scope = CancelScope(clock)
    clock.now = 1e9
    assert scope.seconds_left(5.0) == 5.0
    assert not scope.is_out_of_time


@pytest.mark.parametrize(
    ("now", "left", "over"), [(100.0, 5.0, False), (106.0, 4.0, False), (110.0, 0.0, True), (999.0, 0.0, True)]
)
def test_a_call_with_a_bound_has_what_is_left_of_it(now, left, over):
    clock = Clock()
    clock.now = 100.0
    scope = CancelScope(clock, 10.0)
    clock.now = now
    assert scope.seconds_left(5.0) == left
    assert scope.is_out_of_time is over


def test_a_promise_to_move_is_kept_for_the_calls_that_wait():
    clock = Clock()
    registry = InFlightRegistry(clock)
    owner, other = registry.join("kind", ["text"]), registry.join("kind", ["text"])
    owner.claim([0])
    CancelScope(clock, share=owner).will_move_within(7.0)
    assert other.claim([0]) == []
    assert other.seconds_until_stall() == 7.0
    CancelScope(clock).will_move_within(7.0)  # a call alone promises nothing to anybody
