"""Both embedders against the local gateway, on Haystack 2 and 3."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("haystack")

import haystack
from haystack import Pipeline
from haystack.utils import Secret

from haystack_integrations.components.embedders.openrouter_embeddings import (
    OpenRouterDocumentEmbedder,
    OpenRouterTextEmbedder,
)

if TYPE_CHECKING:
    from openrouter_embeddings_gateway import LocalGateway

MARKED = "qwen/qwen3-embedding-8b"
UNMARKED = "openai/text-embedding-3-small"
KEY = "sk-or-canary-5f1c9e"


@pytest.fixture
def gateway(embeddings_gateway: LocalGateway, monkeypatch: pytest.MonkeyPatch) -> LocalGateway:
    """A fresh gateway, and its address and key where an embedder looks for them."""
    monkeypatch.setenv("OPENROUTER_API_KEY", KEY)
    monkeypatch.setenv("OPENROUTER_API_BASE", embeddings_gateway.base_url)
    return embeddings_gateway


@pytest.fixture(params=["run", "run_async"])
def call(request: pytest.FixtureRequest) -> Callable[..., dict[str, Any]]:
    """Run a component, once in each colour."""

    def run(component: Any, **inputs: Any) -> dict[str, Any]:
        return component.run(**inputs) if request.param == "run" else asyncio.run(component.run_async(**inputs))

    return run


@pytest.fixture(params=["run", "run_async"])
def run_pipeline(request: pytest.FixtureRequest) -> Callable[[Pipeline, dict[str, Any]], dict[str, Any]]:
    """Run a pipeline, once in each colour. Haystack 2 has a class of its own for the second."""

    def run(pipeline: Pipeline, data: dict[str, Any]) -> dict[str, Any]:
        if request.param == "run":
            return pipeline.run(data)
        if not hasattr(pipeline, "run_async"):
            pipeline = haystack.AsyncPipeline.loads(pipeline.dumps())  # type: ignore[attr-defined]
        return asyncio.run(pipeline.run_async(data))

    return run


@pytest.fixture
def documents_embedder(gateway: LocalGateway) -> Callable[..., OpenRouterDocumentEmbedder]:
    """Make a document embedder that talks to the gateway."""
    return partial(OpenRouterDocumentEmbedder, model=UNMARKED, progress_bar=False)


@pytest.fixture
def text_embedder(gateway: LocalGateway) -> Callable[..., OpenRouterTextEmbedder]:
    """Make a text embedder that talks to the gateway."""
    return partial(OpenRouterTextEmbedder, model=UNMARKED)


@pytest.fixture
def token() -> Secret:
    """A key given as it is."""
    return Secret.from_token(KEY)
