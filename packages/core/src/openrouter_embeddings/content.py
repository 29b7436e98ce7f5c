"""The parts of a `Content`: texts, images, audio, video and files. Checked as they are made.

No message and no repr of this module shows a text, a URL or data.
"""

from __future__ import annotations

import mimetypes
import re
from base64 import b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeAlias

from .errors import InputError

if TYPE_CHECKING:
    import os


_MEDIA_TYPE = re.compile(r"[a-z0-9]+/[a-z0-9][a-z0-9.+-]*", re.ASCII)
_DATA_URL = re.compile(r"data:[a-z0-9]+/[a-z0-9][a-z0-9.+-]*(;[a-z0-9_-]+=[^;,\s]*)*;base64,", re.ASCII | re.IGNORECASE)
_BLANK = re.compile(r"[\x00-\x20\x7f]")
# Own table first: what the platform's registry says differs from machine to machine.
_MEDIA_TYPES = {
    ".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".webp": "image/webp", ".gif": "image/gif",
    ".wav": "audio/wav", ".mp3": "audio/mpeg", ".flac": "audio/flac", ".ogg": "audio/ogg", ".m4a": "audio/mp4",
    ".mp4": "video/mp4", ".mov": "video/quicktime", ".webm": "video/webm", ".mpeg": "video/mpeg",
    ".pdf": "application/pdf", ".txt": "text/plain",
}  # fmt: skip
_FORMATS = {
    "audio/mpeg": "mp3", "audio/x-wav": "wav", "audio/wave": "wav", "audio/vnd.wave": "wav", "audio/mp4": "m4a",
    "audio/x-m4a": "m4a", "audio/x-flac": "flac", "video/quicktime": "mov", "text/plain": "txt",
}  # fmt: skip
_IMAGES = {
    "image/png": rb"\x89PNG",
    "image/jpeg": rb"\xff\xd8\xff",
    "image/gif": b"GIF8",
    "image/webp": b"RIFF....WEBP",
}


