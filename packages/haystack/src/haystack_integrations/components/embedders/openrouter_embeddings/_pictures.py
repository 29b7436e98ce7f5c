"""The picture of a document: a file that its metadata names, a page of a PDF, or its blob."""

from __future__ import annotations

import math
import mimetypes
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from haystack import Document
from haystack.dataclasses import ByteStream, ImageContent

from openrouter_embeddings import ConfigurationError, ImagePart, InputError

if TYPE_CHECKING:
    from haystack.components.converters.image import DocumentToImageContent

FILE_PATH = "file_path"
"""Where Haystack's converters write a document's file."""
_PDF = "application/pdf"


_PAGES_AT_ONCE = 32
"""Haystack holds the pages of one conversion unpacked, each as large as 25 MB."""


def has_picture(document: Document) -> bool:
    """Return whether a document's own words say that it is a picture or a page of a PDF. No file is opened."""
    blob, meta = document.blob, document.meta
    stated = meta.get("mime_type") or (blob and blob.mime_type) or _guessed(meta.get(FILE_PATH))
    if stated:
        return str(stated).startswith(("image/", _PDF))
    if blob is not None and _begins_as_picture(blob.data):
        return True
    # A document that says nothing of itself may name its picture anywhere.
    return any(str(_guessed(value)).startswith("image/") for value in meta.values())


def _guessed(name: object) -> str | None:
    return mimetypes.guess_type(name)[0] if isinstance(name, (str, os.PathLike)) else None


def _begins_as_picture(data: bytes) -> bool:
    try:
        ImagePart.of(data[:16])
    except InputError:
        return False
    return True


class _Page(NamedTuple):
    """A page of a PDF, which is to be converted."""

    path: Path
    number: int


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

    def of(self, documents: Sequence[Document]) -> list[ImagePart | InputError]:
        """Return the picture of each document, or why there is none: an error without a position.

        Raises:
            ConfigurationError: A package is missing that converts them.
        """
        found = [self._found(document) for document in documents]
        wanted = {item: document.id for item, document in zip(found, documents, strict=True) if isinstance(item, _Page)}
        pages = self._converted(wanted) if wanted else {}
        return [pages[item] if isinstance(item, _Page) else item for item in found]

    def _found(self, document: Document) -> ImagePart | _Page | InputError:
        try:
            return self._picture_or_page(document)
        except InputError as error:
            return error

    def _picture_or_page(self, document: Document) -> ImagePart | _Page:
        named = document.meta.get(self.field)
        if named is None and document.blob is not None:
            return self._part(document.blob.data, document.blob.mime_type)
        if not isinstance(named, (str, os.PathLike)) or "\0" in str(named):
            raise InputError(f"meta[{self.field!r}] names no file, and there is no blob.")
        path = self._within_root(Path(self.root or "", named))
        stated = document.meta.get("mime_type")
        media_type = stated if isinstance(stated, str) else mimetypes.guess_type(path.name)[0]
        try:
            if media_type == _PDF:
                path.stat()
                return _Page(path, _page_number(document.meta.get("page_number")))
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

        with _needing("pillow", "image_size"):
            converter = ImageFileToImageContent(size=self.size)
        made = converter.run([ByteStream(data, mime_type=media_type)])["image_contents"]
        picture = _part_of(made[0] if made else None)
        if isinstance(picture, InputError):
            raise picture
        return picture

    def _converted(self, wanted: Mapping[_Page, str]) -> dict[_Page, ImagePart | InputError]:
        """Return the picture of each page, or why there is none.

        Args:
            wanted: The pages, and the id of a document that each is of: Haystack's log names it.
        """
        from haystack.components.converters.image import DocumentToImageContent

        with _needing("pypdfium2 pillow", "A page of a PDF"):
            converter = DocumentToImageContent(size=self.size)
        by_file: dict[Path, list[_Page]] = {}
        for page in wanted:
            by_file.setdefault(page.path, []).append(page)
        pages: dict[_Page, ImagePart | InputError] = {}
        for of_file in by_file.values():
            for start in range(0, len(of_file), _PAGES_AT_ONCE):
                some = of_file[start : start + _PAGES_AT_ONCE]
                made = _images(converter, [_document_of(page, wanted[page]) for page in some])
                pages.update(zip(some, map(_part_of, made), strict=True))
        return pages


def _page_number(value: object) -> int:
    """Return a number that may have been through a file of text or a table."""
    if value is None:
        raise InputError("a page of a PDF needs its meta['page_number'].")
    try:
        number = float(str(value))
    except ValueError:
        number = math.nan
    if isinstance(value, bool) or not number.is_integer():
        raise InputError(f"meta['page_number'] must be a whole number, and this {type(value).__name__} is none.")
    return int(number)


def _document_of(page: _Page, name: str) -> Document:
    return Document(id=name, meta={FILE_PATH: str(page.path), "mime_type": _PDF, "page_number": page.number})


def _images(converter: DocumentToImageContent, documents: list[Document]) -> Sequence[ImageContent | None]:
    """Return the picture of each page of one file, which is opened once, or None."""
    try:
        images: Sequence[ImageContent | None] = converter.run(documents)["image_contents"]
    except (KeyError, ValueError, RuntimeError):  # a broken page, or in Haystack 2 one that is not there
        return [None] if len(documents) == 1 else [_images(converter, [document])[0] for document in documents]
    return images


def _part_of(image: ImageContent | None) -> ImagePart | InputError:
    if image is None:
        return InputError("Haystack could not convert the picture. Its log says why.")
    return ImagePart(f"data:{image.mime_type};base64,{image.base64_image}")


@contextmanager
def _needing(packages: str, what: str) -> Iterator[None]:
    """Say what to install where Haystack misses a package."""
    try:
        yield
    except ImportError as error:
        raise ConfigurationError(f"{what} needs {packages.replace(' ', ' and ')}: pip install {packages}.") from error
