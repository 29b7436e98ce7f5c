"""The others, as their own documentation writes them, at their defaults except where an option says otherwise.

Two settings are a favour to peers: LangChain's token check is off, as users of other gateways are told to set it (on, it
costs more and wants a vocabulary from the network), and litellm takes its `openrouter/` path, ten times cheaper than
its `openai/` one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

MODEL = "openai/text-embedding-3-small"


def _slices(texts: Sequence[str], size: int) -> list[Sequence[str]]:
    return [texts[at : at + size] for at in range(0, len(texts), size)]


class OpenAI:
    """The openai SDK: requests of 2048 inputs, its most, one by one."""

    def __init__(self, url: str, batch: int = 2048) -> None:
        import openai

        self._client = openai.OpenAI(api_key="k", base_url=url)
        self._batch = batch

    def documents(self, texts: Sequence[str]) -> Any:
        """Loop over requests."""
        out: list[Any] = []
        for part in _slices(texts, self._batch):
            out += [row.embedding for row in self._client.embeddings.create(model=MODEL, input=list(part)).data]
        return out

    def query(self, text: str) -> Any:
        """Embed one text."""
        return self._client.embeddings.create(model=MODEL, input=text).data[0].embedding


class OpenAIAsync:
    """The same, every request at once."""

    def __init__(self, url: str, batch: int = 2048) -> None:
        import openai

        self._client = openai.AsyncOpenAI(api_key="k", base_url=url)
        self._batch = batch

    async def adocuments(self, texts: Sequence[str]) -> Any:
        """Gather over requests."""
        calls = [self._client.embeddings.create(model=MODEL, input=list(one)) for one in _slices(texts, self._batch)]
        return [row.embedding for answer in await asyncio.gather(*calls) for row in answer.data]

    async def aquery(self, text: str) -> Any:
        """Embed one text."""
        return (await self._client.embeddings.create(model=MODEL, input=text)).data[0].embedding


class OpenRouter:
    """The openrouter SDK, one request after another."""

    def __init__(self, url: str, batch: int = 2048) -> None:
        from openrouter import OpenRouter as Sdk

        self._client = Sdk(api_key="k", server_url=url)
        self._batch = batch

    def documents(self, texts: Sequence[str]) -> Any:
        """Loop over requests."""
        out: list[Any] = []
        for part in _slices(texts, self._batch):
            out += [row.embedding for row in self._client.embeddings.generate(model=MODEL, input=list(part)).data]
        return out

    def query(self, text: str) -> Any:
        """Embed one text."""
        return self._client.embeddings.generate(model=MODEL, input=text).data[0].embedding


class LangChain:
    """`OpenAIEmbeddings`."""

    def __init__(self, url: str) -> None:
        from langchain_openai import OpenAIEmbeddings

        self._embeddings = OpenAIEmbeddings(model=MODEL, api_key="k", base_url=url, check_embedding_ctx_length=False)  # type: ignore[arg-type]
        self.documents, self.query = self._embeddings.embed_documents, self._embeddings.embed_query


class LlamaIndex:
    """`OpenAILikeEmbedding`."""

    def __init__(self, url: str, **options: Any) -> None:
        from llama_index.embeddings.openai_like import OpenAILikeEmbedding

        self._embedding = OpenAILikeEmbedding(model_name=MODEL, api_base=url, api_key="k", **options)
        self.documents = self._embedding.get_text_embedding_batch
        self.query = self._embedding.get_query_embedding


class LlamaIndexAsync:
    """`OpenAILikeEmbedding`, async: every batch at once by default."""

    def __init__(self, url: str, **options: Any) -> None:
        from llama_index.embeddings.openai_like import OpenAILikeEmbedding

        self._embedding = OpenAILikeEmbedding(model_name=MODEL, api_base=url, api_key="k", **options)
        self.adocuments = self._embedding.aget_text_embedding_batch
        self.aquery = self._embedding.aget_query_embedding


class Haystack:
    """`OpenAIDocumentEmbedder` and `OpenAITextEmbedder`."""

    def __init__(self, url: str, **options: Any) -> None:
        from haystack import Document
        from haystack.components.embedders import OpenAIDocumentEmbedder, OpenAITextEmbedder
        from haystack.utils import Secret

        key = Secret.from_token("k")
        self._documents = OpenAIDocumentEmbedder(key, MODEL, api_base_url=url, progress_bar=False, **options)
        self._text = OpenAITextEmbedder(key, MODEL, api_base_url=url)
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


class Litellm:
    """`litellm.embedding`."""

    def __init__(self, url: str, batch: int = 2048) -> None:
        import litellm

        self._embedding = litellm.embedding
        self._given = {"model": f"openrouter/{MODEL}", "api_base": url, "api_key": "k"}
        self._batch = batch

    def documents(self, texts: Sequence[str]) -> Any:
        """Loop over requests."""
        out: list[Any] = []
        for part in _slices(texts, self._batch):
            out += [row["embedding"] for row in self._embedding(input=list(part), **self._given).data]
        return out

    def query(self, text: str) -> Any:
        """Embed one text."""
        return self._embedding(input=[text], **self._given).data[0]["embedding"]


class PydanticAI:
    """pydantic-ai's `Embedder`, which makes one request of each call."""

    def __init__(self, url: str) -> None:
        from pydantic_ai import Embedder
        from pydantic_ai.embeddings.openai import OpenAIEmbeddingModel
        from pydantic_ai.providers.openai import OpenAIProvider

        provider = OpenAIProvider(base_url=url, api_key="k")
        self._embedder = Embedder(OpenAIEmbeddingModel(MODEL, provider=provider))

    async def adocuments(self, texts: Sequence[str]) -> Any:
        """Embed in one request."""
        return (await self._embedder.embed_documents(texts)).embeddings

    async def aquery(self, text: str) -> Any:
        """Embed one query."""
        return (await self._embedder.embed_query(text)).embeddings[0]
