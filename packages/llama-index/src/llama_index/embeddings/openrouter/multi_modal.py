"""`OpenRouterMultiModalEmbedding`: pictures and texts in one space."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from types import ModuleType
from typing import Any, Unpack

from llama_index.core.base.embeddings.base import Embedding
from llama_index.core.embeddings import MultiModalEmbedding
from wrapt import when_imported

from openrouter_embeddings import Input, Partial
from openrouter_embeddings.inputs import Image, contents_of

from ._observed import observed
from ._options import WORDS, EmbeddingOptions
from .base import OpenRouterEmbedding


class OpenRouterMultiModalEmbedding(OpenRouterEmbedding, MultiModalEmbedding):
    """Embeds pictures beside texts. The model must take both.

    A picture is a path, an https or data URL, the bytes of a file (also in a `BytesIO`), or an `ImagePart`. It is marked as
    a document, by every method: the same picture is found again with a similarity of 1. All else is as in
    `OpenRouterEmbedding`.

    Examples:
        ```python
        from llama_index.core.indices import MultiModalVectorStoreIndex
        from llama_index.core.schema import ImageNode
        from llama_index.embeddings.openrouter import OpenRouterMultiModalEmbedding

        model = OpenRouterMultiModalEmbedding(model_name="google/gemini-embedding-2")
        # An index leaves out what has neither text nor metadata.
        pictures = [ImageNode(image_path="car.jpg", metadata={"file": "car.jpg"})]
        index = MultiModalVectorStoreIndex(pictures, embed_model=model, image_embed_model=model)
        index.as_retriever().text_to_image_retrieve("a red car")
        ```
    """

    def __init__(self, model_name: str | None = None, **options: Unpack[EmbeddingOptions]) -> None:
        """Check every option before any request. See `OpenRouterEmbedding`."""
        super().__init__(model_name, **options)  # written here too, where type checkers look

    @classmethod
    def class_name(cls) -> str:
        """Return the name that saved files carry."""
        return "OpenRouterMultiModalEmbedding"

    def _get_image_embedding(self, img_file_path: Image) -> Embedding:
        return self._get_image_embeddings([img_file_path])[0]

    async def _aget_image_embedding(self, img_file_path: Image) -> Embedding:
        return (await self._aget_image_embeddings([img_file_path]))[0]

    def _get_image_embeddings(self, img_file_paths: list[Image]) -> list[Embedding]:  # type: ignore[override]
        method = "get_image_embedding_batch"
        return self._embed(_read(img_file_paths, method), "document", method).tolist()

    async def _aget_image_embeddings(self, img_file_paths: list[Image]) -> list[Embedding]:  # type: ignore[override]
        method = "aget_image_embedding_batch"
        return (await self._aembed(await asyncio.to_thread(_read, img_file_paths, method), "document", method)).tolist()

    def get_image_embedding(self, img_file_path: Image, **unknown: Any) -> Embedding:
        """Return the embedding of a picture."""
        WORDS.check_call(unknown)
        return self._observed_pictures([img_file_path], "get_image_embedding")[0]

    async def aget_image_embedding(self, img_file_path: Image, **unknown: Any) -> Embedding:
        """Return the embedding of a picture, on the running event loop. A file is read in a thread."""
        WORDS.check_call(unknown)
        return (await self._aobserved_pictures([img_file_path], "aget_image_embedding"))[0]

    def get_image_embedding_batch(  # type: ignore[override]  # a list of the base class's fewer types will do
        self,
        img_file_paths: list[Image],
        show_progress: bool = False,
        *,
        resume: Partial | None = None,
        **unknown: Any,
    ) -> list[Embedding]:
        """Return one embedding per picture, in input order. The pictures are one call of the core, however many they are.

        Args:
            img_file_paths: The pictures. All are read before any request; an empty list makes none.
            show_progress: Whether to show a bar.
            resume: `error.partial` of an earlier call with the same pictures: only the rest is paid for.
            **unknown: None. What is tried is named in an error that says where it belongs.

        Raises:
            EmbeddingError: It could not be done; what had landed is in `.partial`.
            OSError: A file cannot be read.
        """
        WORDS.check_call(unknown)
        return self._observed_pictures(img_file_paths, "get_image_embedding_batch", bar=show_progress, resume=resume)

    async def aget_image_embedding_batch(  # type: ignore[override]
        self,
        img_file_paths: list[Image],
        show_progress: bool = False,
        *,
        resume: Partial | None = None,
        **unknown: Any,
    ) -> list[Embedding]:
        """Do what `get_image_embedding_batch` does, on the running event loop. Files are read in a thread."""
        WORDS.check_call(unknown)
        method = "aget_image_embedding_batch"
        return await self._aobserved_pictures(img_file_paths, method, bar=show_progress, resume=resume)

    def _observed_pictures(
        self, given: list[Image], method: str, *, bar: bool = False, resume: Partial | None = None
    ) -> list[Embedding]:
        if not given:
            return []
        pictures = _read(given, method)
        with observed(self, _outlines(pictures), bar=bar, unit="image") as (landed, ended):
            return ended(self._embed(pictures, "document", method, resume=resume, on_progress=landed))

    async def _aobserved_pictures(
        self, given: list[Image], method: str, *, bar: bool = False, resume: Partial | None = None
    ) -> list[Embedding]:
        if not given:
            return []
        pictures = await asyncio.to_thread(_read, given, method)
        with observed(self, _outlines(pictures), bar=bar, unit="image") as (landed, ended):
            return ended(await self._aembed(pictures, "document", method, resume=resume, on_progress=landed))


def _outlines(pictures: list[Input]) -> list[str]:
    """Return what events may show: neither data nor a URL, which may be signed."""
    return list(map(repr, pictures))


def _read(pictures: Iterable[Image], method: str) -> list[Input]:
    with WORDS.for_errors(method=method):
        return contents_of(pictures)


@when_imported("llama_index.core.embeddings.loading")
def _make_known(loading: ModuleType) -> None:
    """Have `load_embed_model` know this class too."""
    loading.RECOGNIZED_EMBEDDINGS[OpenRouterMultiModalEmbedding.class_name()] = OpenRouterMultiModalEmbedding
