"""LangGraph's stores for long-term memory, as its pages open them: a folder stands for a store."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from aiosqlite.core import Connection
from langgraph.store.base import BaseStore
from langgraph.store.postgres import AsyncPostgresStore, PostgresStore
from langgraph.store.sqlite import SqliteStore
from langgraph.store.sqlite.aio import AsyncSqliteStore

from langchain_openrouter_embeddings import OpenRouterEmbeddings

from .corpus import WIDTH
from .postgres import database

try:
    import pysqlite3 as sqlite3  # takes extensions, which Python's own may not, and sqlite-vec is one
except ImportError:
    import sqlite3


@contextmanager
def in_postgres(folder: Path, embeddings: OpenRouterEmbeddings, **index: Any) -> Iterator[BaseStore]:
    """Open a `PostgresStore` over a pool of connections, as an application with many threads does."""
    pool = {"min_size": 1, "max_size": 4}
    with PostgresStore.from_conn_string(database(folder), pool_config=pool, index=_index(embeddings, index)) as store:
        store.setup()
        yield store


@asynccontextmanager
async def in_postgres_async(folder: Path, embeddings: OpenRouterEmbeddings, **index: Any) -> AsyncIterator[BaseStore]:
    """Open an `AsyncPostgresStore`."""
    async with AsyncPostgresStore.from_conn_string(database(folder), index=_index(embeddings, index)) as store:
        await store.setup()
        yield store


@contextmanager
def in_sqlite(folder: Path, embeddings: OpenRouterEmbeddings, **index: Any) -> Iterator[BaseStore]:
    """Open a `SqliteStore`."""
    store = SqliteStore(_connection(folder), index=_index(embeddings, index))
    store.setup()
    yield store
    store.conn.close()


@asynccontextmanager
async def in_sqlite_async(folder: Path, embeddings: OpenRouterEmbeddings, **index: Any) -> AsyncIterator[BaseStore]:
    """Open an `AsyncSqliteStore`."""
    async with Connection(lambda: _connection(folder), iter_chunk_size=64) as connection:
        store = AsyncSqliteStore(connection, index=_index(embeddings, index))
        await store.setup()
        yield store


SYNC = {"postgres": in_postgres, "sqlite": in_sqlite}
ASYNC = {"postgres": in_postgres_async, "sqlite": in_sqlite_async}


def _index(embeddings: OpenRouterEmbeddings, more: dict[str, Any]) -> dict[str, Any]:
    # SqliteStore knows `fields` by an older name, and embeds all of a memory without it: langchain-ai/langgraph#8808.
    return {"embed": embeddings, "dims": WIDTH, "fields": ["text"], "text_fields": ["text"], **more}


def _connection(folder: Path) -> Any:
    if not hasattr(sqlite3.Connection, "enable_load_extension"):
        pytest.skip("Python's SQLite takes no extensions here, and pysqlite3 has no wheel: SqliteStore is not tested")
    return sqlite3.connect(f"{folder}.sqlite", check_same_thread=False, isolation_level=None)
