"""Kill an ingestion half-way, start it again, and pay only for the rest: in LangChain, LlamaIndex and Haystack.

    python examples/resume_ingestion.py

Each framework's application is `ingest` below: what you would write, with one `cache=` more. This script runs it in a
process of its own against the local gateway, kills that process as the system does when memory runs out (-9), runs it
again, and reads from the gateway's books what was paid. No key, no network.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from stdlib_corpus import standard_library

if TYPE_CHECKING:
    from openrouter_embeddings_gateway import LocalGateway

COUNT, BATCH, AT_ONCE = 800, 20, 2
QUESTION = "copy a whole directory"
OPTIONS = {"dimensions": 256, "batch_size": BATCH, "max_concurrency": AT_ONCE, "cache": "embeddings.sqlite"}
MODEL = "qwen/qwen3-embedding-8b"


def with_langchain(texts: list[str]) -> str:
    """Index, save, and search."""
    from langchain_core.vectorstores import InMemoryVectorStore

    from langchain_openrouter_embeddings import OpenRouterEmbeddings

    store = InMemoryVectorStore.from_texts(texts, OpenRouterEmbeddings(MODEL, **OPTIONS))
    store.dump("store.json")
    return store.similarity_search(QUESTION, k=1)[0].page_content


def with_llama_index(texts: list[str]) -> str:
    """Index, save, and search."""
    from llama_index.core import Document, VectorStoreIndex
    from llama_index.core.ingestion import IngestionPipeline

    from llama_index.embeddings.openrouter import OpenRouterEmbedding

    embed_model = OpenRouterEmbedding(MODEL, **OPTIONS)
    nodes = IngestionPipeline(transformations=[embed_model]).run(documents=[Document(text=text) for text in texts])
    index = VectorStoreIndex(nodes, embed_model=embed_model)
    index.storage_context.persist("store")
    return index.as_retriever(similarity_top_k=1).retrieve(QUESTION)[0].get_content()


def with_haystack(texts: list[str]) -> str:
    """Index, save, and search."""
    from haystack import Document, Pipeline
    from haystack.components.writers import DocumentWriter
    from haystack.document_stores.in_memory import InMemoryDocumentStore

    from haystack_integrations.components.embedders.openrouter_embeddings import OpenRouterDocumentEmbedder

    store, embedder = InMemoryDocumentStore(), OpenRouterDocumentEmbedder(model=MODEL, progress_bar=False, **OPTIONS)
    pipeline = Pipeline()
    pipeline.add_component("embedder", embedder)
    pipeline.add_component("writer", DocumentWriter(store))
    pipeline.connect("embedder.documents", "writer.documents")
    pipeline.run({"embedder": {"documents": [Document(content=text) for text in texts]}})
    store.save_to_disk("store.json")
    query = embedder.text_embedder().run(QUESTION)["embedding"]
    return store.embedding_retrieval(query, top_k=1)[0].content or ""


APPLICATIONS = {"LangChain": with_langchain, "LlamaIndex": with_llama_index, "Haystack": with_haystack}


def ingest(framework: str) -> None:
    """Run one application to its end."""
    texts = list(dict.fromkeys(standard_library()))[-2 * COUNT : -COUNT]  # shutil is among them
    print(f"  {QUESTION} -> {APPLICATIONS[framework](texts).partition(':')[0]}")


def interrupted(gateway: LocalGateway, framework: str, folder: str) -> tuple[int, int]:
    """Kill the ingestion half-way and run it again; return what each run paid for."""
    environment = {**os.environ, "OPENROUTER_API_BASE": gateway.base_url, "OPENROUTER_API_KEY": "local"}
    command = [sys.executable, str(Path(__file__).resolve()), framework]
    gateway.reset()
    gateway.configure(latency=0.02)
    with subprocess.Popen(command, cwd=folder, env=environment) as ingestion:
        while gateway.stats()["paid_inputs"] < COUNT // 2:
            if ingestion.poll() is not None:
                sys.exit(f"The {framework} application ended early.")
            time.sleep(0.05)
        ingestion.kill()
    while gateway.stats()["in_flight"]:  # what was on its way is answered, and paid
        time.sleep(0.05)
    first = gateway.stats()["paid_inputs"]
    subprocess.run(command, cwd=folder, env=environment, check=True)
    return first, gateway.stats()["paid_inputs"] - first


def main() -> int:
    """Interrupt each framework; return 0 if none paid twice for more than what was on its way, or not yet written."""
    from openrouter_embeddings_gateway import LocalGateway

    good = True
    with LocalGateway() as gateway:
        print(f"Embedding with {gateway.stats()['model']}.")
        for framework in APPLICATIONS:
            print(f"{framework}: {COUNT} texts", flush=True)
            with tempfile.TemporaryDirectory() as folder:
                first, second = interrupted(gateway, framework, folder)
            twice = first + second - COUNT - 1  # the question is one more
            good &= 0 <= twice <= 2 * AT_ONCE * BATCH
            print(
                f"  killed after {first} were paid; the second run paid for {second}; paid twice: {twice}", flush=True
            )
    return 0 if good else 1


if __name__ == "__main__":
    if len(sys.argv) > 1:
        ingest(sys.argv[1])
        sys.exit(0)
    sys.exit(main())
