"""The way to the core: what a framework has no word for is done by the client of the object, and counts with it."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from openrouter_embeddings import AsyncClient, BudgetExceededError, Client, MemoryCache


def both(subject):
    """Return the sync and the async client of the object that embeds documents."""
    return subject.clients[:2]


def test_every_object_hands_out_its_clients(make):
    """In both colours, whatever the object's own colour is.

    Troubleshooting: an AttributeError means that users have to reach for a private name.
    """
    for client, async_client in zip(make().clients[::2], make().clients[1::2], strict=True):
        assert isinstance(client, Client)
        assert isinstance(async_client, AsyncClient)


def test_what_the_clients_spend_is_counted_and_cached_with_the_object(make, gateway, texts):
    """One total and one cache: what a client has paid for, the object has.

    Troubleshooting: a second payment means that the client is another one than the object uses.
    """
    subject = make(cache=MemoryCache())
    client, async_client = both(subject)
    rows = client.embed_documents(texts[:3]).embeddings
    np.testing.assert_array_equal(asyncio.run(async_client.embed_documents(texts[:3])).embeddings, rows)
    np.testing.assert_array_equal(subject.embed_documents(texts[:3]), rows)
    assert gateway.paid_inputs() == 3
    assert client.usage == async_client.usage
    assert (subject.usage.requests, subject.usage.cached) == (1, 6)


def test_the_limit_of_requests_in_flight_is_one_for_all(make, gateway, texts):
    """Threads that call the object, and tasks that call its async client, stay within one `max_concurrency` together.

    Troubleshooting: four in flight mean that each colour has a limit of its own.
    """
    subject = make(max_concurrency=2)
    async_client = both(subject)[1]
    gateway.trouble("slow", seconds=0.03, times=None)

    async def tasks():
        await asyncio.gather(*(async_client.embed_documents([f"{text} asked for on a loop"]) for text in texts[:6]))

    with ThreadPoolExecutor(7) as pool:
        loop = pool.submit(asyncio.run, tasks())
        list(pool.map(subject.embed_documents, [[text] for text in texts[:6]]))
        loop.result()
    assert gateway.max_in_flight() <= 2
    assert gateway.paid_inputs() == 12


def test_the_limit_on_cost_is_one_for_all(make, truth, sent, texts):
    """What the client has spent, the object cannot spend again.

    Troubleshooting: a request means that each has a budget of its own.
    """
    subject = make(max_cost=truth.cost(texts[:3]) * 1.01)
    both(subject)[0].embed_documents(texts[:3])
    with pytest.raises(BudgetExceededError):
        subject.embed_documents(texts[3:6])
    assert len(sent()) == 1
