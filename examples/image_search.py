"""Find the red picture by words, and the pictures like one at hand: with LlamaIndex, then with Haystack.

Run `python examples/image_search.py`. With OPENROUTER_API_KEY set it embeds through OpenRouter; without, through the
local gateway, which it starts by itself, and which knows pictures by their colours and where these are.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from haystack import Document
from haystack.components.retrievers.in_memory import InMemoryEmbeddingRetriever
from haystack.document_stores.in_memory import InMemoryDocumentStore
from llama_index.core.indices import MultiModalVectorStoreIndex
from llama_index.core.schema import ImageNode
from PIL import Image, ImageDraw

from haystack_integrations.components.embedders.openrouter_embeddings import OpenRouterDocumentImageEmbedder
from llama_index.embeddings.openrouter import OpenRouterMultiModalEmbedding

MODEL = "google/gemini-embedding-2"
COLOURS = {"apple": (200, 30, 30), "leaf": (40, 150, 60), "sea": (30, 60, 180), "sky": (120, 180, 235)}
QUESTION = "something red"


def draw(folder: Path) -> list[Path]:
    """Draw a disc of each colour, on white."""
    for name, colour in COLOURS.items():
        picture = Image.new("RGB", (128, 128), "white")
        ImageDraw.Draw(picture).ellipse((4, 4, 124, 124), fill=colour)
        picture.save(folder / f"{name}.png")
    return sorted(folder.iterdir())


def with_llama_index(files: list[Path]) -> str:
    """Index the files, ask by words and by a picture, and return the name of the best for the words."""
    model = OpenRouterMultiModalEmbedding(model_name=MODEL)
    # An index leaves out what has neither text nor metadata.
    nodes = [ImageNode(image_path=str(file), metadata={"file": file.name}) for file in files]
    index = MultiModalVectorStoreIndex(nodes, embed_model=model, image_embed_model=model)
    retriever = index.as_retriever(image_similarity_top_k=2)
    found = retriever.text_to_image_retrieve(QUESTION)
    for hit in found:
        print(f"  {hit.score:.3f}  {hit.node.metadata['file']}")
    alike = retriever.image_to_image_retrieve(str(files[2]))
    print(f"  like {files[2].name}: {', '.join(hit.node.metadata['file'] for hit in alike)}")
    print(f"  {model.usage.total_tokens} tokens, {model.usage.cost:.8f} USD")
    return str(found[0].node.metadata["file"])


def with_haystack(files: list[Path]) -> str:
    """Do the same in Haystack, where a folder keeps documents from naming files outside of it."""
    embedder = OpenRouterDocumentImageEmbedder(model=MODEL, root_path=files[0].parent)
    store = InMemoryDocumentStore(embedding_similarity_function="cosine")
    store.write_documents(embedder.run([Document(meta={"file_path": file.name}) for file in files])["documents"])
    asked = embedder.text_embedder().run(QUESTION)["embedding"]
    found = InMemoryEmbeddingRetriever(store, top_k=2).run(asked)["documents"]
    for hit in found:
        print(f"  {hit.score:.3f}  {hit.meta['file_path']}")
    print(f"  {embedder.usage.total_tokens} tokens, {embedder.usage.cost:.8f} USD")
    return str(found[0].meta["file_path"])


def main() -> None:
    with TemporaryDirectory() as folder:
        files = draw(Path(folder))
        for framework, search in (("LlamaIndex", with_llama_index), ("Haystack", with_haystack)):
            print(f"{framework}: {QUESTION}")
            print(f"  the best is {search(files)}")


if __name__ == "__main__":
    with ExitStack() as stack:
        if not os.environ.get("OPENROUTER_API_KEY"):
            from openrouter_embeddings_gateway import LocalGateway

            os.environ["OPENROUTER_API_BASE"] = stack.enter_context(LocalGateway()).base_url
            os.environ["OPENROUTER_API_KEY"] = "any key will do"
        main()
