"""What of a gateway's own words may be shown: no key, and nothing of the caller's texts. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

_SHOWN = 300
"""Characters of the gateway's own message that an error quotes."""
_SHINGLE = 12
_SECRET = re.compile(r"\b(?:sk|key|rk|pk)-[\w*.-]{4,}|\bBearer\s+\S+", re.IGNORECASE)


def quoted(message: str, items: Sequence[Any]) -> str:
    """Return the gateway's message without anything that looks like a key; nothing, if it repeats one of our texts."""
    message = " ".join(_SECRET.sub("[key]", message).split())[:_SHOWN].rstrip(". ")
    texts = [text for text in map(_all_text, items) if text]
    return "" if _echoes(message, texts) else message


def _all_text(item: Any) -> str:
    """Return an input's text, or all texts of a content."""
    return item if isinstance(item, str) else str(item)


def _echoes(message: str, texts: Sequence[str]) -> bool:
    """Say whether a message repeats a stretch of an input: then it is not shown at all."""
    shingles = {message[at : at + _SHINGLE] for at in range(max(0, len(message) - _SHINGLE) + 1)} if message else set()
    whole = [one for one in shingles if len(one) == _SHINGLE]
    for text in texts:
        if len(text) <= _SHINGLE:
            if len(text) > 2 and text in message:
                return True
        elif any(one in text for one in whole):
            return True
    return False
