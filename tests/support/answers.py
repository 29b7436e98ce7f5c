"""The right answer to some texts, in parts: whatever is wrong with an answer in a test is a change of this one."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np

WIDTH = 8


def embedding_of(text: str) -> list[float]:
    """Return the embedding of a text: numbers that float32 and JSON hold exactly."""
    return [(byte + 1) / 256 for byte in hashlib.sha256(text.encode()).digest()[:WIDTH]]


@dataclass
class Answer:
    """A right answer in parts, for a fault to change."""

    texts: list[str]
    base64: bool
    top: dict[str, Any] = field(default_factory=dict)

    def rows(self) -> list[dict[str, Any]]:
        """Return `data`."""
        return [
            {"object": "embedding", "index": index, "embedding": self.encoded(embedding_of(text))}
            for index, text in enumerate(self.texts)
        ]

    def encoded(self, numbers: list[float]) -> Any:
        """Return an embedding in the encoding that was asked for."""
        return base64.b64encode(np.array(numbers, "<f4").tobytes()).decode() if self.base64 else numbers

    def body(self) -> dict[str, Any]:
        """Return the whole body."""
        usage = {"prompt_tokens": len(self.texts), "total_tokens": len(self.texts), "cost": 0.001}
        return {"object": "list", "model": "faults/model", "data": self.rows(), "usage": usage, **self.top}

    def json(self) -> bytes:
        """Return the body as it goes over the wire."""
        return json.dumps(self.body()).encode()
