"""Everything that embeds a list of texts, each as one function, and a gateway whose bill is kept over two runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from openrouter_embeddings import AsyncClient, Client

if TYPE_CHECKING:
    from openrouter_embeddings_gateway import LocalGateway

MODEL = "openai/text-embedding-3-small"
KEY = "sk-or-canary-77d0b2"
Run = Callable[..., list[list[float]]]


def core(texts: list[str], **options: Any) -> Any:
    return Client(**options).embed_documents(texts).tolist()


def core_async(texts: list[str], **options: Any) -> Any:
    return asyncio.run(AsyncClient(**options).embed_documents(texts)).tolist()


def langchain(texts: list[str], **options: Any) -> Any:
    from langchain_openrouter_embeddings import OpenRouterEmbeddings

    return OpenRouterEmbeddings(**options).embed_documents(texts)


def langchain_async(texts: list[str], **options: Any) -> Any:
    from langchain_openrouter_embeddings import OpenRouterEmbeddings

    return asyncio.run(OpenRouterEmbeddings(**options).aembed_documents(texts))


def llama_index(texts: list[str], *, model: str, **options: Any) -> Any:
    from llama_index.embeddings.openrouter import OpenRouterEmbedding

    return OpenRouterEmbedding(model_name=model, **options).get_text_embedding_batch(texts)


def llama_index_async(texts: list[str], *, model: str, **options: Any) -> Any:
    from llama_index.embeddings.openrouter import OpenRouterEmbedding

    return asyncio.run(OpenRouterEmbedding(model_name=model, **options).aget_text_embedding_batch(texts))


def _haystack(texts: list[str], options: dict[str, Any]) -> Any:
    from haystack import Document

    from haystack_integrations.components.embedders.openrouter_embeddings import OpenRouterDocumentEmbedder

    return OpenRouterDocumentEmbedder(**options, progress_bar=False), [Document(content=text) for text in texts]


def haystack(texts: list[str], **options: Any) -> Any:
    embedder, documents = _haystack(texts, options)
    return [one.embedding for one in embedder.run(documents=documents)["documents"]]


def haystack_async(texts: list[str], **options: Any) -> Any:
    embedder, documents = _haystack(texts, options)
    return [one.embedding for one in asyncio.run(embedder.run_async(documents=documents))["documents"]]


RUNS: list[tuple[str, Run]] = [
    ("openrouter_embeddings", core),
    ("openrouter_embeddings", core_async),
    ("langchain_core", langchain),
    ("langchain_core", langchain_async),
    ("llama_index.core", llama_index),
    ("llama_index.core", llama_index_async),
    ("haystack", haystack),
    ("haystack", haystack_async),
]


class Bill:
    """What the gateway was paid for: inputs answered with 200, over all its resets."""

    def __init__(self, gateway: LocalGateway) -> None:
        self._gateway = gateway
        self.paid = 0

    def fail_at(self, k: int, kind: str = "status", **trouble: Any) -> None:
        """Answer k requests, then none: with 402, unless told otherwise."""
        known = {"status": 402} if kind == "status" else {}
        self._gateway.trouble(kind, after=k, times=None, **known | trouble)

    def heal(self) -> int:
        """End all trouble; return the inputs paid since the last time."""
        since = self._gateway.paid_inputs()
        self.paid += since
        self._gateway.reset()
        return since


@pytest.fixture
def bill(embeddings_gateway: LocalGateway, monkeypatch: pytest.MonkeyPatch) -> Bill:
    """A gateway with a bill, its address and a key where an embedder looks for them, and no random pauses."""
    monkeypatch.setenv("OPENROUTER_API_KEY", KEY)
    monkeypatch.setenv("OPENROUTER_API_BASE", embeddings_gateway.base_url)
    monkeypatch.setattr("random.random", lambda: 0.0)
    return Bill(embeddings_gateway)


@pytest.fixture(params=RUNS, ids=[run.__name__ for _, run in RUNS])
def run(request: pytest.FixtureRequest) -> Run:
    """One way to embed texts: the core or an adapter, in one colour."""
    needs, embed = request.param
    pytest.importorskip(needs)
    return embed


@pytest.fixture
def options(tmp_path: Any) -> dict[str, Any]:
    """A cache, and one request at a time so that the k-th batch is the k-th request."""
    cache = str(tmp_path / "embeddings.sqlite")
    return {"model": MODEL, "dimensions": 16, "batch_size": 5, "max_concurrency": 1, "cache": cache}
