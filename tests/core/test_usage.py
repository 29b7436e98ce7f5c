"""`track_usage` counts what a block of code spends, whoever does it."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from functools import partial

import pytest

from openrouter_embeddings import (
    Client,
    InsufficientCreditsError,
    MemoryCache,
    Usage,
    UsageTracker,
    UsageWarning,
    track_usage,
)
from openrouter_embeddings import usage as usages

MODEL = "openai/text-embedding-3-small"


@pytest.fixture
def make(embeddings_gateway):
    """Make clients of the local gateway."""

    def build(**options) -> Client:
        return Client(MODEL, **{"api_key": "sk-test-key", "base_url": embeddings_gateway.base_url} | options)

    return build


NUMBERS = {field.name: place for place, field in enumerate(fields(Usage), start=1)}


def test_usage_adds_up_field_by_field():
    assert Usage(**NUMBERS) + Usage(**NUMBERS) == Usage(**{name: 2 * number for name, number in NUMBERS.items()})
    assert sum([Usage(cost=0.5), Usage(cost=0.25)]) == Usage(cost=0.75)
    assert sum([], Usage()) == Usage()
    assert Usage(**NUMBERS).to_dict() == NUMBERS
    for wrong in (1, "x", None):
        with pytest.raises(TypeError):
            Usage() + wrong
    with pytest.raises(TypeError):
        1 + Usage()


def test_a_tracker_has_the_fields_of_usage():
    tracker = UsageTracker()
    tracker.add(Usage(**NUMBERS))
    assert {name: getattr(tracker, name) for name in NUMBERS} == NUMBERS
    assert tracker.total == Usage(**NUMBERS)
    assert repr(tracker) == f"UsageTracker({tracker.total!r})"


def test_every_call_of_any_client_inside_the_block_is_counted_and_no_other(make):
    one, other = make(), make(cache=MemoryCache())
    one.embed_query("before")
    with track_usage() as usage:
        result = one.embed_documents(["a", "b", "a"])
        other.embed_query("c")
        other.embed_query("c")
    one.embed_query("after")
    assert usage.total == result.usage + other.usage
    assert (usage.requests, usage.deduplicated, usage.cached) == (2, 1, 1)
    assert usage.cost == usage.total.cost > 0


def test_what_a_failed_call_has_spent_is_counted(make, embeddings_gateway):
    embeddings_gateway.trouble("status", status=402, after=1, times=None)
    with track_usage() as usage, pytest.raises(InsufficientCreditsError) as caught:
        make(batch_size=2, max_concurrency=1).embed_documents(list("abcdef"))
    assert usage.total == caught.value.partial.usage
    assert usage.requests == 2
    assert usage.total_tokens > 0


async def test_a_request_that_was_in_flight_when_its_call_was_cancelled_is_counted(make, embeddings_gateway):
    embeddings_gateway.trouble("slow", seconds=30)
    client = make()
    with track_usage() as usage:
        call = asyncio.create_task(client.as_async().embed_query("a"))
        async with asyncio.timeout(20):
            while not embeddings_gateway.embedding_requests():  # noqa: ASYNC110 - another process says when
                await asyncio.sleep(0.01)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
    assert usage.requests == client.usage.requests == 1


def test_an_outer_block_counts_what_an_inner_one_does(make):
    client = make()
    with track_usage() as outer:
        client.embed_query("a")
        with track_usage() as inner:
            client.embed_query("b")
        client.embed_query("c")
    assert (inner.requests, outer.requests) == (1, 3)


async def test_tasks_side_by_side_do_not_count_each_other(make):
    client = make().as_async()

    async def some(count: int) -> int:
        with track_usage() as usage:
            for number in range(count):
                await client.embed_query(f"{count} {number}")
        return usage.requests

    with track_usage() as together:
        assert await asyncio.gather(some(1), some(2), some(3)) == [1, 2, 3]
    assert together.requests == 6


async def test_a_task_begun_inside_is_counted_wherever_it_ends(make):
    client = make()
    with track_usage() as usage:
        task = asyncio.create_task(client.as_async().embed_query("a"))
        await asyncio.to_thread(client.embed_query, "b")
    await task
    await client.as_async().embed_query("c")
    assert usage.requests == 2


def test_batches_that_run_on_the_clients_own_threads_are_counted_once(make):
    with track_usage() as usage:
        result = make(batch_size=1).embed_documents(list("abcdefgh"))
    assert usage.total == result.usage
    assert usage.requests == 8


def test_a_plain_thread_is_counted_where_it_is_told_so(make):
    client = make()
    with track_usage() as outer, track_usage() as usage, ThreadPoolExecutor(2) as pool:
        pool.submit(client.embed_query, "not counted").result()
        assert pool.submit(usage.run, client.embed_query, text="a").result().usage.requests == 1
        list(pool.map(partial(usage.run, client.embed_query), ["b", "c"]))
        pool.submit(client.embed_query, "not counted either: the thread is the pool's again").result()
    assert (usage.requests, outer.requests) == (3, 3)


def test_run_counts_once_where_the_block_is_known_already(make):
    client = make()
    with track_usage() as outer:
        with track_usage() as inner:
            outer.run(client.embed_query, "a")
        outer.run(client.embed_query, "b")
    outer.run(client.embed_query, "c")
    assert (inner.requests, outer.requests) == (1, 3)


def test_what_run_calls_may_fail_and_run_is_over(make):
    with track_usage() as usage:
        pass
    with pytest.raises(ZeroDivisionError):
        usage.run(lambda: 1 / 0)
    make().embed_query("a")
    assert usage.requests == 0


def test_threads_that_add_at_once_lose_nothing():
    tracker, begin = UsageTracker(), threading.Barrier(8)

    def add() -> None:
        begin.wait(10)
        for _ in range(500):
            tracker.add(Usage(requests=1))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: add(), range(8)))
    assert tracker.requests == 4000


def test_a_block_may_be_left_in_another_context_than_it_was_entered_in(make):
    """As the fixtures of pytest-asyncio are."""
    block = track_usage()
    usage = contextvars.copy_context().run(block.__enter__)
    block.__exit__(None, None, None)
    make().embed_query("a")
    assert usage.requests == 0


def test_a_block_that_raises_is_over(make):
    with pytest.raises(ZeroDivisionError), track_usage() as usage:
        raise ZeroDivisionError
    make().embed_query("a")
    assert usage.requests == 0


@pytest.fixture
def unwarned(monkeypatch):
    """A process that has not warned yet."""
    monkeypatch.setattr(usages, "_warned", [])


def in_a_thread(function, *args):
    """Run a function in a thread that knows no block."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function, *args).result()


