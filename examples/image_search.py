"""Find the red picture by words, and the pictures like one at hand: with LangChain, with LlamaIndex, and with Haystack.

Run `python examples/image_search.py`. With OPENROUTER_API_KEY set it embeds through OpenRouter; without, through the
local gateway, which it starts by itself, and which knows pictures by their colours and where these are.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from haystack import Document
from haystack.components.retrievers.in_memory import InMemoryEmbeddingRetriever
from haystack.document_stores.in_memory import InMemoryDocumentStore
from langchain_core.vectorstores import InMemoryVectorStore
from llama_index.core.indices import MultiModalVectorStoreIndex
from llama_index.core.schema import ImageNode
from PIL import Image, ImageDraw

from haystack_integrations.components.embedders.openrouter_embeddings import OpenRouterDocumentImageEmbedder
from langchain_openrouter_embeddings import OpenRouterEmbeddings
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


class PictureEmbeddings(OpenRouterEmbeddings):
    """For a store of pictures. LangChain's stores hold texts: here each is the path of a picture."""

    def embed_documents(self, texts: list[str], **_: Any) -> list[list[float]]:
        """Embed what is found at these paths."""
        return self.embed_images(texts)

    async def aembed_documents(self, texts: list[str], **_: Any) -> list[list[float]]:
        """Do the same on the running event loop."""
        return await self.aembed_images(texts)


def with_langchain(files: list[Path]) -> str:
    """Index the files, ask by words and by a picture, and return the name of the best for the words."""
    embeddings = PictureEmbeddings(MODEL)
    store = InMemoryVectorStore.from_texts([str(file) for file in files], embeddings)
    found = store.similarity_search_with_score(QUESTION, k=2)
    for document, score in found:
        print(f"  {score:.3f}  {Path(document.page_content).name}")
    [asked] = embeddings.embed_images([files[2]])
    alike = store.similarity_search_by_vector(asked, k=2)
    print(f"  like {files[2].name}: {', '.join(Path(document.page_content).name for document in alike)}")
    print(f"  {embeddings.usage.total_tokens} tokens, {embeddings.usage.cost:.8f} USD")
    return Path(found[0][0].page_content).name


def with_llama_index(files: list[Path]) -> str:
    """Do the same in LlamaIndex, which has an index for pictures."""
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
    pictures = embedder.run([Document(meta={"file_path": file.name}) for file in files])["documents"]
    store.write_documents(pictures)
    retriever = InMemoryEmbeddingRetriever(store, top_k=2)
    found = retriever.run(embedder.text_embedder().run(QUESTION)["embedding"])["documents"]
    for hit in found:
        print(f"  {hit.score:.3f}  {hit.meta['file_path']}")
    alike = retriever.run(pictures[2].embedding)["documents"]
    print(f"  like {files[2].name}: {', '.join(hit.meta['file_path'] for hit in alike)}")
    print(f"  {embedder.usage.total_tokens} tokens, {embedder.usage.cost:.8f} USD")
    return str(found[0].meta["file_path"])


FRAMEWORKS = {"LangChain": with_langchain, "LlamaIndex": with_llama_index, "Haystack": with_haystack}


def main() -> None:
    with TemporaryDirectory() as folder:
        files = draw(Path(folder))
        for framework, search in FRAMEWORKS.items():
            print(f"{framework}: {QUESTION}")
            print(f"  the best is {search(files)}")


if __name__ == "__main__":
    with ExitStack() as stack:
        if not os.environ.get("OPENROUTER_API_KEY"):
            from openrouter_embeddings_gateway import LocalGateway

            os.environ["OPENROUTER_API_BASE"] = stack.enter_context(LocalGateway()).base_url
            os.environ["OPENROUTER_API_KEY"] = "any key will do"
        main()
