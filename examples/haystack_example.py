"""Index and search a few texts with Haystack.

With OPENROUTER_API_KEY set this uses OpenRouter; without, it starts the local gateway, which needs no key and no network.
"""

from __future__ import annotations

import os
from contextlib import ExitStack

from haystack import Document, Pipeline
from haystack.components.retrievers.in_memory import InMemoryEmbeddingRetriever
from haystack.components.writers import DocumentWriter
from haystack.document_stores.in_memory import InMemoryDocumentStore

from haystack_integrations.components.embedders.openrouter_embeddings import (
    OpenRouterDocumentEmbedder,
    OpenRouterTextEmbedder,
)

MODEL = "qwen/qwen3-embedding-8b"
TEXTS = [
    "shutil.copytree: Recursively copy a directory tree and return the destination directory.",
    "tempfile.TemporaryFile: Create and return a temporary file.",
    "random.choice: Choose a random element from a non-empty sequence.",
    "json.loads: Deserialize a JSON document to a Python object.",
]


def main() -> None:
    store = InMemoryDocumentStore(embedding_similarity_function="cosine")

    index = Pipeline()
    index.add_component("embedder", OpenRouterDocumentEmbedder(model=MODEL))
    index.add_component("writer", DocumentWriter(store))
    index.connect("embedder.documents", "writer.documents")
    meta = index.run({"embedder": {"documents": [Document(content=text) for text in TEXTS]}})["embedder"]["meta"]
    print(f"{meta['model']}: {meta['usage']['total_tokens']} tokens, {meta['usage']['cost']:.8f} USD")

    search = Pipeline()
    search.add_component("embedder", OpenRouterTextEmbedder(model=MODEL))
    search.add_component("retriever", InMemoryEmbeddingRetriever(store, top_k=2))
    search.connect("embedder.embedding", "retriever.query_embedding")
    for question in ("copy a whole directory", "pick a random element from a list"):
        print(f"\n{question}")
        for found in search.run({"embedder": {"text": question}})["retriever"]["documents"]:
            print(f"  {found.score:.3f}  {found.content}")


if __name__ == "__main__":
    with ExitStack() as stack:
        if not os.environ.get("OPENROUTER_API_KEY"):
            from openrouter_embeddings_gateway import LocalGateway

            os.environ["OPENROUTER_API_BASE"] = stack.enter_context(LocalGateway()).base_url
            os.environ["OPENROUTER_API_KEY"] = "any key will do"
        main()
