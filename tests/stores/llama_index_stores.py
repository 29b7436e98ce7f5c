"""LlamaIndex's stores."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import chromadb
import faiss
from llama_index.core import StorageContext, VectorStoreIndex, load_index_from_storage
from llama_index.core.schema import TextNode
from llama_index.core.vector_stores import MetadataFilter, MetadataFilters
from llama_index.vector_stores.chroma import ChromaVectorStore
from llama_index.vector_stores.faiss import FaissMapVectorStore
from llama_index.vector_stores.lancedb import LanceDBVectorStore
from llama_index.vector_stores.postgres import PGVectorStore
from llama_index.vector_stores.qdrant import QdrantVectorStore
from qdrant_client import AsyncQdrantClient, QdrantClient

from llama_index.embeddings.openrouter import OpenRouterEmbedding

from .corpus import BEST, WIDTH, Entry
from .postgres import database


class _LlamaIndex:
    takes_filters = True
    methods = ("sync", "async")
    by_angle = True

    def __init__(self, store: Any, options: dict[str, Any]) -> None:
        self.index_of_nodes = VectorStoreIndex.from_vector_store(store, embed_model=OpenRouterEmbedding(**options))

    def index(self, entries: list[Entry]) -> None:
        self.index_of_nodes.insert_nodes([_node(entry) for entry in entries])

    def update(self, entry: Entry) -> None:
        self.index_of_nodes.delete_nodes([entry.id])
        self.index([entry])

    async def aupdate(self, entry: Entry) -> None:
        await self.index_of_nodes.adelete_nodes([entry.id])
        await self.aindex([entry])

    async def aindex(self, entries: list[Entry]) -> None:
        await self.index_of_nodes.ainsert_nodes([_node(entry) for entry in entries])

    def ask(self, question: str, module: str | None = None) -> list[str]:
        return [hit.node.metadata["name"] for hit in self._retriever(module).retrieve(question)]

    async def aask(self, question: str, module: str | None = None) -> list[str]:
        return [hit.node.metadata["name"] for hit in await self._retriever(module).aretrieve(question)]

    def _retriever(self, module: str | None) -> Any:
        only = MetadataFilters(filters=[MetadataFilter(key="module", value=module)]) if module else None
        return self.index_of_nodes.as_retriever(similarity_top_k=BEST, filters=only)

    def close(self) -> None: ...

    async def aclose(self) -> None:
        self.close()


def _node(entry: Entry) -> TextNode:
    """Only the text is embedded, as in the other frameworks."""
    metadata = {"name": entry.name, "module": entry.module}
    return TextNode(id_=entry.id, text=entry.text, metadata=metadata, excluded_embed_metadata_keys=[*metadata])


class InChroma(_LlamaIndex):
    by_angle = False

    def __init__(self, folder: Path, **options: Any) -> None:
        collection = chromadb.PersistentClient(str(folder)).get_or_create_collection("entries")
        super().__init__(ChromaVectorStore(chroma_collection=collection), options)


class InQdrant(_LlamaIndex):
    methods = ("sync",)

    def __init__(self, folder: Path, **options: Any) -> None:
        self.client = QdrantClient(path=str(folder))
        super().__init__(QdrantVectorStore("entries", client=self.client), options)

    def close(self) -> None:
        self.client.close()


class InQdrantAsync(_LlamaIndex):
    """Only one client can open a folder."""

    methods = ("async",)

    def __init__(self, folder: Path, **options: Any) -> None:
        self.client = AsyncQdrantClient(path=str(folder))
        super().__init__(QdrantVectorStore("entries", aclient=self.client), options)

    async def aclose(self) -> None:
        await self.client.close()


class InFaiss(_LlamaIndex):
    takes_filters = False
    by_angle = False

    def __init__(self, folder: Path, **options: Any) -> None:
        self.folder, embed_model = folder, OpenRouterEmbedding(**options)
        if folder.exists():
            store = FaissMapVectorStore.from_persist_dir(str(folder))
            context = StorageContext.from_defaults(vector_store=store, persist_dir=str(folder))
            self.index_of_nodes = load_index_from_storage(context, embed_model=embed_model)
        else:
            store = FaissMapVectorStore(faiss.IndexIDMap2(faiss.IndexFlatL2(WIDTH)))
            context = StorageContext.from_defaults(vector_store=store)
            self.index_of_nodes = VectorStoreIndex([], storage_context=context, embed_model=embed_model)

    def close(self) -> None:
        self.index_of_nodes.storage_context.persist(str(self.folder))


class InLanceDB(_LlamaIndex):
    by_angle = False

    def __init__(self, folder: Path, **options: Any) -> None:
        mode = "append" if folder.exists() else "create"
        self.store = LanceDBVectorStore(uri=str(folder), table_name="entries", mode=mode)
        super().__init__(self.store, options)

    def update(self, entry: Entry) -> None:
        self.store.table.delete(f"id = '{entry.id}'")  # its delete_nodes quotes ids as LanceDB quotes columns
        self.index([entry])

    async def aupdate(self, entry: Entry) -> None:
        self.store.table.delete(f"id = '{entry.id}'")
        await self.aindex([entry])


class InPgvector(_LlamaIndex):
    def __init__(self, folder: Path, **options: Any) -> None:
        both = database(folder, "+psycopg2"), database(folder, "+asyncpg")
        self.store = PGVectorStore(*both, "entries", embed_dim=WIDTH, use_jsonb=True)
        super().__init__(self.store, options)

    def close(self) -> None:
        asyncio.run(self.aclose())

    async def aclose(self) -> None:
        await self.store.close()
