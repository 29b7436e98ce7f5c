"""A limiter of the user's over the real gateway: asked before each request, told what became of it, and held by nobody."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from openrouter_embeddings import (
    BudgetExceededError,
    ConfigurationError,
    InvalidRequestError,
    LeaseOutcome,
    LimiterWarning,
    TimedOutError,
)

from .conftest import texts

WAIT = 60.0


class Cap:
    """A limiter with so many leases; more ask again after `seconds`."""

    def __init__(self, most: int = 100, seconds: float = 0.01) -> None:
        self.most, self.seconds = most, seconds
        self.out = self.highest = 0
        self.asked: list[int] = []
        self.outcomes: list[LeaseOutcome] = []
        self.told = threading.Event()
        self._lock = threading.Lock()

    def acquire(self, requests: int, tokens: int) -> Any:
        with self._lock:
            self.asked.append(tokens)
            self.told.set()
            if self.out >= self.most:
                return self.seconds
            self.out += requests
            self.highest = max(self.highest, self.out)
        return Lease(self)

    def release(self, outcome: LeaseOutcome) -> None:
        with self._lock:
            self.out -= outcome.requests
            self.outcomes.append(outcome)

    @property
    def kinds(self) -> Counter[str]:
        return Counter(outcome.kind for outcome in self.outcomes)


class Lease:
    def __init__(self, limiter: Cap) -> None:
        self.limiter = limiter
        self.is_released = False

    def release(self, outcome: LeaseOutcome) -> None:
        assert not self.is_released
        self.is_released = True
        self.limiter.release(outcome)


class AsyncLease(Lease):
    async def release(self, outcome: LeaseOutcome) -> None:
        await asyncio.sleep(0)
        super().release(outcome)


class AsyncCap(Cap):
    async def acquire(self, requests: int, tokens: int) -> Any:
        await asyncio.sleep(0)
        answer = super().acquire(requests, tokens)
        return answer if isinstance(answer, float) else AsyncLease(self)


def until_received(gateway: Any) -> None:
    """Return once the gateway has a request."""
    while not gateway.embedding_requests():
        time.sleep(0.01)


class Colour:
    """How calls are made, and which limiters are taken."""

    def __init__(self, name: str) -> None:
        self.is_async = name != "threads"
        self.cap = AsyncCap if name == "coroutines" else Cap

    def embed(self, client: Any, inputs: list[str], input_type: Any = "document") -> Any:
        if not self.is_async:
            return client.embed(inputs, input_type=input_type)
        return asyncio.run(client.as_async().embed(inputs, input_type=input_type))


@pytest.fixture(params=["threads", "tasks", "coroutines"])
def colour(request: pytest.FixtureRequest) -> Colour:
    return Colour(request.param)


def test_a_cap_that_two_clients_share_is_never_passed(make, embeddings_gateway, colour):
    embeddings_gateway.configure(cap=3, latency=0.01)
    limiter = colour.cap(3)
    clients = [make(limiter=limiter, batch_size=1, max_concurrency=8) for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda client: colour.embed(client, texts(20)), clients))
    assert {request.status for request in embeddings_gateway.embedding_requests()} == {200}
    assert limiter.highest <= 3
    assert limiter.out == 0
    assert limiter.kinds == {"landed": 40}


def test_what_landed_is_told_with_its_tokens_and_its_cost(make, colour):
    limiter = colour.cap()
    client = make(limiter=limiter)
    colour.embed(client, texts(3))
    (outcome,) = limiter.outcomes
    assert outcome == LeaseOutcome(kind="landed", tokens=client.usage.total_tokens, cost=client.usage.cost)
    assert client.usage.cost > 0.0
    assert limiter.asked[0] >= 3


def test_a_refusal_is_told_with_the_time_that_the_gateway_asked_for(make, embeddings_gateway, colour):
    limiter = colour.cap()
    embeddings_gateway.trouble("status", status=429, retry_after=0.01)
    colour.embed(make(limiter=limiter), texts(3))
    refused, landed = limiter.outcomes
    assert refused == LeaseOutcome(kind="refused", retry_after=0.01)
    assert landed.kind == "landed"


def test_what_failed_is_told_and_each_attempt_has_a_lease_of_its_own(make, embeddings_gateway, colour):
    limiter = colour.cap()
    embeddings_gateway.trouble("cut")
    colour.embed(make(limiter=limiter), texts(3))
    assert [outcome.kind for outcome in limiter.outcomes] == ["failed", "landed"]
    embeddings_gateway.trouble("status", status=400, times=None)
    with pytest.raises(InvalidRequestError):
        colour.embed(make(limiter=limiter), texts(1))
    assert limiter.outcomes[-1].kind == "failed"
    assert limiter.out == 0


class Raises(Cap):
    """A limiter that raises once two leases are given."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def acquire(self, requests: int, tokens: int) -> Any:
        if len(self.asked) == 2:
            raise self.error
        return super().acquire(requests, tokens)


