"""Search the pages in docs/ with LlamaIndex, over Chroma in a folder.

    python examples/llama_index_chroma.py "How long does it wait when a provider is busy?"

Needs `pip install llama-index-vector-stores-chroma`. The index stays in ./pages.chroma, and ./pages.docstore knows what is in
it: another run embeds only paragraphs that have changed. With OPENROUTER_API_KEY set it embeds through OpenRouter; without,
through the local gateway.
"""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from hashlib import sha256
from pathlib import Path

import chromadb
from llama_index.core import Document, VectorStoreIndex
from llama_index.core.ingestion import DocstoreStrategy, IngestionPipeline
from llama_index.core.node_parser import TokenTextSplitter
from llama_index.core.storage.docstore import SimpleDocumentStore
from llama_index.vector_stores.chroma import ChromaVectorStore
from stdlib_corpus import folder

from llama_index.embeddings.openrouter import OpenRouterEmbedding

PAGES = Path(__file__).parents[1] / "docs"
KNOWN = Path("pages.docstore")


def main(question: str) -> None:
    collection = chromadb.PersistentClient("pages.chroma").get_or_create_collection("pages")
    store = ChromaVectorStore(chroma_collection=collection)
    embed_model = OpenRouterEmbedding("qwen/qwen3-embedding-8b", dimensions=1024)

    known = SimpleDocumentStore.from_persist_path(str(KNOWN)) if KNOWN.exists() else SimpleDocumentStore()
    pipeline = IngestionPipeline(
        # Without a splitter a node does not say which document it is from, and could not be taken out of the index.
        transformations=[TokenTextSplitter(), embed_model],
        vector_store=store,
        docstore=known,
        docstore_strategy=DocstoreStrategy.UPSERTS_AND_DELETE,  # what is gone from the pages goes from the index
        disable_cache=True,
    )
    # An id made of what a paragraph says: the docstore leaves out what it knows.
    pipeline.run(
        documents=[Document(text=text, id_=sha256(text.encode()).hexdigest()) for text in folder(PAGES, ".md")]
    )
    known.persist(str(KNOWN))

    index = VectorStoreIndex.from_vector_store(store, embed_model=embed_model)
    for hit in index.as_retriever(similarity_top_k=3).retrieve(question):
        print(f"  {hit.score:.3f}  {hit.text}")

    usage = embed_model.usage
    print(f"{usage.total_tokens} tokens, {usage.cost:.8f} USD")


if __name__ == "__main__":
    with ExitStack() as stack:
        if not os.environ.get("OPENROUTER_API_KEY"):
            from openrouter_embeddings_gateway import LocalGateway

            os.environ["OPENROUTER_API_BASE"] = stack.enter_context(LocalGateway()).base_url
            os.environ["OPENROUTER_API_KEY"] = "any key will do"
        main(" ".join(sys.argv[1:]) or "How long does it wait when a provider is busy?")
