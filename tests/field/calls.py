"""The job that every setting has to do, in both colours, and what must be true of its outcome."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

import numpy as np

from openrouter_embeddings import AsyncClient, Client, EmbeddingResult

MODEL = "openai/text-embedding-3-small"
COUNT = 2_000
BATCH = 10
TEXTS = [f"text {number}: {hashlib.sha256(str(number).encode()).hexdigest()[:16]}" for number in range(COUNT)]
COLOURS = ("sync", "async")


def embed(colour: str, base_url: str, *, model: str = MODEL, **options: Any) -> EmbeddingResult:
    """Embed `TEXTS` in threads or on a loop."""
    given = {"api_key": "sk-field-key", "base_url": base_url, "dimensions": 64, "batch_size": BATCH} | options
    if colour == "sync":
        with Client(model, **given) as client:
            return client.embed_documents(TEXTS)
    return asyncio.run(_aembed(model, given))


async def _aembed(model: str, given: dict[str, Any]) -> EmbeddingResult:
    async with AsyncClient(model, **given) as client:
        return await client.embed_documents(TEXTS)


def assert_whole(result: EmbeddingResult, right: np.ndarray, gateway: Any, batch: int = BATCH) -> None:
    """Check that each text has its own embedding, and that nothing was paid twice but what was replayed."""
    assert np.array_equal(result.embeddings, right)
    assert COUNT <= gateway.paid_inputs() <= COUNT + result.usage.replays * batch