@pytest.mark.parametrize("error", [BudgetExceededError("The team's budget is spent."), ZeroDivisionError("mine")])
@pytest.mark.parametrize("name", ["threads", "tasks"])
def test_what_the_limiter_raises_ends_the_call_and_what_landed_rides_on_it(make, embeddings_gateway, name, error):
    limiter = Raises(error)
    with pytest.raises(type(error), match=str(error).rstrip(".")) as caught:
        Colour(name).embed(make(limiter=limiter, batch_size=1), texts(5))
    assert len(caught.value.partial.positions_done) == len(embeddings_gateway.embedding_requests()) == 2
    assert limiter.out == 0


def test_a_call_that_is_told_to_wait_ends_with_its_time(make, embeddings_gateway, colour):
    limiter = colour.cap(most=0, seconds=3600.0)
    with pytest.raises(TimedOutError, match="call_timeout"):
        colour.embed(make(limiter=limiter, call_timeout=0.2), texts(1))
    assert len(limiter.asked) == 1
    assert embeddings_gateway.embedding_requests() == []


class Blocks(Cap):
    """A limiter that waits by itself until it is let go on."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = threading.Event()
        self.is_through = threading.Event()

    def acquire(self, requests: int, tokens: int) -> Any:
        self.told.set()
        assert self.go_on.wait(WAIT)
        return super().acquire(requests, tokens)

    def release(self, outcome: LeaseOutcome) -> None:
        super().release(outcome)
        self.is_through.set()


@pytest.mark.parametrize("name", ["threads", "tasks"])
def test_a_call_ends_with_its_time_though_the_limiter_blocks_and_the_lease_that_comes_later_is_given_back(
    make, embeddings_gateway, name
):
    limiter = Blocks()
    with pytest.raises(TimedOutError, match="call_timeout"):
        Colour(name).embed(make(limiter=limiter, call_timeout=0.2), texts(1))
    limiter.go_on.set()
    assert limiter.is_through.wait(WAIT)
    assert limiter.kinds == {"unused": 1}
    assert embeddings_gateway.embedding_requests() == []


def test_a_task_that_is_cancelled_while_a_thread_asks_gives_the_lease_back_when_it_comes(make, embeddings_gateway):
    limiter = Blocks()

    async def run() -> None:
        task = asyncio.create_task(make(limiter=limiter).as_async().embed_query("a"))
        await asyncio.to_thread(limiter.told.wait, WAIT)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        limiter.go_on.set()
        await asyncio.to_thread(limiter.is_through.wait, WAIT)

    asyncio.run(run())
    assert limiter.kinds == {"unused": 1}
    assert embeddings_gateway.embedding_requests() == []


def test_a_task_that_is_cancelled_while_it_asks_cancels_the_coroutine(make, embeddings_gateway):
    asked, cancelled = asyncio.Event(), []

    class Never(AsyncCap):
        async def acquire(self, requests: int, tokens: int) -> Any:
            asked.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled.append(True)
                raise

    async def run() -> None:
        task = asyncio.create_task(make(limiter=Never()).as_async().embed_query("a"))
        await asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())
    assert cancelled == [True]
    assert embeddings_gateway.embedding_requests() == []


@pytest.mark.parametrize("kind", [Cap, AsyncCap])
def test_a_task_that_is_cancelled_in_flight_releases_its_lease_before_it_ends(make, embeddings_gateway, kind):
    limiter = kind()
    embeddings_gateway.trouble("slow", seconds=30.0)

    async def run() -> None:
        client = make(limiter=limiter).as_async()
        task = asyncio.create_task(client.embed_query("a"))
        await asyncio.to_thread(until_received, embeddings_gateway)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert limiter.kinds == {"failed": 1}

    asyncio.run(run())
    assert limiter.out == 0


def test_a_query_is_served_while_the_limiter_holds_bulk_work_back(make, embeddings_gateway, colour):
    """Documents are told to come again in an hour; a query that the limiter grants needs no permit of theirs."""

    class ForQueries(colour.cap):
        def acquire(self, requests: int, tokens: int) -> Any:
            self.most = 100 if tokens < 50 else 0
            return super().acquire(requests, tokens)

    limiter = ForQueries(seconds=3600.0)
    client = make(limiter=limiter, max_concurrency=1, call_timeout=WAIT)
    long = [f"{number} {'word ' * 200}" for number in range(20)]

    async def aboth() -> Any:
        other = client.as_async()
        bulk = asyncio.create_task(other.embed(long, input_type="document"))
        await asyncio.to_thread(limiter.told.wait, WAIT)
        result = await other.embed(["short"], input_type="query")
        bulk.cancel()
        with pytest.raises(asyncio.CancelledError):
            await bulk
        return result

    if colour.is_async:
        assert len(asyncio.run(aboth()).embeddings) == 1
    else:
        with ThreadPoolExecutor(1) as pool:
            bulk = pool.submit(list, client.embed_stream(long, input_type="document"))
            assert limiter.told.wait(WAIT)
            assert len(client.embed(["short"], input_type="query").embeddings) == 1
            client.close()
            bulk.exception(WAIT)
    assert len(embeddings_gateway.embedding_requests()) == 1
    assert limiter.kinds == {"landed": 1}


def test_a_limiter_whose_acquire_is_a_coroutine_function_is_refused_in_a_sync_call_before_anything_leaves(
    make, embeddings_gateway
):
    client = make(limiter=AsyncCap())
    with pytest.raises(ConfigurationError, match=r"AsyncCap\.acquire is a coroutine function: only an AsyncClient"):
        client.embed_query("a")
    with pytest.raises(ConfigurationError, match="coroutine function"):
        list(client.embed_stream(texts(3), input_type="document"))
    assert embeddings_gateway.embedding_requests() == []


@pytest.mark.parametrize(
    ("answer", "shown"), [(None, "NoneType"), (True, "bool"), (-1.0, "-1.0"), (float("nan"), "nan"), ("soon", "str")]
)
@pytest.mark.parametrize("name", ["threads", "tasks"])
def test_an_answer_that_is_neither_a_lease_nor_seconds_is_refused(make, embeddings_gateway, answer, shown, name):
    class Wrong:
        def acquire(self, requests: int, tokens: int) -> Any:
            return answer

    with pytest.raises(ConfigurationError, match=f"a lease with release, not {shown}"):
        Colour(name).embed(make(limiter=Wrong()), texts(1))
    assert embeddings_gateway.embedding_requests() == []


def test_a_lease_that_cannot_be_taken_back_is_a_warning_and_costs_no_embedding(make, colour):
    class Broken(colour.cap):
        def release(self, outcome: LeaseOutcome) -> None:
            raise OSError("away")

    client = make(limiter=Broken(), batch_size=1)
    with pytest.warns(LimiterWarning, match=r"could not take a lease back \(OSError\)") as caught:
        assert len(colour.embed(client, texts(3)).embeddings) == 3
    assert len(caught) == 1


def test_a_stream_asks_for_each_of_its_requests(make, colour):
    limiter = colour.cap()
    client = make(limiter=limiter, batch_size=2)

    async def run() -> int:
        return sum([len(batch.ids) async for batch in client.as_async().embed_stream(texts(6), input_type="document")])

    batches = client.embed_stream(texts(6), input_type="document")
    count = asyncio.run(run()) if colour.is_async else sum(len(batch.ids) for batch in batches)
    assert count == 6
    assert limiter.kinds == {"landed": 3}
