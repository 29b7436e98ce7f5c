"""Clients of the local gateway."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from openrouter_embeddings import Client, StreamBatch

MODEL = "openai/text-embedding-3-small"
MARKED = "voyageai/voyage-4"
COLOURS = pytest.mark.parametrize("colour", ["sync", "async", "async iterable"])


@pytest.fixture
def make(embeddings_gateway) -> Iterator[Callable[..., Client]]:
    """Make clients of the local gateway, closed at the end of the test."""
    made: list[Client] = []

    def build(model: str = MODEL, **options) -> Client:
        made.append(Client(model, **{"api_key": "sk-test-key", "base_url": embeddings_gateway.base_url} | options))
        return made[-1]

    yield build
    for client in made:
        client.close()


def texts(count: int) -> list[str]:
    """Return different texts."""
    return [f"sentence number {number}" for number in range(count)]


def stream(
    client: Client,
    inputs: Any,
    colour: str,
    take: int | None = None,
    got: list[StreamBatch] | None = None,
    **options: Any,
) -> list[StreamBatch]:
    """Collect the batches, the first `take` of them where that is said."""
    got = [] if got is None else got
    if colour == "sync":
        batches = client.embed_stream(inputs, input_type="document", **options)
        for batch in batches:
            got.append(batch)
            if len(got) == take:
                batches.close()
                break
        return got

    async def agiven():
        for given_input in inputs:
            yield given_input

    async def run() -> None:
        source = agiven() if colour == "async iterable" else inputs
        batches = client.as_async().embed_stream(source, input_type="document", **options)
        async for batch in batches:
            got.append(batch)
            if len(got) == take:
                await batches.aclose()
                break

    asyncio.run(run())
    return got
