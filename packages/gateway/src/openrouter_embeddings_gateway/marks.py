"""What tells the model whether a text is a query or a document, made visible in the numbers.

A known mark moves an embedding slightly, by a fixed step in a direction of its own; so a lost mark changes
numbers, while texts with the same mark keep their order. A text prefix that the profile knows is read as the model
was trained to read it: it is taken off, and its mark's step made instead. Any other prefix is just text.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from openrouter_embeddings.profiles import UNKNOWN, Profile

from .model import TRAINED, Matrix, unit

STEP = 0.15
"""Length of the step beside a text's unit length: a text as query and as document has a cosine of about 0.98."""
DOCUMENTED = ("search_query", "search_document")
"""The values that OpenRouter's documentation names; they mark the texts of a model without a profile."""


def known_values(profile: Profile) -> set[str]:
    """Return the values of `input_type` that the model knows."""
    if profile.family == UNKNOWN.family:
        return set(DOCUMENTED)
    return {marking.input_type for marking in (profile.query, profile.document) if marking.input_type}


def split_prefix(text: str, profile: Profile) -> tuple[str, str]:
    """Return the known prefix that a text carries, or none, and the rest. A text that is all prefix is kept whole."""
    for prefix in (profile.query.prefix, profile.document.prefix):
        if prefix and text.startswith(prefix) and len(text) > len(prefix):
            return prefix, text[len(prefix) :]
    return "", text


@lru_cache(maxsize=256)
def _direction(mark: str) -> Matrix:
    seed = int.from_bytes(hashlib.sha256(mark.encode()).digest()[:4], "little")
    row = np.random.RandomState(seed).standard_normal((1, TRAINED)).astype(np.float32)
    return np.asarray(unit(row)[0] * np.float32(STEP))


def apply_marks(rows: Matrix, prefixes: Sequence[str], input_type: str | None, profile: Profile) -> Matrix:
    """Return the rows moved by their marks; rows without a known mark are unchanged to the bit."""
    value = input_type if input_type is not None and input_type in known_values(profile) else None
    if value is not None:
        return unit(rows + _direction(f"input_type {value}"))
    marked = [index for index, prefix in enumerate(prefixes) if prefix]
    if not marked:
        return rows
    out = rows.copy()
    out[marked] = unit(rows[marked] + np.stack([_direction(f"prefix {prefixes[index]}") for index in marked]))
    return out
