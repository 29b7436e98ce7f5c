"""`http_client=` as a function that makes one: in each process and on each loop, closed with ours; and closing beside a call."""

from __future__ import annotations

import asyncio
import copy
import gc
import pickle
import threading
import time
import warnings
from functools import partial

import httpx
import pytest

from openrouter_embeddings import AsyncClient, ConfigurationError, TimedOutError

from .conftest import MODEL, texts

made: list[httpx.Client | httpx.AsyncClient] = []


def making(name: str) -> httpx.Client:
    made.append(httpx.Client(headers={"x-own": name}, trust_env=False))
    return made[-1]


def amaking(name: str) -> httpx.AsyncClient:
    made.append(httpx.AsyncClient(headers={"x-own": name}, trust_env=False))
    return made[-1]


@pytest.fixture(autouse=True)
def _none_is_made_yet():
    made.clear()


@pytest.fixture
def own(make):
    """Make a client whose connections are made by functions."""
    return partial(
        make, http_client=partial(making, "sync"), async_http_client=partial(amaking, "async"), api_key="sk-literal"
    )


def test_it_is_made_at_the_first_request_and_closed_with_the_client(own, embeddings_gateway):
    client = own()
    assert made == []
    for number in (1, 2):
        client.embed_query("a")
        client.embed_query("b")
        assert len(made) == number
        client.close()
        assert made[-1].is_closed
    assert {request.headers["x-own"] for request in embeddings_gateway.embedding_requests()} == {"sync"}


def test_each_loop_has_its_own_which_ends_with_it(own, embeddings_gateway):
    client = own()

    async def twice() -> None:
        await client.as_async().embed_query("a")
        await client.as_async().embed_query("b")

    for number in (1, 2):
        asyncio.run(twice())
        assert len(made) == number
        assert made[-1].is_closed
    assert {request.headers["x-own"] for request in embeddings_gateway.embedding_requests()} == {"async"}


def test_pickles_and_copies_make_their_own(own, embeddings_gateway):
    client = own()
    client.embed_query("a")
    for again in (pickle.loads(pickle.dumps(client)), copy.deepcopy(client)):
        again.embed_query("b")
        again.close()
    assert len(made) == 3
    assert not made[0].is_closed


def test_one_that_nobody_closes_leaves_no_socket(own):
    client = own()
    client.embed_query("a")
    asyncio.run(client.as_async().embed_query("b"))
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        own().embed_query("c")  # its fixture knows this one
        del client
        gc.collect()
    assert not seen


def test_what_the_function_raises_is_the_callers(make):
    def fails():
        raise LookupError("no such proxy")

    with pytest.raises(LookupError, match="no such proxy"):
        make(http_client=fails).embed_query("a")
    with pytest.raises(LookupError, match="no such proxy"):
        asyncio.run(make(async_http_client=fails).as_async().embed_query("a"))


@pytest.mark.parametrize(
    ("wrong", "found"), [(lambda: None, "NoneType"), (httpx.AsyncClient, "one of the other colour")]
)
def test_what_the_function_makes_is_looked_at_and_leaves_nothing_behind(make, wrong, found):
    """The next call asks the function again."""
    answers = iter([wrong(), making("sync")])
    client = make(http_client=lambda: next(answers))
    with pytest.raises(ConfigurationError, match=rf"must make an httpx\.Client, not {found}"):
        client.embed_query("a")
    assert len(client.embed_query("a")) == 1
    client.close()
    assert made[0].is_closed


async def test_what_the_function_makes_for_a_loop_is_looked_at_too(make):
    client = make(async_http_client=lambda: None).as_async()
    with pytest.raises(ConfigurationError, match=r"async_http_client must make an httpx\.AsyncClient, not NoneType"):
        await client.embed_query("a")
    await client.aclose()


def test_a_function_that_asks_the_client_itself_ends_with_the_call(make):
    """It waits for the request that waits for it: a mistake, and no lock that is held for ever."""

    def asks_itself():
        client.embed_query("inner")
        return httpx.Client()

    client = make(http_client=asks_itself, call_timeout=0.5)
    with pytest.raises(TimedOutError):
        client.embed_query("outer")
    client.close()


def test_threads_that_begin_together_use_one_client(make):
    together = threading.Barrier(4)

    def makes():
        together.wait(30)  # for the others, who must not be kept from making theirs
        return making("sync")

    client = make(http_client=makes)
    threads = [threading.Thread(target=client.embed_query, args=[str(number)]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 4
    assert [one.is_closed for one in made].count(False) == 1
    client.close()
    assert all(one.is_closed for one in made)


def test_a_function_that_is_async_is_refused(make):
    async def makes():
        raise AssertionError("never called")

    with pytest.raises(ConfigurationError, match="http_client takes a function that is not async"):
        make(http_client=makes)


# --------------------------------------------------------------------------------------------- closing beside a call


def four_requests(gateway) -> None:
    """Wait until four requests are, or have been, in flight at one time."""
    while gateway.max_in_flight() < 4:
        time.sleep(0.01)


@pytest.mark.parametrize("kind", ["our own", "made"])
def test_a_call_that_is_under_way_outlives_a_close_and_nothing_is_paid_twice(make, own, embeddings_gateway, kind):
    """A server that ends closes its client while a handler waits for its embeddings."""
    build = make if kind == "our own" else own
    embeddings_gateway.configure(latency=0.3)

    async def beside(client: AsyncClient) -> int:
        await client.embed_query("the first request goes alone")
        call = asyncio.create_task(client.embed_documents(texts(16)))
        await asyncio.to_thread(four_requests, embeddings_gateway)
        await client.aclose()
        return len(await call)

    assert asyncio.run(beside(build(MODEL, batch_size=4, dimensions=8).as_async())) == 16
    assert embeddings_gateway.paid_inputs() == 17

    embeddings_gateway.reset()
    embeddings_gateway.configure(latency=0.3)
    client, landed = build(MODEL, batch_size=4, dimensions=8), []
    thread = threading.Thread(target=lambda: landed.append(client.embed_documents(texts(16))))
    client.embed_query("the first request goes alone")
    thread.start()
    four_requests(embeddings_gateway)
    client.close()
    thread.join()
    assert len(landed[0]) == 16
    assert embeddings_gateway.paid_inputs() == 17
    assert all(one.is_closed for one in made)
