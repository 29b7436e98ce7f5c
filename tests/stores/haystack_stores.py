"""Haystack's stores.

All that the other frameworks have. Two of them are odd: faiss-haystack wants a numpy below 2 where Python is below 3.13, and
works with a newer one, so `nox -s stores` installs it without its dependencies; lancedb-haystack has had no release since
2024, and works with the LanceDB and the Haystack of today.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
from haystack import Document, Pipeline
from haystack.components.writers import DocumentWriter
from haystack.document_stores.types import DuplicatePolicy
from haystack.utils import Secret
from haystack_integrations.components.retrievers.chroma import ChromaEmbeddingRetriever
from haystack_integrations.components.retrievers.faiss import FAISSEmbeddingRetriever
from haystack_integrations.components.retrievers.pgvector import PgvectorEmbeddingRetriever
from haystack_integrations.components.retrievers.qdrant import QdrantEmbeddingRetriever
from haystack_integrations.document_stores.chroma import ChromaDocumentStore
from haystack_integrations.document_stores.faiss import FAISSDocumentStore
from haystack_integrations.document_stores.pgvector import PgvectorDocumentStore
from haystack_integrations.document_stores.qdrant import QdrantDocumentStore
from lancedb_haystack import LanceDBDocumentStore, LanceDBEmbeddingRetriever

from haystack_integrations.components.embedders.openrouter_embeddings import OpenRouterDocumentEmbedder

from .corpus import BEST, WIDTH, Entry
from .postgres import database


class _Haystack:
    takes_filters = True
    methods = ("sync", "async")
    by_angle = True

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

    async def aupdate(self, entry: Entry) -> None:
        await self.aindex([entry])

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
    by_angle = False

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


class InFaiss(_Haystack):
    methods = ("sync",)  # a writer that is run on the event loop refuses a store that has no methods for it
    by_angle = False

    def __init__(self, folder: Path, **options: Any) -> None:
        folder.mkdir(exist_ok=True)
        self.store = FAISSDocumentStore(index_path=str(folder / "entries"), embedding_dim=WIDTH)
        super().__init__(self.store, FAISSEmbeddingRetriever(document_store=self.store), options)

    def close(self) -> None:
        self.store.save(self.store.index_path)


class InLanceDB(_Haystack):
    methods = ("sync",)  # likewise
    by_angle = False

    def __init__(self, folder: Path, **options: Any) -> None:
        metadata = pa.struct([("name", pa.string()), ("module", pa.string())])
        store = LanceDBDocumentStore(str(folder), "entries", metadata, embedding_dims=WIDTH)
        super().__init__(store, LanceDBEmbeddingRetriever(store), options)


class InPgvector(_Haystack):
    def __init__(self, folder: Path, **options: Any) -> None:
        address = Secret.from_token(database(folder))
        store = PgvectorDocumentStore(connection_string=address, table_name="entries", embedding_dimension=WIDTH)
        super().__init__(store, PgvectorEmbeddingRetriever(document_store=store), options)

    def close(self) -> None:
        self.store.close()

    async def aclose(self) -> None:
        await self.store.close_async()
