"""`OpenRouterEmbeddings` against the local gateway."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("langchain_core")

from langchain_openrouter_embeddings import OpenRouterEmbeddings

if TYPE_CHECKING:
    from openrouter_embeddings_gateway import LocalGateway

MARKED = "qwen/qwen3-embedding-8b"
KEY = "sk-or-canary-5f1c9e"


def pytest_configure(config: pytest.Config) -> None:
    """Know the markers in LangChain's own suite, whose plugins are switched off here."""
    for name in ("benchmark", "codspeed", "vcr"):
        config.addinivalue_line("markers", f"{name}: stands in langchain-tests; does nothing here")


@pytest.fixture
def gateway(embeddings_gateway: LocalGateway, monkeypatch: pytest.MonkeyPatch) -> LocalGateway:
    """A fresh gateway, and its address and a key where an embedder looks for them."""
    monkeypatch.setenv("OPENROUTER_API_KEY", KEY)
    monkeypatch.setenv("OPENROUTER_API_BASE", embeddings_gateway.base_url)
    return embeddings_gateway


@pytest.fixture
def make(gateway: LocalGateway) -> Callable[..., OpenRouterEmbeddings]:
    """Return embeddings of a marked model at a small width, with whatever else a test asks for."""

    def build(**options: Any) -> OpenRouterEmbeddings:
        return OpenRouterEmbeddings(**{"model": MARKED, "dimensions": 64, **options})

    return build
