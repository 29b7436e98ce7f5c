"""The two drivers do the same steps, with threads and with asyncio."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from openrouter_embeddings import Client
from openrouter_embeddings._flows import (
    CacheClaim,
    CacheGet,
    CachePut,
    Gather,
    NotSent,
    NotSentReason,
    Send,
    Sent,
    Sleep,
)
from openrouter_embeddings._protocol import Response
from openrouter_embeddings._runtime import CancelScope, Job, adrive, drive

from .doubles import LANDED, Cache, Claiming, Transport, runtime, scope_of

FAR = 600.0
NAME: contextvars.ContextVar[str] = contextvars.ContextVar("name", default="nobody")


def send(body: bytes = b"body", *, start_beside: Any = None) -> Any:
    effect = Send(
        build=lambda: body,
        read=lambda answer, seconds: (answer.body, LANDED),
        wait_budget=10.0,
        timeout=30.0,
        tokens=1,
        max_bytes=1000,
        start_beside=start_beside,
    )
    return (yield effect)


def asking(effect: Any) -> Any:
    return (yield effect)


@pytest.fixture(params=["threads", "asyncio"])
def run_flow(request):
    """Return a function that drives a flow to its end, in this colour."""

    def run(flow: Any, on: Any, scope: Any = None) -> Any:
        scope = scope or scope_of(on)
        return drive(flow, on, scope) if request.param == "threads" else asyncio.run(adrive(flow, on, scope))

    run.is_async = request.param == "asyncio"
    return run


def test_a_flow_runs_to_its_end_and_its_request_is_exchanged(run_flow):
    on = runtime(transport := Transport())
    assert run_flow(send(), on).verdict == b"body"
    (exchange,) = transport.exchanges
    assert (exchange["max_bytes"], exchange["seconds"], exchange["keyed"]) == (1000, 30.0, True)


def test_what_an_exchange_raises_is_the_flows_to_handle(run_flow):
    def broken(body: bytes) -> Any:
        raise ZeroDivisionError

    def flow() -> Any:
        try:
            yield from send()
        except ZeroDivisionError:
            return "handled"

    on = runtime(Transport(broken))
    assert run_flow(flow(), on) == "handled"
    with pytest.raises(ZeroDivisionError):
        run_flow(send(), on)
    assert on.dispatcher.limiter.in_flight == 0


def test_flows_side_by_side_give_their_results_in_order(run_flow):
    on = runtime(maximum=4)
    sent = run_flow(asking(Gather([send(b"%d" % index) for index in range(20)])), on)
    assert [outcome.verdict for outcome in sent] == [b"%d" % index for index in range(20)]


def test_a_flow_that_fails_stops_the_others_and_is_among_the_results(run_flow):
    def failing() -> Any:
        yield Sleep(0.0)
        raise ZeroDivisionError

    on = runtime(maximum=4)
    scope = scope_of(on)
    failed, slept = run_flow(asking(Gather([failing(), asking(Sleep(FAR))])), on, scope)
    assert isinstance(failed, ZeroDivisionError)
    assert slept is NotSentReason.CALL_STOPPED
    assert scope.cancelled


def test_a_flow_that_is_started_when_a_request_leaves_is_waited_for_too(run_flow):
    on = runtime(maximum=4)

    def worker(count: int) -> Any:
        return send(b"%d" % count, start_beside=lambda: worker(count - 1) if count else None)

    sent = run_flow(asking(Gather([worker(5)])), on)
    assert [outcome.verdict for outcome in sent] == [b"5", b"4", b"3", b"2", b"1", b"0"]


def test_many_calls_at_once_start_no_more_threads_than_can_send_and_one_each_that_waits():
    """Twenty-five calls of sixteen batches need not four hundred threads for sixteen permits."""
    most, start = [], threading.Barrier(25)

    def answer(request: httpx.Request) -> httpx.Response:
        most.append(sum(thread.name == "openrouter-embeddings" for thread in threading.enumerate()))
        return httpx.Response(200, json={"data": [{"index": 0, "embedding": [1.0, 2.0]}], "usage": {}})

    def call(number: int) -> None:
        start.wait(FAR)
        client.embed_documents([f"{number} {index}" for index in range(16)])

    with httpx.Client(transport=httpx.MockTransport(answer)) as http, ThreadPoolExecutor(25) as callers:
        client = Client(
            "m", api_key="sk-test", document_input_type="", http_client=http, batch_size=1, max_concurrency=16
        )
        list(callers.map(call, range(25)))
    assert len(most) == 400
    assert max(most) <= 100


def test_context_variables_of_the_caller_are_seen_by_every_flow(run_flow):
    def naming() -> Any:
        yield Sleep(0.0)
        return NAME.get()

    token = NAME.set("caller")
    try:
        assert run_flow(asking(Gather([naming(), naming()])), runtime()) == ["caller", "caller"]
    finally:
        NAME.reset(token)


def test_the_cache_is_read_and_written(run_flow):
    on = runtime(cache=Cache())
    run_flow(asking(CachePut({b"key": b"row"})), on)
    assert run_flow(asking(CacheGet([b"key"])), on) == {b"key": b"row"}
    on.disk.shutdown()


async def test_the_cache_waits_for_no_thread_of_the_loops_own_executor():
    """Its threads may all wait for this very client: then nobody would ever be served."""
    on, release = runtime(cache=Cache()), threading.Event()
    with ThreadPoolExecutor(1) as full:
        loop = asyncio.get_running_loop()
        loop.set_default_executor(full)
        stuck = loop.run_in_executor(None, release.wait, FAR)
        try:
            async with asyncio.timeout(30):
                assert await adrive(asking(CacheGet([b"key"])), on, scope_of(on)) == {}
        finally:
            release.set()
            await stuck
    on.disk.shutdown()


async def test_what_is_to_be_written_is_written_though_the_task_is_cancelled_before_a_thread_was_free():
    on, release, kept = runtime(cache=Cache()), threading.Event(), threading.Event()
    busy = [on.disk.submit(release.wait, FAR) for _ in range(2)]
    task = asyncio.create_task(adrive(asking(CachePut({b"key": b"row"}, kept.set)), on, scope_of(on)))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert not kept.is_set()
    release.set()
    assert await asyncio.to_thread(kept.wait, FAR)
    assert on.cache.get([b"key"]) == {b"key": b"row"}
    assert all(one.result() for one in busy)
    on.disk.shutdown()


async def test_claims_of_a_task_that_is_cancelled_meanwhile_are_given_up():
    cache = Claiming()
    on, release = runtime(cache=cache), threading.Event()
    busy = [on.disk.submit(release.wait, FAR) for _ in range(2)]
    task = asyncio.create_task(adrive(asking(CacheClaim([b"key"], 1.0)), on, scope_of(on)))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    release.set()
    on.disk.shutdown(wait=True)
    assert cache.claimed == cache.given_up == [b"key"]
    assert all(one.result() for one in busy)


@pytest.mark.parametrize("outcome", ["stored", "left"])
def test_what_a_call_has_claimed_and_not_stored_is_given_up_at_its_end(run_flow, outcome):
    def flow() -> Any:
        yield CacheClaim([b"key"], 1.0)
        if outcome == "stored":
            yield CachePut({b"key": b"row"})

    on = runtime(cache=(cache := Claiming()))
    run_flow(flow(), on)
    on.disk.shutdown(wait=True)
    assert cache.given_up == ([] if outcome == "stored" else [b"key"])


async def test_a_thread_and_a_task_stand_in_one_queue():
    entered, release, asked = asyncio.Event(), asyncio.Event(), threading.Event()

    async def held(body: bytes) -> Response:
        entered.set()
        await release.wait()
        return Response(200, {}, body)

    on = runtime(Transport(lambda body: held(body) if body == b"task" else Response(200, {}, body)))
    task = asyncio.create_task(adrive(send(b"task"), on, scope_of(on)))
    await entered.wait()
    scope = scope_of(on)
    scope.register = lambda waker: (asked.set(), CancelScope.register(scope, waker))
    thread = asyncio.create_task(asyncio.to_thread(drive, send(b"thread"), on, scope))
    await asyncio.to_thread(asked.wait, FAR)
    assert len(on.transport.exchanges) == 1
    assert on.dispatcher.waiting == 1
    release.set()
    assert (await task).verdict == b"task"
    assert (await thread).verdict == b"thread"


# ---------------------------------------------------------------------------------------------------------- interruptions


async def test_a_cancelled_task_cancels_its_call_and_gives_its_permit_back():
    entered = asyncio.Event()

    async def never(body: bytes) -> Any:
        entered.set()
        await asyncio.Event().wait()

    on = runtime(Transport(never))
    scope = scope_of(on)
    task = asyncio.create_task(adrive(asking(Gather([send(), send()])), on, scope))
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert scope.cancelled
    assert on.dispatcher.limiter.in_flight == on.dispatcher.waiting == 0


def test_ctrl_c_while_flows_run_lets_what_is_in_flight_land_and_nothing_more_leave(monkeypatch):
    entered, release = threading.Event(), threading.Event()

    def held(body: bytes) -> Response:
        entered.set()
        release.wait(FAR)
        return Response(200, {}, body)

    on = runtime(transport := Transport(held))
    scope = scope_of(on)
    outcomes: list[Any] = []

    def noting(flow: Any) -> Any:
        outcomes.append((yield from flow))

    def interrupted(self: Job[Any]) -> None:
        entered.wait(FAR)
        raise KeyboardInterrupt

    before = set(threading.enumerate())
    monkeypatch.setattr(Job, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        drive(asking(Gather([noting(send(b"1")), noting(send(b"2"))])), on, scope)
    assert scope.cancelled
    release.set()
    for thread in set(threading.enumerate()) - before:
        thread.join(FAR)
    landed = [outcome.verdict for outcome in outcomes if isinstance(outcome, Sent)]
    assert len(landed) == len(transport.exchanges) == 1
    assert NotSent(NotSentReason.CALL_STOPPED) in outcomes
    assert on.dispatcher.limiter.in_flight == 0
