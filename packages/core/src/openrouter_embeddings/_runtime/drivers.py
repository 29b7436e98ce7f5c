"""The two drivers: they do the steps of a flow, one with threads, one with asyncio. Nothing is decided here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from openrouter_embeddings._flows import Flow

from .jobs import Job
from .performing import perform
from .runtime import Runtime
from .steps import Begin, Block, Exchange, RunBeside, StartBeside, Wait
from .waiting import CancelScope, TaskWaiter, ThreadWaiter

T = TypeVar("T")


def drive(flow: Flow[T], runtime: Runtime, scope: CancelScope) -> T:
    """Run the flow of a call to its end in this thread."""
    try:
        return _drive(flow, runtime, scope)
    finally:
        runtime.end_call(scope, wait=True)


def _drive(flow: Flow[T], runtime: Runtime, scope: CancelScope, group: _Threads | None = None) -> T:
    """Run a flow to its end; in a group it may start others beside itself."""
    steps = perform(flow, runtime, scope, ThreadWaiter)
    done: Any = None
    raised: BaseException | None = None
    while True:
        try:
            step = steps.send(done) if raised is None else steps.throw(raised)
        except StopIteration as end:
            result: T = end.value
            return result
        done = raised = None
        try:
            match step:
                case Wait(waiter, seconds):
                    waiter.wait(seconds)
                case Exchange(url, body, max_bytes, seconds, keyed):
                    done = runtime.transport.exchange(url, body, max_bytes=max_bytes, seconds=seconds, keyed=keyed)
                case Block(work):
                    done = work()
                case Begin(call):
                    call.begin()
                case RunBeside(flows):
                    done = _Threads(runtime, scope).run(flows)
                case StartBeside(other):
                    assert group is not None
                    group.start(other)
        except BaseException as error:  # noqa: BLE001  the flow's to handle, or to let through
            raised = error


class _Threads:
    """Flows that run side by side, each in a thread of its own."""

    def __init__(self, runtime: Runtime, scope: CancelScope) -> None:
        self._runtime, self._scope = runtime, scope
        self._jobs: list[Job[Any]] = []

    def run(self, flows: Sequence[Flow[Any]]) -> list[Any]:
        """Run flows, and those that they start, to their ends; return results and errors."""
        try:
            for flow in flows:
                self.start(flow)
            for job in self._jobs:  # which grows as long as one of them runs
                job.wait()
        except BaseException:
            self._scope.cancel()  # Ctrl-C: what is in flight may land, nothing more leaves
            raise
        return [job.outcome for job in self._jobs]

    def start(self, flow: Flow[Any]) -> None:
        """Run one more."""
        job = Job(lambda: self._run(flow))
        self._jobs.append(job)
        job.start()

    def _run(self, flow: Flow[Any]) -> Any:
        try:
            return _drive(flow, self._runtime, self._scope, self)
        except BaseException:
            self._scope.cancel()
            raise


async def adrive(flow: Flow[T], runtime: Runtime, scope: CancelScope) -> T:
    """Run the flow of a call to its end on the running loop."""
    try:
        return await _adrive(flow, runtime, scope)
    finally:
        runtime.end_call(scope, wait=False)


async def _adrive(flow: Flow[T], runtime: Runtime, scope: CancelScope, group: _Tasks | None = None) -> T:
    """Run a flow to its end; in a group it may start others beside itself."""
    steps = perform(flow, runtime, scope, TaskWaiter)
    done: Any = None
    raised: BaseException | None = None
    while True:
        try:
            step = steps.send(done) if raised is None else steps.throw(raised)
        except StopIteration as end:
            result: T = end.value
            return result
        done = raised = None
        try:
            match step:
                case Wait(waiter, seconds):
                    await waiter.wait(seconds)
                case Exchange(url, body, max_bytes, seconds, keyed):
                    exchange = runtime.transport.aexchange
                    done = await exchange(url, body, max_bytes=max_bytes, seconds=seconds, keyed=keyed)
                case Block(work):
                    done = await _in_thread(runtime.disk, work)
                case Begin(call):
                    call.begin(asyncio.get_running_loop())
                case RunBeside(flows):
                    done = await _Tasks(runtime, scope).run(flows)
                case StartBeside(other):
                    assert group is not None
                    group.start(other)
        except asyncio.CancelledError as cancelled:
            scope.cancel()
            raised = cancelled
        except BaseException as error:  # noqa: BLE001
            raised = error


async def _in_thread(threads: ThreadPoolExecutor, work: Callable[[], Any]) -> Any:
    """Have the cache's work done in a thread, even where the task is cancelled before it has begun: it is paid for."""
    waiter, future = TaskWaiter(), threads.submit(work)
    future.add_done_callback(lambda _: waiter.wake())
    await waiter.wait(None)
    return future.result()


class _Tasks:
    """Flows that run side by side, each in a task of its own."""

    def __init__(self, runtime: Runtime, scope: CancelScope) -> None:
        self._runtime, self._scope = runtime, scope
        self._tasks: list[asyncio.Task[Any]] = []

    async def run(self, flows: Sequence[Flow[Any]]) -> list[Any]:
        """Run flows, and those that they start, to their ends; return results and errors."""
        try:
            for flow in flows:
                self.start(flow)
            for task in self._tasks:  # which grows as long as one of them runs
                await asyncio.wait([task])
        except BaseException:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            raise
        return await asyncio.gather(*self._tasks, return_exceptions=True)

    def start(self, flow: Flow[Any]) -> None:
        """Run one more."""
        self._tasks.append(asyncio.create_task(self._run(flow)))

    async def _run(self, flow: Flow[Any]) -> Any:
        try:
            return await _adrive(flow, self._runtime, self._scope, self)
        except BaseException:
            self._scope.cancel()
            raise
