"""What of a gateway's own words may be shown: no key, and nothing of the caller's texts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

_DATA_MAX = 4096
_SHOWN = 300
"""Characters of the gateway's own message that an error quotes."""
_OVERLAP = 20
"""A stretch this long that stands in an input too is taken for a piece of it; shorter ones are common words."""
_HALF = _OVERLAP // 2
_QUOTED_MIN = 4
_SECRET = re.compile(r"\b(?:sk|key|rk|pk)-[\w*.-]{4,}|\bBearer\s+\S+|[\w.-]{0,20}\*{3,}\S*", re.IGNORECASE)
_QUOTED = re.compile(r"""(?<!\w)(["'`])(.+?)\1(?!\w)|[“‘«](.+?)[”’»]""")
_MASK = "[input]"


def redacted(message: str, inputs: Sequence[Any]) -> str:
    """Return the gateway's message, at most 300 characters, with what looks like a key or repeats an input masked.

    Args:
        message: As sent.
        inputs: The inputs of the request that it answers, as they were sent.
    """
    message = _flat(_SECRET.sub("[key]", message))[:_SHOWN].rstrip(". ")
    if not message:
        return ""
    texts = [_flat(text) for item in inputs for text in _texts_of(item)]
    pieces: list[list[int]] = []
    for start, stop in sorted({*_repeated(message, texts), *_quoted(message, texts)}):
        if pieces and start <= pieces[-1][1]:
            pieces[-1][1] = max(stop, pieces[-1][1])
        else:
            pieces.append([start, stop])
    for start, stop in reversed(pieces):
        piece = message[start:stop]
        message = message[:start] + piece.replace(piece.strip(), _MASK) + message[stop:]
    return message


def _flat(text: str) -> str:
    """Return a text with every run of white space, or of its escapes, as one blank: an echo may have lost its lines."""
    return " ".join(text.replace("\\n", " ").replace("\\t", " ").split())


def _texts_of(item: Any) -> Iterator[str]:
    """Yield what of an input may be repeated: a text, or a content's texts and addresses."""
    if isinstance(item, str):
        yield item
        return
    for part in item["content"]:
        inner = part[part["type"]]
        text = inner if isinstance(inner, str) else inner.get("url") or inner["data"]
        yield text[:_DATA_MAX] if text.startswith("data:") else text


def _repeated(message: str, texts: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Yield each stretch of the message that stands in a text too; a short text counts if it stands there whole."""
    whole = "\0".join(texts)
    # Each stretch holds one of these halves, so that few of them have to be looked for.
    known = [message[start : start + _HALF] in whole for start in range(0, len(message), _HALF)]
    for start in range(len(message) - _OVERLAP + 1):
        if known[-(-start // _HALF)] and message[start : start + _OVERLAP] in whole:
            yield start, start + _OVERLAP
    for text in texts:
        if _HALF <= len(text) < _OVERLAP:
            yield from (found.span() for found in re.finditer(re.escape(text), message))


def _quoted(message: str, texts: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Yield what the message puts in quotes and what stands in a text."""
    whole = "\0".join(texts)
    for found in _QUOTED.finditer(message):
        group = 2 if found[2] else 3
        piece = found[group].rstrip(".…")
        if len(piece) >= _QUOTED_MIN and piece in whole:
            yield found.span(group)
