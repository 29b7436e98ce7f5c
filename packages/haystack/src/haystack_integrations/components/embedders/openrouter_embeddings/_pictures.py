"""The picture of a document: a file that its metadata names, a page of a PDF, or its blob."""

from __future__ import annotations

import mimetypes
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from haystack import Document
from haystack.dataclasses import ByteStream, ImageContent

from openrouter_embeddings import ImagePart, InputError

FILE_PATH = "file_path"
"""Where Haystack's converters write a document's file."""
_PDF = "application/pdf"


def has_picture(document: Document) -> bool:
    """Return whether a document's own words say that it has a picture or a page of a PDF. No file is opened."""
    named = document.meta.get(FILE_PATH)
    stated = document.meta.get("mime_type") or (document.blob and document.blob.mime_type)
    guessed = mimetypes.guess_type(named)[0] if isinstance(named, str) else None
    return str(stated or guessed).startswith(("image/", _PDF))


@dataclass(frozen=True)
class Pictures:
    """Finds the pictures of documents.

    Attributes:
        field: The metadata that names the file.
        root: The folder that files must be in; None: paths are taken as they are.
        size: Width and height to fit pictures of files into; None: as they are.
    """

    field: str
    root: str | None
    size: tuple[int, int] | None

    def of(self, document: Document) -> ImagePart:
        """Return the picture of a document.

        Raises:
            InputError: There is none, or it cannot be read. No position is named.
        """
        named = document.meta.get(self.field)
        if named is None and document.blob is not None:
            return self._part(document.blob.data, document.blob.mime_type)
        if not isinstance(named, (str, os.PathLike)) or "\0" in str(named):
            raise InputError(f"meta[{self.field!r}] names no file, and there is no blob.")
        path = self._within_root(Path(self.root or "", named))
        stated = document.meta.get("mime_type")
        media_type = stated if isinstance(stated, str) else mimetypes.guess_type(path.name)[0]
        if media_type == _PDF:
            return self._page(document, path)
        try:
            data = path.read_bytes()
        except OSError as error:
            where = f" below root_path {self.root!r}" if self.root else ""
            raise InputError(f"the file of meta[{self.field!r}] cannot be read{where}: {error.strerror}.") from error
        return self._part(data, media_type)

    def _within_root(self, path: Path) -> Path:
        """Return a path, or raise where it leaves the folder: metadata may come from anybody."""
        if self.root and not path.resolve().is_relative_to(Path(self.root).resolve()):
            raise InputError(f"the file of meta[{self.field!r}] is outside of root_path {self.root!r}.")
        return path

    def _part(self, data: bytes, media_type: str | None) -> ImagePart:
        if media_type and not media_type.startswith("image/"):
            raise InputError(f"its media type is {media_type!r}, which is no picture's.")
        part = ImagePart.from_bytes(data, media_type) if media_type else ImagePart.of(data)
        if self.size is None:
            return part
        from haystack.components.converters.image import ImageFileToImageContent  # late: it loads Pillow

        resized = ImageFileToImageContent(size=self.size).run([ByteStream(data, mime_type=media_type)])
        return _converted(resized["image_contents"])

    def _page(self, document: Document, path: Path) -> ImagePart:
        if not path.is_file() or not isinstance(document.meta.get("page_number"), int):
            raise InputError("a page of a PDF needs a file that exists, and its meta['page_number'].")
        from haystack.components.converters.image import DocumentToImageContent

        converter = DocumentToImageContent(file_path_meta_field=self.field, root_path=self.root, size=self.size)
        try:
            return _converted(converter.run([document])["image_contents"])
        except (KeyError, ValueError) as error:  # Haystack 2, where 3 gives None
            raise _unconverted() from error


def _converted(contents: Sequence[ImageContent | None]) -> ImagePart:
    if not contents or contents[0] is None:
        raise _unconverted()
    return ImagePart(f"data:{contents[0].mime_type};base64,{contents[0].base64_image}")


def _unconverted() -> InputError:
    return InputError("Haystack could not convert the picture. Its log says why.")
