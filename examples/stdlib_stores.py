# ruff: noqa: D102 - `Store` documents the methods
"""The three frameworks behind one small interface: put texts into the framework's in-memory store, ask it a question.

Each class is what an app would write with its framework; only the names are made the same, for the side by side.
"""

from __future__ import annotations

from typing import Any, ClassVar, Protocol

from haystack import Document, Pipeline
from haystack.components.retrievers.in_memory import InMemoryEmbeddingRetriever
from haystack.components.writers import DocumentWriter
from haystack.document_stores.in_memory import InMemoryDocumentStore
from haystack.utils import Secret
from langchain_core.documents import Document as LangChainDocument
from langchain_core.vectorstores import InMemoryVectorStore
from llama_index.core import VectorStoreIndex
from llama_index.core.schema import TextNode

from haystack_integrations.components.embedders.openrouter_embeddings import (
    OpenRouterDocumentEmbedder,
    OpenRouterTextEmbedder,
)
from langchain_openrouter_embeddings import OpenRouterEmbeddings
from llama_index.embeddings.openrouter import OpenRouterEmbedding
from openrouter_embeddings import Usage

Hit = tuple[float, str]
"""Cosine similarity and text."""


class Store(Protocol):
    """A framework's store, filled and asked through our adapter."""

    name: ClassVar[str]

    def add(self, texts: list[str]) -> None:
        """Embed the texts and store them."""

    def ask(self, question: str, count: int) -> list[Hit]:
        """Return the best hits, best first."""

    @property
    def usage(self) -> Usage:
        """What was spent so far."""


class LangChain:
    """LangChain's `InMemoryVectorStore`."""

    name = "LangChain"

    def __init__(self, *, model: str, api_key: str, base_url: str | None, **options: Any) -> None:
        self._embeddings = OpenRouterEmbeddings(model=model, api_key=api_key, base_url=base_url, **options)
        self._store = InMemoryVectorStore(self._embeddings)

    def add(self, texts: list[str]) -> None:
        self._store.add_documents([LangChainDocument(page_content=text) for text in texts])

    def ask(self, question: str, count: int) -> list[Hit]:
        found = self._store.similarity_search_with_score(question, k=count)
        return [(float(score), document.page_content) for document, score in found]

    @property
    def usage(self) -> Usage:
        return self._embeddings.usage


class LlamaIndex:
    """LlamaIndex's `VectorStoreIndex` over its `SimpleVectorStore`."""

    name = "LlamaIndex"

    def __init__(self, *, model: str, api_key: str, base_url: str | None, **options: Any) -> None:
        self._embed_model = OpenRouterEmbedding(model_name=model, api_key=api_key, base_url=base_url, **options)
        self._index = VectorStoreIndex(nodes=[], embed_model=self._embed_model)

    def add(self, texts: list[str]) -> None:
        self._index.insert_nodes([TextNode(text=text) for text in texts])

    def ask(self, question: str, count: int) -> list[Hit]:
        found = self._index.as_retriever(similarity_top_k=count).retrieve(question)
        return [(float(hit.score or 0.0), hit.node.get_content()) for hit in found]

    @property
    def usage(self) -> Usage:
        return self._embed_model.usage


class Haystack:
    """Haystack's `InMemoryDocumentStore`, with a pipeline for each side."""

    name = "Haystack"

    def __init__(self, *, model: str, api_key: str, base_url: str | None, **options: Any) -> None:
        shared = {"model": model, "api_key": Secret.from_token(api_key), "api_base_url": base_url, **options}
        store = InMemoryDocumentStore(embedding_similarity_function="cosine")
        self._embedders = OpenRouterDocumentEmbedder(**shared, progress_bar=False), OpenRouterTextEmbedder(**shared)
        self._index, self._search = Pipeline(), Pipeline()
        self._index.add_component("embedder", self._embedders[0])
        self._index.add_component("writer", DocumentWriter(store))
        self._index.connect("embedder.documents", "writer.documents")
        self._search.add_component("embedder", self._embedders[1])
        self._search.add_component("retriever", InMemoryEmbeddingRetriever(store))
        self._search.connect("embedder.embedding", "retriever.query_embedding")

    def add(self, texts: list[str]) -> None:
        self._index.run({"embedder": {"documents": [Document(content=text) for text in texts]}})

    def ask(self, question: str, count: int) -> list[Hit]:
        found = self._search.run({"embedder": {"text": question}, "retriever": {"top_k": count}})
        return [(document.score, document.content) for document in found["retriever"]["documents"]]

    @property
    def usage(self) -> Usage:
        return sum((embedder.usage for embedder in self._embedders), Usage())


FRAMEWORKS: tuple[type[Store], ...] = (LangChain, LlamaIndex, Haystack)
