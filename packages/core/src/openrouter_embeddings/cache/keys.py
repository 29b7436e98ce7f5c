"""What names an input in the cache: a hash of everything that changes its numbers."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from typing import Any, TypeAlias

Fact: TypeAlias = str | int | bytes | None


KEY_FORMAT = 1
"""Part of every key: a change of what is hashed must raise it, so that old rows become misses."""


def _tagged(value: Fact) -> bytes:
    """Return one value written so that no two values, nor two sequences of values, give the same bytes."""
    if value is None:
        return b"n"
    if isinstance(value, bool):
        tag, body = b"t", b"1" if value else b"0"
    elif isinstance(value, int):
        tag, body = b"i", str(value).encode("ascii")
    elif isinstance(value, str):
        tag, body = b"s", value.encode("utf-8", "surrogatepass")
    else:
        tag, body = b"b", bytes(value)
    return tag + len(body).to_bytes(8, "big") + body


class Keyer:
    """Makes the keys of many texts that share their facts: the facts are hashed once.

    Args:
        facts: Everything besides the text that changes the numbers, in a fixed order.
        secret: Makes the keys HMAC-SHA-256, so that short texts cannot be guessed from a cache file without it.
    """

    __slots__ = ("_state",)

    def __init__(self, facts: Sequence[Fact], *, secret: bytes | None = None) -> None:
        # The branches are typed apart by hashlib and hmac, but both offer update, copy and digest.
        state: Any = hashlib.sha256() if secret is None else hmac.new(secret, digestmod="sha256")
        state.update(_tagged("openrouter-embeddings") + _tagged(KEY_FORMAT))
        for fact in facts:
            state.update(_tagged(fact))
        self._state = state

    def key(self, text: bytes) -> bytes:
        """Return the 32-byte key of one text."""
        # A tag that no fact has: facts and text cannot run into each other.
        return self._digest(b"x", text)

    def key_of_content(self, wire_form: bytes) -> bytes:
        """Return the 32-byte key of content: never that of a text which spells its JSON."""
        return self._digest(b"c", wire_form)

    def _digest(self, tag: bytes, body: bytes) -> bytes:
        state = self._state.copy()
        state.update(tag + len(body).to_bytes(8, "big"))
        state.update(body)
        digest: bytes = state.digest()
        return digest
