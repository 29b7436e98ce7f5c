"""Clients of the local gateway, and both colours of each check."""

from __future__ import annotations

import asyncio

import pytest

from openrouter_embeddings import Client, ConsistencyCheck, ModelCheck

KEY = "sk-test-key"
PLAIN, NO_PROFILE = "openai/text-embedding-3-small", "someone/unheard-of"


@pytest.fixture
def make(embeddings_gateway):
    """Make clients of the local gateway, which serves one model more than there are profiles."""
    embeddings_gateway.configure(models={NO_PROFILE: 256})

    def build(model: str = "voyageai/voyage-4", **options) -> Client:
        return Client(model, **{"api_key": KEY, "base_url": embeddings_gateway.base_url} | options)

    return build


@pytest.fixture(params=["sync", "async"])
def check_model(request):
    """Check a model in both colours."""

    def check(client: Client) -> ModelCheck:
        return client.check_model() if request.param == "sync" else asyncio.run(client.as_async().check_model())

    return check


@pytest.fixture(params=["sync", "async"])
def check_consistency(request):
    """Compare a model's providers in both colours."""

    def check(client: Client, texts=None) -> ConsistencyCheck:
        if request.param == "sync":
            return client.check_consistency(texts)
        return asyncio.run(client.as_async().check_consistency(texts))

    return check
