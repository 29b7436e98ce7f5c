"""What of a gateway's own words may be shown: no key, and nothing of the caller's texts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

_SHOWN = 300
"""Characters of the gateway's own message that an error quotes."""
_OVERLAP = 20
"""A stretch this long that stands in an input too is taken for a piece of it; shorter ones are common words."""
_QUOTED_MIN = 4
_SECRET = re.compile(r"\b(?:sk|key|rk|pk)-[\w*.-]{4,}|\bBearer\s+\S+", re.IGNORECASE)
_QUOTED = re.compile(r"""(["'`])(.+?)\1""")
_MASK = "[input]"


def redacted(message: str, inputs: Sequence[Any]) -> str:
    """Return the gateway's message, at most 300 characters, with what looks like a key or repeats an input masked.

    Args:
        message: As sent.
        inputs: The inputs of the request that it answers.
    """
    message = " ".join(_SECRET.sub("[key]", message).split())[:_SHOWN].rstrip(". ")
    if not message:
        return ""
    texts = [text for text in map(str, inputs) if text]
    spans = sorted({*_repeated(message, texts), *_quoted(message, texts)})
    shown, end = "", 0
    for start, stop in spans:
        if start >= end:
            shown += message[end:start] + (_MASK if not shown.endswith(_MASK) or start > end else "")
        end = max(end, stop)
    return shown + message[end:]


def _repeated(message: str, texts: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Yield each stretch of the message that stands in a text too; a short text counts if it stands there whole."""
    stretches = [message[start : start + _OVERLAP] for start in range(max(0, len(message) - _OVERLAP) + 1)]
    for text in texts:
        if len(text) >= _OVERLAP:
            yield from (
                (start, start + len(one)) for start, one in enumerate(stretches) if len(one) == _OVERLAP and one in text
            )
        elif len(text) >= _OVERLAP // 2 and (start := message.find(text)) >= 0:
            yield start, start + len(text)


def _quoted(message: str, texts: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Yield what the message puts in quotes and what stands in a text."""
    for found in _QUOTED.finditer(message):
        piece = found.group(2).rstrip(".…")
        if len(piece) >= _QUOTED_MIN and any(piece in text for text in texts):
            yield found.span(2)
