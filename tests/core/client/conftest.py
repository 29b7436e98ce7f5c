"""Clients of the local gateway."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from openrouter_embeddings import Client

MODEL = "openai/text-embedding-3-small"
MARKED = "voyageai/voyage-4"


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
