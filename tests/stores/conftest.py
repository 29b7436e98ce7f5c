"""Real vector stores under each framework. `nox -s stores` runs these tests; without its word nothing is collected."""

from __future__ import annotations

import os

import pytest

from openrouter_embeddings import Client

from .corpus import ENTRIES, MODEL, QUESTIONS, WIDTH, Ranking

collect_ignore_glob = [] if "OPENROUTER_EMBEDDINGS_STORES" in os.environ else ["*.py"]


def pytest_configure(config: pytest.Config) -> None:
    """Know the markers in LangChain's own suite, whose plugins are switched off here."""
    for name in ("benchmark", "codspeed", "vcr"):
        config.addinivalue_line("markers", f"{name}: stands in langchain-tests; does nothing here")


@pytest.fixture(scope="session")
def ranking(embeddings_gateway_process):
    """What exact search finds, by the core alone."""
    with Client(MODEL, base_url=embeddings_gateway_process.base_url, api_key="k", dimensions=WIDTH) as client:
        documents = client.embed_documents([entry.text for entry in ENTRIES]).embeddings
        return Ranking({question: documents @ client.embed_query(question).embeddings[0] for question in QUESTIONS})


@pytest.fixture
def options(embeddings_gateway, monkeypatch):
    """What every embedder is made of; the key is where all look for it."""
    monkeypatch.setenv("OPENROUTER_API_KEY", "k")
    monkeypatch.setenv("OPENROUTER_API_BASE", embeddings_gateway.base_url)
    return {"model": MODEL, "dimensions": WIDTH}
