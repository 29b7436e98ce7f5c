"""Index a few sentences with LangChain and ask for one of them.

Run `python examples/langchain_example.py`. With OPENROUTER_API_KEY set it embeds through OpenRouter; without, through
the local gateway, which it starts by itself.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import Any

from langchain_core.vectorstores import InMemoryVectorStore

from langchain_openrouter_embeddings import OpenRouterEmbeddings

TEXTS = [
    "shutil.copytree: Recursively copy a directory tree and return the destination directory.",
    "tempfile.TemporaryFile: Create and return a temporary file.",
    "random.choice: Choose a random element from a non-empty sequence.",
    "json.loads: Deserialize a JSON document to a Python object.",
]


def main() -> None:
    """Fill a store in memory, search it, and say what it cost."""
    with ExitStack() as stack:
        where: dict[str, Any] = {}
        if not os.environ.get("OPENROUTER_API_KEY"):
            from openrouter_embeddings_gateway import LocalGateway

            where = {"base_url": stack.enter_context(LocalGateway()).base_url, "api_key": "local"}

        embeddings = OpenRouterEmbeddings(model="qwen/qwen3-embedding-8b", dimensions=1024, **where)
        store = InMemoryVectorStore.from_texts(TEXTS, embeddings)
        for question in ("copy a whole directory", "pick a random element from a list"):
            print(question)
            for document, score in store.similarity_search_with_score(question, k=2):
                print(f"  {score:.3f}  {document.page_content}")

        usage = embeddings.usage
        print(f"{usage.requests} requests, {usage.total_tokens} tokens, {usage.cost:.8f} USD")


if __name__ == "__main__":
    main()
