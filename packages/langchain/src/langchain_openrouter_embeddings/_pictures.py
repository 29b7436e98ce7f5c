"""What LangChain has no word for: contents and pictures, in one space with texts."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Iterable
from typing import Any

from langchain_openrouter_embeddings._options import WORDS
from openrouter_embeddings import Input, InputType
from openrouter_embeddings.inputs import Image, contents_of


class EmbedsPictures:
    """The methods for contents and pictures."""

    def embed_content(
        self, contents: Iterable[Input], *, input_type: InputType = "document", **unknown: Any
    ) -> list[list[float]]:
        """Return one embedding per content (texts, pictures or both together), in input order.

        Args:
            contents: Each a string or a `Content`. The model must take what is in them.
            input_type: `"query"` where they are what is asked for.
            **unknown: None. What other classes take here is named in an error that says where it belongs.

        Raises:
            EmbeddingError: It could not be done; what had landed is in `.partial`.
        """
        WORDS.check_call(unknown)
        return self._embed(contents, input_type, "embed_content")

    def embed_images(
        self, images: Iterable[Image], *, input_type: InputType = "document", **unknown: Any
    ) -> list[list[float]]:
        """Return one embedding per picture, in input order. The model must take pictures.

        Args:
            images: Each a path, an https or data URL, the bytes of a file (also in a `BytesIO`), or an `ImagePart`.
            input_type: `"query"` where they are what is asked for.
            **unknown: See `embed_content`.

        Raises:
            EmbeddingError: It could not be done; what had landed is in `.partial`.
            OSError: A file cannot be read.
        """
        WORDS.check_call(unknown)
        return self._embed(_read(images, "embed_images"), input_type, "embed_images")

    def embed_image(self, uris: list[str]) -> list[list[float]]:
        """Do what `embed_images` does, under the name that stores call: Chroma's `add_images`."""
        return self._embed(_read(uris, "embed_image"), "document", "embed_image")

    async def aembed_content(
        self, contents: Iterable[Input], *, input_type: InputType = "document", **unknown: Any
    ) -> list[list[float]]:
        """Do what `embed_content` does, on the running event loop."""
        WORDS.check_call(unknown)
        return await self._aembed(contents, input_type, "aembed_content")

    async def aembed_images(
        self, images: Iterable[Image], *, input_type: InputType = "document", **unknown: Any
    ) -> list[list[float]]:
        """Do what `embed_images` does, on the running event loop. Files are read in a thread."""
        WORDS.check_call(unknown)
        pictures = await asyncio.to_thread(_read, images, "aembed_images")
        return await self._aembed(pictures, input_type, "aembed_images")

    @abstractmethod
    def _embed(self, inputs: Iterable[Input], input_type: InputType, method: str) -> list[list[float]]: ...

    @abstractmethod
    async def _aembed(self, inputs: Iterable[Input], input_type: InputType, method: str) -> list[list[float]]: ...


def _read(images: Iterable[Image], method: str) -> list[Input]:
    with WORDS.for_errors(method=method):
        return contents_of(images)
