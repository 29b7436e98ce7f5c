"""What the tests of the engines share: a job against the local gateway, and rows to embed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from openrouter_embeddings_engines import EmbedJob

MODEL = "openai/text-embedding-3-small"


@pytest.fixture
def job_for(embeddings_gateway: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., EmbedJob]:
    """Make jobs that embed at the local gateway, with narrow embeddings."""
    monkeypatch.setenv("OPENROUTER_API_KEY", "sk-the-key-of-the-tests")

    def make(**options: Any) -> EmbedJob:
        return EmbedJob(MODEL, **{"base_url": embeddings_gateway.base_url, "dimensions": 8} | options)

    return make
