"""The embedder for documents that are pictures."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Unpack

from haystack import Document, component

from openrouter_embeddings import ConfigurationError, Content, ImagePart, Input, InputError

from ._documents import DocumentsEmbedder
from ._options import IMAGE_WORDS, DocumentImageEmbedderOptions, takes
from ._pictures import Pictures
from ._run import Run


@component
class OpenRouterDocumentImageEmbedder(DocumentsEmbedder):
    """Embeds the pictures of documents, through OpenRouter or a gateway that speaks its dialect.

    A document's picture is the file that `meta["file_path"]` names, also a page of a PDF (`meta["page_number"]`), or else its
    blob; its content is not embedded. The model must take pictures, and texts: queries are for `text_embedder()`. Runs,
    failures and outputs are those of `OpenRouterDocumentEmbedder`. All pictures of a run are read before it sends any.

    ### Usage example

    ```python
    from haystack import Document
    from haystack_integrations.components.embedders.openrouter_embeddings import OpenRouterDocumentImageEmbedder

    embedder = OpenRouterDocumentImageEmbedder(model="google/gemini-embedding-2")
    found = embedder.run([Document(meta={"file_path": "photo.jpg"})])
    print(found["documents"][0].embedding[:3], found["meta"]["usage"]["cost"])
    ```
    """

    file_path_meta_field: str
    root_path: str | None
    image_size: list[int] | None

    @takes(DocumentImageEmbedderOptions)
    def __init__(self, model: str, **options: Unpack[DocumentImageEmbedderOptions]) -> None:
        """Creates an OpenRouterDocumentImageEmbedder component.

        No request is made, no file is read and no key is needed before the first run.
        """
        self._set_up({"model": model, **options}, IMAGE_WORDS)
        if not isinstance(self.root_path, str | None):
            raise ConfigurationError(f"root_path takes a path, not {type(self.root_path).__name__}.")
        size = self.image_size
        if size is not None and not (
            isinstance(size, list) and len(size) == 2 and all(type(side) is int and side > 0 for side in size)
        ):
            raise ConfigurationError("image_size takes a width and a height in pixels, such as (768, 768).")
        self._pictures = Pictures(
            self.file_path_meta_field, self.root_path, None if size is None else (size[0], size[1])
        )

    def _inputs_of(self, documents: list[Document]) -> Sequence[Input | InputError]:
        found = self._pictures.of(documents)
        return [Content.of(picture) if isinstance(picture, ImagePart) else picture for picture in found]

    def _added_meta(self) -> Mapping[str, Any]:
        """Say, as other image embedders do, what the embedding is of."""
        return {"embedding_source": {"type": "image", "file_path_meta_field": self.file_path_meta_field}}

    async def _begin_async(self, documents: list[Document]) -> Run:
        """Read the files in a thread."""
        return await asyncio.to_thread(self._begin, documents)
