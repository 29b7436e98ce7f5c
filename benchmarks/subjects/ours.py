"""Ours: the core, and the three adapters, as a user would write them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any

MODEL = "openai/text-embedding-3-small"


class Core:
    """The sync client; arrays unless lists are asked for."""

    def __init__(self, url: str, lists: bool = False, **options: Any) -> None:
        from openrouter_embeddings import Client

        self._client = Client(MODEL, api_key="k", base_url=url, **options)
        self._lists = lists

    def documents(self, texts: Sequence[str]) -> Any:
        """Embed in bulk."""
        result = self._client.embed_documents(texts)
        return result.tolist() if self._lists else result.embeddings

    def query(self, text: str) -> Any:
        """Embed one query."""
        return self._client.embed_query(text).embeddings[0]

    def stream(self, texts: Iterable[str]) -> Any:
        """Yield batches of a stream."""
        return self._client.embed_stream(texts, input_type="document")


class CoreAsync:
    """The async client."""

    def __init__(self, url: str, lists: bool = False, **options: Any) -> None:
        from openrouter_embeddings import AsyncClient

        self._client = AsyncClient(MODEL, api_key="k", base_url=url, **options)
        self._lists = lists

    async def adocuments(self, texts: Sequence[str]) -> Any:
        """Embed in bulk."""
        result = await self._client.embed_documents(texts)
        return result.tolist() if self._lists else result.embeddings

    async def aquery(self, text: str) -> Any:
        """Embed one query."""
        return (await self._client.embed_query(text)).embeddings[0]

    def astream(self, texts: Iterable[str]) -> AsyncIterator[Any]:
        """Yield batches of a stream."""
        return self._client.embed_stream(texts, input_type="document")


class LangChain:
    """`OpenRouterEmbeddings`."""

    def __init__(self, url: str, **options: Any) -> None:
        from langchain_openrouter_embeddings import OpenRouterEmbeddings

        self._embeddings = OpenRouterEmbeddings(model=MODEL, api_key="k", base_url=url, **options)
        self.documents, self.query = self._embeddings.embed_documents, self._embeddings.embed_query


class LlamaIndex:
    """`OpenRouterEmbedding`."""

    def __init__(self, url: str, **options: Any) -> None:
        from llama_index.embeddings.openrouter import OpenRouterEmbedding

        self._embedding = OpenRouterEmbedding(model_name=MODEL, api_key="k", base_url=url, **options)
        self.documents = self._embedding.get_text_embedding_batch
        self.query = self._embedding.get_query_embedding


class Haystack:
    """`OpenRouterDocumentEmbedder` and `OpenRouterTextEmbedder`."""

    def __init__(self, url: str, **options: Any) -> None:
        from haystack import Document
        from haystack.utils import Secret

        from haystack_integrations.components.embedders.openrouter_embeddings import (
            OpenRouterDocumentEmbedder,
            OpenRouterTextEmbedder,
        )

        key = Secret.from_token("k")
        self._documents = OpenRouterDocumentEmbedder(
            model=MODEL, api_key=key, api_base_url=url, progress_bar=False, **options
        )
        self._text = OpenRouterTextEmbedder(model=MODEL, api_key=key, api_base_url=url, **options)
        self._document = Document

    def prepare(self, texts: Sequence[str]) -> Any:
        """Make the framework's documents: the user has them already."""
        return [self._document(content=text) for text in texts]

    def documents(self, documents: Any) -> Any:
        """Embed documents."""
        return self._documents.run(documents)["documents"]

    def vectors(self, documents: Any) -> Any:
        """Return the vectors, for the check."""
        return [one.embedding for one in documents]

    def query(self, text: str) -> Any:
        """Embed one query."""
        return self._text.run(text)["embedding"]
