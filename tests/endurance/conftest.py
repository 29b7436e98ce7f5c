"""A gateway, a client of it, and the right answers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from openrouter_embeddings import Client

from .support import MODEL, texts

if TYPE_CHECKING:
    from openrouter_embeddings_gateway import LocalGateway

Make = Callable[..., Client]


@pytest.fixture(autouse=True)
def found_by_other_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a spawned process import this package's functions by the name they have here."""
    monkeypatch.syspath_prepend(Path(__file__).parents[2])


@pytest.fixture
def options(embeddings_gateway: LocalGateway) -> dict[str, Any]:
    """Options of a client of the local gateway."""
    return {"api_key": "sk-test-key", "base_url": embeddings_gateway.base_url, "dimensions": 32}


@pytest.fixture
def make(options: dict[str, Any]) -> Make:
    """Make clients of the local gateway."""
    return lambda **more: Client(MODEL, **options | more)


@pytest.fixture
def truth(make: Make) -> np.ndarray:
    """The embeddings of `texts(50)`."""
    with make() as client:
        return client.embed_documents(texts(50)).embeddings
