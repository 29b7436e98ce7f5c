"""The core client alone: documents and a query, provider preferences, what it cost, and what an error says.

Run `python examples/core_example.py`. With OPENROUTER_API_KEY set it embeds through OpenRouter; without, through the
local gateway, which it starts by itself.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import Any

from openrouter_embeddings import Client, InputError

TEXTS = [
    "shutil.copytree: Recursively copy a directory tree and return the destination directory.",
    "tempfile.TemporaryFile: Create and return a temporary file.",
    "random.choice: Choose a random element from a non-empty sequence.",
    "json.loads: Deserialize a JSON document to a Python object.",
]


def main() -> None:
    """Embed, compare, and say what it cost."""
    with ExitStack() as stack:
        where: dict[str, Any] = {}
        if not os.environ.get("OPENROUTER_API_KEY"):
            from openrouter_embeddings_gateway import LocalGateway

            where = {"base_url": stack.enter_context(LocalGateway()).base_url, "api_key": "local"}

        client = stack.enter_context(
            Client(
                "qwen/qwen3-embedding-8b",
                dimensions=1024,
                # Sent as they stand: a preference that is misspelt is an error, never dropped.
                provider={"data_collection": "deny", "sort": "price"},
                **where,
            )
        )

        # The two sides differ: this model wants an instruction before a query and nothing before a document.
        documents = client.embed_documents(TEXTS)
        query = client.embed_query("copy a whole directory")
        print(f"{documents.embeddings.shape} {documents.embeddings.dtype} from {documents.model}")
        for score, text in sorted(zip(documents.embeddings @ query.embeddings[0], TEXTS, strict=True), reverse=True):
            print(f"  {score:.3f}  {text}")

        print(f"this call: {query.usage.total_tokens} tokens; this client: {client.usage}")

        try:
            client.embed_documents(["a text", ""])
        except InputError as error:
            print(f"before any request: {error} (positions {error.positions})")


if __name__ == "__main__":
    main()