def lone_surrogate(text: str) -> int | None:
    """Return where a text first holds half of a surrogate pair, or None."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return error.start
    return None


def _check_text(text: object) -> None:
    if not isinstance(text, str):
        raise InputError(f"A text part takes a str, not {type(text).__name__}.")
    if not text:
        raise InputError("A text part is empty. Remove it.")
    where = lone_surrogate(text)
    if where is not None:
        raise InputError(
            f"A text part holds a lone surrogate (position {where} of the text), which no UTF-8 can carry."
        )


def _check_url(url: object, what: str) -> None:
    """Accept `https://` and base64 `data:` URLs, nothing else: a host fetches the one and reads the other."""
    way_out = f"Use an https:// URL, {what}.from_bytes(...) or {what}.from_file(...)."
    if not isinstance(url, str):
        raise InputError(f"{what} takes a URL as str, not {type(url).__name__}. {way_out}")
    if url[:5].lower() == "data:":
        head = _DATA_URL.match(url[:1000])
        if head is None or not url.isascii():
            raise InputError(
                f"{what} got a data: URL that is not of the form data:<media type>;base64,<data>. {way_out}"
            )
        if head.end() == len(url):
            raise InputError(f"{what} got a data: URL without data. {way_out}")
    elif url[:8].lower() != "https://" or len(url) == 8:
        raise InputError(f"{what} takes https:// and data: URLs only. {way_out}")
    elif _BLANK.search(url) or lone_surrogate(url) is not None:
        raise InputError(f"{what} got a URL with white space, a control character or a lone surrogate. {way_out}")


def _outline(url: str) -> str:
    """Say what kind of URL it is, and no more: a signed URL is a secret, a data URL is the picture itself."""
    return f"<data URL, {len(url)} characters>" if url[:5].lower() == "data:" else "<https URL>"


def _checked_media_type(value: object, kind: str, what: str) -> str:
    media_type = value.lower() if isinstance(value, str) else ""
    if not _MEDIA_TYPE.fullmatch(media_type) or not media_type.startswith(f"{kind}/" if kind else ""):
        wanted = {"image": "image/png", "audio": "audio/wav", "video": "video/mp4"}.get(kind, "application/pdf")
        raise InputError(f"{what} takes a media type such as {wanted!r}.")
    return media_type


def _check_format(value: object, what: str) -> None:
    if value is not None and not (isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9.+-]+", value, re.ASCII)):
        raise InputError(f"{what} takes a format such as 'mp4', or None.")


@dataclass(frozen=True, slots=True, repr=False)
class TextPart:
    """A text within a `Content`."""

    text: str
    modality: ClassVar[str] = "text"

    def __post_init__(self) -> None:
        _check_text(self.text)

    def __repr__(self) -> str:
        return f"TextPart(<{len(self.text)} characters>)"

    def to_wire(self) -> dict[str, Any]:
        """Return the part as the API takes it."""
        return {"type": "text", "text": self.text}


class _FromData:
    """The two ways to a part from bytes. Shared by all parts but text."""

    __slots__ = ()
    kind: ClassVar[str] = ""

    @classmethod
    def from_bytes(cls, data: bytes | bytearray | memoryview, media_type: str) -> Self:
        """Return a part that carries the data itself.

        Args:
            data: The file's bytes.
            media_type: For example `"image/png"`.

        Raises:
            InputError: There is no data, or the media type is of another kind.
        """
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise InputError(f"{cls.__name__}.from_bytes takes bytes, not {type(data).__name__}.")
        if not len(data):
            raise InputError(f"{cls.__name__}.from_bytes got no data.")
        media_type = _checked_media_type(media_type, cls.kind, cls.__name__)
        return cls._built(f"data:{media_type};base64,{b64encode(data).decode('ascii')}", media_type)

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> Self:
        """Return a part that carries a file's bytes. The ending of its name says the media type.

        Raises:
            InputError: The ending says nothing, or another kind of media.
            OSError: The file cannot be read.
        """
        file = Path(path)
        ending = file.suffix.lower()
        media_type = _MEDIA_TYPES.get(ending) or mimetypes.guess_type(f"file{ending}")[0]
        if media_type is None:
            raise InputError(
                f"The ending {ending!r} does not say the media type. Use {cls.__name__}.from_bytes(data, media_type)."
            )
        return cls.from_bytes(file.read_bytes(), media_type)

    @classmethod
    def _built(cls, url: str, media_type: str) -> Self:
        raise NotImplementedError  # pragma: no cover


@dataclass(frozen=True, slots=True, repr=False)
class ImagePart(_FromData):
    """An image, by its https URL or as data."""

    url: str
    modality: ClassVar[str] = "image"
    kind: ClassVar[str] = "image"

    def __post_init__(self) -> None:
        _check_url(self.url, "ImagePart")

    def __repr__(self) -> str:
        return f"ImagePart({_outline(self.url)})"

    def to_wire(self) -> dict[str, Any]:
        """Return the part as the API takes it."""
        return {"type": "image_url", "image_url": {"url": self.url}}

    @classmethod
    def _built(cls, url: str, media_type: str) -> Self:  # noqa: ARG003 - an image's format is in its URL
        return cls(url)

    @classmethod
    def of(cls, image: ImagePart | str | os.PathLike[str] | bytes | BytesIO) -> ImagePart:
        """Return the part of a picture that is given as a path, an https or data URL, or its bytes (PNG, JPEG, GIF, WebP)."""
        if isinstance(image, BytesIO):
            image = image.getvalue()
        if isinstance(image, (bytes, bytearray, memoryview)):
            head = bytes(image[:16])
            kind = next((kind for kind, begins in _IMAGES.items() if re.match(begins, head, re.DOTALL)), None)
            if kind is None:
                raise InputError(
                    "The bytes do not say what picture they are. Use ImagePart.from_bytes(data, media_type)."
                )
            return cls.from_bytes(image, kind)
        if isinstance(image, ImagePart):
            return image
        if isinstance(image, str) and re.match("https?:|data:", image, re.IGNORECASE):
            return cls(image)
        return cls.from_file(image)


@dataclass(frozen=True, slots=True, repr=False)
class _DataPart(_FromData):
    """Data with a format: audio, video and files differ in their names only."""

    data: str
    format: str | None = None
    modality: ClassVar[str] = ""

    def __post_init__(self) -> None:
        name = type(self).__name__
        _check_url(self.data, name)
        _check_format(self.format, name)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({_outline(self.data)}, format={self.format!r})"

    def to_wire(self) -> dict[str, Any]:
        """Return the part as the API takes it."""
        inner = {"data": self.data} if self.format is None else {"data": self.data, "format": self.format}
        return {"type": f"input_{self.modality}", f"input_{self.modality}": inner}

    @classmethod
    def _built(cls, url: str, media_type: str) -> Self:
        return cls(url, _FORMATS.get(media_type) or media_type.partition("/")[2].removeprefix("x-"))


class AudioPart(_DataPart):
    """Audio, by its https URL or as data, with its format (`"wav"`, `"mp3"`, ...)."""

    __slots__ = ()
    modality = kind = "audio"


class VideoPart(_DataPart):
    """A video, by its https URL or as data, with its format (`"mp4"`, ...)."""

    __slots__ = ()
    modality = kind = "video"


class FilePart(_DataPart):
    """A file, by its https URL or as data, with its format (`"pdf"`, ...)."""

    __slots__ = ()
    modality = "file"


Part: TypeAlias = TextPart | ImagePart | AudioPart | VideoPart | FilePart


_PARTS = (TextPart, ImagePart, AudioPart, VideoPart, FilePart)


@dataclass(frozen=True, slots=True, repr=False)
class Content:
    """Parts that together give one embedding. Several embeddings come from several contents.

    Raises:
        InputError: There are no parts, or something is not a part.
    """

    parts: tuple[Part, ...]

    def __post_init__(self) -> None:
        given: object = self.parts
        if isinstance(given, (str, bytes, *_PARTS)) or not isinstance(given, Iterable):
            raise InputError(f"Content takes a list of parts, not {type(given).__name__}. Write Content.of(...).")
        parts = tuple(given)
        if not parts:
            raise InputError("A Content has no parts. Give it one, or remove it.")
        for position, part in enumerate(parts):
            if not isinstance(part, _PARTS):
                raise InputError(f"Part {position} of a Content is {type(part).__name__}, not a part.")
        object.__setattr__(self, "parts", parts)

    @classmethod
    def of(cls, *parts: str | Part) -> Content:
        """Return a content of these parts; a str stands for a `TextPart`."""
        return cls(tuple(TextPart(part) if isinstance(part, str) else part for part in parts))

    def __repr__(self) -> str:
        return f"Content({', '.join(map(repr, self.parts))})"

    @property
    def modalities(self) -> frozenset[str]:
        """What its parts are: of `"text"`, `"image"`, `"audio"`, `"video"`, `"file"`."""
        return frozenset(part.modality for part in self.parts)

    def to_wire(self) -> dict[str, Any]:
        """Return the content as the API takes it, as one item of `input`."""
        return {"content": [part.to_wire() for part in self.parts]}
