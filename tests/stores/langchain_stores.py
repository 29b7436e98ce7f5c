"""LangChain's stores."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import chromadb
import faiss
import lancedb
from langchain_chroma import Chroma
from langchain_community.docstore.in_memory import InMemoryDocstore
from langchain_community.vectorstores import FAISS, LanceDB
from langchain_core.documents import Document
from langchain_postgres import Column, PGEngine, PGVectorStore
from langchain_qdrant import QdrantVectorStore
from qdrant_client import QdrantClient
from qdrant_client.models import Distance, FieldCondition, Filter, MatchValue, VectorParams

from langchain_openrouter_embeddings import OpenRouterEmbeddings

from .corpus import BEST, ENTRIES, WIDTH, Entry
from .postgres import database, has_tables


class _LangChain:
    takes_filters = True
    methods = ("sync", "async")
    by_angle = True
    store: Any

    def index(self, entries: list[Entry]) -> None:
        self.store.add_documents(_documents(entries), ids=[entry.id for entry in entries])

    async def aindex(self, entries: list[Entry]) -> None:
        await self.store.aadd_documents(_documents(entries), ids=[entry.id for entry in entries])

    def update(self, entry: Entry) -> None:
        self.index([entry])  # the same id: the store replaces

    async def aupdate(self, entry: Entry) -> None:
        await self.aindex([entry])

    def ask(self, question: str, module: str | None = None) -> list[str]:
        only = {} if module is None else self.only(module)
        return [hit.metadata["name"] for hit in self.store.similarity_search(question, k=BEST, **only)]

    async def aask(self, question: str, module: str | None = None) -> list[str]:
        only = {} if module is None else self.only(module)
        return [hit.metadata["name"] for hit in await self.store.asimilarity_search(question, k=BEST, **only)]

    def only(self, module: str) -> dict[str, Any]:
        return {"filter": {"module": module}}

    def close(self) -> None: ...

    async def aclose(self) -> None:
        self.close()


class _Deleting(_LangChain):
    """A store that keeps both where an id comes again."""

    def update(self, entry: Entry) -> None:
        self.store.delete([entry.id])
        self.index([entry])

    async def aupdate(self, entry: Entry) -> None:
        await self.store.adelete([entry.id])
        await self.aindex([entry])


def _documents(entries: list[Entry]) -> list[Document]:
    return [
        Document(entry.text, metadata={"name": entry.name, "module": entry.module}, id=entry.id) for entry in entries
    ]


class InChroma(_LangChain):
    by_angle = False

    def __init__(self, folder: Path, **options: Any) -> None:
        client = chromadb.PersistentClient(str(folder))
        self.store = Chroma("entries", embedding_function=OpenRouterEmbeddings(**options), client=client)


class InQdrant(_LangChain):
    def __init__(self, folder: Path, **options: Any) -> None:
        self.client = QdrantClient(path=str(folder))
        if not self.client.collection_exists("entries"):
            self.client.create_collection("entries", VectorParams(size=WIDTH, distance=Distance.COSINE))
        self.store = QdrantVectorStore(self.client, "entries", OpenRouterEmbeddings(**options))

    def only(self, module: str) -> dict[str, Any]:
        return {"filter": Filter(must=[FieldCondition(key="metadata.module", match=MatchValue(value=module))])}

    def close(self) -> None:
        self.client.close()


class InFaiss(_Deleting):
    def __init__(self, folder: Path, **options: Any) -> None:
        self.folder, embeddings = folder, OpenRouterEmbeddings(**options)
        if folder.exists():
            self.store = FAISS.load_local(str(folder), embeddings, allow_dangerous_deserialization=True)
        else:
            self.store = FAISS(embeddings, faiss.IndexFlatIP(WIDTH), InMemoryDocstore(), {})

    def only(self, module: str) -> dict[str, Any]:
        return {"filter": {"module": module}, "fetch_k": len(ENTRIES)}

    def close(self) -> None:
        self.store.save_local(str(self.folder))


class InLanceDB(_Deleting):
    by_angle = False

    def __init__(self, folder: Path, **options: Any) -> None:
        embeddings = OpenRouterEmbeddings(**options)
        self.store = LanceDB(lancedb.connect(folder), embeddings, table_name="entries", mode="append")

    def only(self, module: str) -> dict[str, Any]:
        return {"filter": f"metadata.module = '{module}'", "prefilter": True}


class InPgvector(_LangChain):
    def __init__(self, folder: Path, **options: Any) -> None:
        columns = ["name", "module"]
        self.engine = PGEngine.from_connection_string(database(folder, "+psycopg"))
        if not has_tables(folder):
            self.engine.init_vectorstore_table(
                "entries", WIDTH, metadata_columns=[Column(name, "TEXT") for name in columns]
            )
        embeddings = OpenRouterEmbeddings(**options)
        self.store = PGVectorStore.create_sync(self.engine, embeddings, "entries", metadata_columns=columns)

    def close(self) -> None:
        asyncio.run(self.aclose())

    async def aclose(self) -> None:
        await self.engine.close()
