"""Calls of both colours, and what must be true of their outcomes."""

from __future__ import annotations

import asyncio
import traceback

import numpy as np

from openrouter_embeddings import AsyncClient, Client, EmbeddingError, EmbeddingResult

from ..support.answers import embedding_of

KEY = "sk-or-v1-canary-91c2fa"
TEXTS = ["canary of the first text", "canary of the second text", "canary of the third text"]
COLOURS = ("sync", "async")
NO_RETRIES = {"max_retries": 0, "max_replays": 0, "retry_timeout": 0.0}


def embed_in_turn(colour: str, steps, model: str = "faults/model", **given) -> list[EmbeddingResult | BaseException]:
    """Make one client call before each step and one after the last, and return what each came to."""
    if colour == "sync":
        return _in_turn(model, steps, **given)
    return asyncio.run(_ain_turn(model, steps, **given))


def _in_turn(model, steps, **given):
    outcomes = []
    with Client(model, document_input_type="", **given) as client:
        for step in (*steps, lambda: None):
            try:
                outcomes.append(client.embed_documents(TEXTS))
            except Exception as error:
                outcomes.append(error)
            step()
    return outcomes


async def _ain_turn(model, steps, **given):
    outcomes = []
    async with AsyncClient(model, document_input_type="", **given) as client:
        for step in (*steps, lambda: None):
            try:
                outcomes.append(await client.embed_documents(TEXTS))
            except Exception as error:
                outcomes.append(error)
            step()
    return outcomes


def assert_right(outcome, texts=TEXTS) -> None:
    if isinstance(outcome, BaseException):
        raise outcome
    assert np.array_equal(outcome.embeddings, np.array([embedding_of(text) for text in texts], np.float32))


def assert_ours(outcome, kind: type[EmbeddingError]) -> None:
    """Check class and silence: neither message nor traceback may hold the key or a text."""
    assert isinstance(outcome, kind), repr(outcome)
    shown = "".join(traceback.format_exception(outcome)) + repr(outcome) + repr(vars(outcome))
    assert KEY not in shown
    assert "canary" not in shown
    assert outcome.__cause__ is None