def test_a_block_that_has_counted_nothing_while_plain_threads_made_calls_says_so_once(make, unwarned):
    client = make()
    with pytest.warns(UsageWarning, match=r"usage\.run") as caught, track_usage() as usage:
        in_a_thread(client.embed_query, "not counted")
    assert [warning.filename for warning in caught] == [__file__]
    assert usage.requests == 0
    with track_usage():
        in_a_thread(client.embed_query, "said already")


def test_calls_that_an_adapter_counts_for_itself_belong_to_no_block(make, unwarned):
    client = make()

    def traced() -> None:
        with UsageTracker().counting() as own:
            client.embed_query("a")
        assert own.requests == 1

    with pytest.warns(UsageWarning), track_usage():
        in_a_thread(traced)
    traced()


def test_a_block_is_silent_where_it_counted_or_others_counted_or_nothing_was_called(make, unwarned):
    client = make()

    def another_request() -> None:
        with track_usage():
            client.embed_query("b")

    with track_usage() as usage:
        in_a_thread(usage.run, client.embed_query, "a")
        in_a_thread(client.embed_query, "beside it")
    with track_usage():
        in_a_thread(another_request)
    with track_usage():
        pass


async def test_a_block_is_silent_about_other_tasks_of_its_loop(make, unwarned):
    client, begin = make().as_async(), asyncio.Event()

    async def other() -> None:
        await begin.wait()
        await client.embed_query("a")

    task = asyncio.create_task(other())
    with track_usage():
        begin.set()
        await task


def test_a_block_that_raises_says_nothing_else(make, unwarned):
    with pytest.raises(ZeroDivisionError), track_usage():
        in_a_thread(make().embed_query, "a")
        raise ZeroDivisionError
