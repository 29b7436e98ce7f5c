"""Search the pages in docs/ with Haystack, over Qdrant in a folder.

    python examples/haystack_qdrant.py "How long does it wait when a provider is busy?"

Needs `pip install qdrant-haystack`. The index stays in ./pages.qdrant and the embeddings in ./embeddings.sqlite: another run
pays only for paragraphs that have changed, and takes out what the pages no longer say. With OPENROUTER_API_KEY set it embeds
through OpenRouter; without, through the local gateway.
"""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from pathlib import Path

from haystack import Document, Pipeline
from haystack.components.writers import DocumentWriter
from haystack.document_stores.types import DuplicatePolicy
from haystack_integrations.components.retrievers.qdrant import QdrantEmbeddingRetriever
from haystack_integrations.document_stores.qdrant import QdrantDocumentStore
from stdlib_corpus import folder

from haystack_integrations.components.embedders.openrouter_embeddings import OpenRouterDocumentEmbedder

PAGES = Path(__file__).parents[1] / "docs"
WIDTH = 256


def main(question: str) -> None:
    store = QdrantDocumentStore(path="pages.qdrant", index="pages", embedding_dim=WIDTH)
    embedder = OpenRouterDocumentEmbedder(
        model="qwen/qwen3-embedding-8b", dimensions=WIDTH, cache="embeddings.sqlite", progress_bar=False
    )

    indexing = Pipeline()
    indexing.add_component("embedder", embedder)
    # A document's id is made of what it says, so an unchanged paragraph is written over itself.
    indexing.add_component("writer", DocumentWriter(store, policy=DuplicatePolicy.OVERWRITE))
    indexing.connect("embedder.documents", "writer.documents")
    paragraphs = [Document(content=text) for text in folder(PAGES, ".md")]
    indexing.run({"embedder": {"documents": paragraphs}})
    # A paragraph that has changed is a new document; the old one stays until it is deleted.
    gone = {document.id for document in store.filter_documents()} - {document.id for document in paragraphs}
    if gone:
        store.delete_documents(list(gone))

    search = Pipeline()
    search.add_component("embedder", embedder.text_embedder())
    search.add_component("retriever", QdrantEmbeddingRetriever(store, top_k=3))
    search.connect("embedder.embedding", "retriever.query_embedding")
    for hit in search.run({"embedder": {"text": question}})["retriever"]["documents"]:
        print(f"  {hit.score:.3f}  {hit.content}")

    usage = embedder.usage
    print(f"{usage.total_tokens} tokens, {usage.cached} from the cache, {usage.cost:.8f} USD")
    store.close()


if __name__ == "__main__":
    with ExitStack() as stack:
        if not os.environ.get("OPENROUTER_API_KEY"):
            from openrouter_embeddings_gateway import LocalGateway

            os.environ["OPENROUTER_API_BASE"] = stack.enter_context(LocalGateway()).base_url
            os.environ["OPENROUTER_API_KEY"] = "any key will do"
        main(" ".join(sys.argv[1:]) or "How long does it wait when a provider is busy?")
