"""Haystack's stores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from haystack import Document, Pipeline
from haystack.components.writers import DocumentWriter
from haystack.document_stores.types import DuplicatePolicy
from haystack.utils import Secret
from haystack_integrations.components.retrievers.chroma import ChromaEmbeddingRetriever
from haystack_integrations.components.retrievers.pgvector import PgvectorEmbeddingRetriever
from haystack_integrations.components.retrievers.qdrant import QdrantEmbeddingRetriever
from haystack_integrations.document_stores.chroma import ChromaDocumentStore
from haystack_integrations.document_stores.pgvector import PgvectorDocumentStore
from haystack_integrations.document_stores.qdrant import QdrantDocumentStore

from haystack_integrations.components.embedders.openrouter_embeddings import OpenRouterDocumentEmbedder

from .corpus import BEST, WIDTH, Entry
from .postgres import database


class _Haystack:
    takes_filters = True
    methods = ("sync", "async")

    def __init__(self, store: Any, retriever: Any, options: dict[str, Any]) -> None:
        self.store = store
        embedder = OpenRouterDocumentEmbedder(**options, progress_bar=False)
        self.indexing, self.search = Pipeline(), Pipeline()
        self.indexing.add_component("embedder", embedder)
        self.indexing.add_component("writer", DocumentWriter(store, policy=DuplicatePolicy.OVERWRITE))
        self.indexing.connect("embedder.documents", "writer.documents")
        self.search.add_component("embedder", embedder.text_embedder())
        self.search.add_component("retriever", retriever)
        self.search.connect("embedder.embedding", "retriever.query_embedding")

    def index(self, entries: list[Entry]) -> None:
        self.indexing.run(_documents(entries))

    async def aindex(self, entries: list[Entry]) -> None:
        await self.indexing.run_async(_documents(entries))

    def update(self, entry: Entry) -> None:
        self.index([entry])

    def ask(self, question: str, module: str | None = None) -> list[str]:
        return _names(self.search.run(_question(question, module)))

    async def aask(self, question: str, module: str | None = None) -> list[str]:
        return _names(await self.search.run_async(_question(question, module)))

    def close(self) -> None: ...

    async def aclose(self) -> None: ...


def _documents(entries: list[Entry]) -> dict[str, Any]:
    documents = [
        Document(id=entry.id, content=entry.text, meta={"name": entry.name, "module": entry.module})
        for entry in entries
    ]
    return {"embedder": {"documents": documents}}


def _question(question: str, module: str | None) -> dict[str, Any]:
    only = {"field": "meta.module", "operator": "==", "value": module} if module else None
    return {"embedder": {"text": question}, "retriever": {"filters": only, "top_k": BEST}}


def _names(found: dict[str, Any]) -> list[str]:
    return [hit.meta["name"] for hit in found["retriever"]["documents"]]


class InChroma(_Haystack):
    methods = ("sync",)  # its async client wants a server

    def __init__(self, folder: Path, **options: Any) -> None:
        store = ChromaDocumentStore("entries", persist_path=str(folder))
        super().__init__(store, ChromaEmbeddingRetriever(store), options)


class InQdrant(_Haystack):
    def __init__(self, folder: Path, **options: Any) -> None:
        store = QdrantDocumentStore(path=str(folder), index="entries", embedding_dim=WIDTH)
        super().__init__(store, QdrantEmbeddingRetriever(store), options)

    def close(self) -> None:
        self.store.close()

    async def aclose(self) -> None:
        await self.store.close_async()


class InPgvector(_Haystack):
    def __init__(self, folder: Path, **options: Any) -> None:
        address = Secret.from_token(database(folder))
        store = PgvectorDocumentStore(connection_string=address, table_name="entries", embedding_dimension=WIDTH)
        super().__init__(store, PgvectorEmbeddingRetriever(document_store=store), options)

    def close(self) -> None:
        self.store.close()

    async def aclose(self) -> None:
        await self.store.close_async()
