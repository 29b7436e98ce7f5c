"""Search the pages in docs/ with LlamaIndex, over FAISS in a file.

    python examples/llama_index_faiss.py "How long does it wait when a provider is busy?"

Needs `pip install llama-index-vector-stores-faiss faiss-cpu`. FAISS keeps numbers alone, so LlamaIndex keeps the texts beside
them, all in ./pages.faiss: another run opens it and embeds only the question. Delete the folder when the pages have changed;
llama_index_chroma.py keeps up with them. With OPENROUTER_API_KEY set it embeds through OpenRouter; without, through the local
gateway.
"""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from pathlib import Path

import faiss
from llama_index.core import StorageContext, VectorStoreIndex, load_index_from_storage
from llama_index.core.schema import TextNode
from llama_index.vector_stores.faiss import FaissVectorStore
from stdlib_corpus import folder

from llama_index.embeddings.openrouter import OpenRouterEmbedding

PAGES = Path(__file__).parents[1] / "docs"
INDEX = "pages.faiss"
WIDTH = 1024


def main(question: str) -> None:
    embed_model = OpenRouterEmbedding("qwen/qwen3-embedding-8b", dimensions=WIDTH)
    if Path(INDEX).exists():
        store = FaissVectorStore.from_persist_dir(INDEX)
        context = StorageContext.from_defaults(vector_store=store, persist_dir=INDEX)
        index = load_index_from_storage(context, embed_model=embed_model)
    else:
        store = FaissVectorStore(faiss.IndexFlatIP(WIDTH))  # embeddings have length 1: the inner product is the cosine
        context = StorageContext.from_defaults(vector_store=store)
        nodes = [TextNode(text=text) for text in folder(PAGES, ".md")]
        index = VectorStoreIndex(nodes, storage_context=context, embed_model=embed_model)
        context.persist(INDEX)

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
