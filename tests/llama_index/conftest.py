"""What every LlamaIndex test starts from: an embedder that talks to the gateway process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from llama_index.embeddings.openrouter import OpenRouterEmbedding


class Counting:
    """A limiter as LlamaIndex's, that holds nobody back and keeps what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def acquire(self, num_tokens: int = 0) -> None:
        self.asked.append(num_tokens)

    async def async_acquire(self, num_tokens: int = 0) -> None:
        raise AssertionError("the client asks in a thread")


Maker = Callable[..., OpenRouterEmbedding]


@pytest.fixture
def make(embeddings_gateway: Any, monkeypatch: pytest.MonkeyPatch) -> Maker:
    """Make an embedder for the gateway; an unmarked model, narrow, unless told otherwise."""
    monkeypatch.delenv("OPENROUTER_API_KEY", raising=False)
    monkeypatch.delenv("OPENROUTER_API_BASE", raising=False)

    def made(**options: Any) -> OpenRouterEmbedding:
        base = {
            "model_name": "openai/text-embedding-3-small",
            "dimensions": 64,
            "api_key": "sk-or-canary-5150",
            "base_url": embeddings_gateway.base_url,
        }
        if "model" in options:
            del base["model_name"]
        return OpenRouterEmbedding(**{**base, **options})

    return made
