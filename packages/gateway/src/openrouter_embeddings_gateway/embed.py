"""From the inputs of a request to its embeddings: tokenise, check lengths, average, mark the side, fit the width."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from openrouter_embeddings.profiles import Profile

from .errors import invalid
from .limits import check_tokens
from .model import TRAINED, Matrix, Model, Text, unit
from .schema import Asked
from .sides import mark_sides, split_prefix
from .widths import fit

NATIVE_WHERE_UNKNOWN = 256
_UNNORMALISED_LENGTH = np.float32(8.0)


@dataclass(frozen=True, slots=True)
class Embedded:
    """The embeddings of a request, one row per input, and the tokens they are charged for."""

    rows: Matrix
    tokens: int
    by_modality: dict[str, int]


def embed(asked: Asked, profile: Profile, model: Model) -> Embedded:
    """Return the embeddings of a request that passed `check_shape`, or refuse inputs that are too long."""
    prefixes: list[str] = []
    pieces: list[str] = []
    for item in asked.items:
        prefix, rest = split_prefix(item.texts[0], profile) if item.texts else ("", "")
        prefixes.append(prefix)
        pieces.extend((rest, *item.texts[1:]) if item.texts else ())
    texts = model.tokenize(pieces) if pieces else []
    prefix_tokens = {prefix: model.tokenize([prefix])[0].tokens for prefix in set(prefixes) if prefix}
    counts: list[int] = []
    at = 0
    for item, prefix in zip(asked.items, prefixes, strict=True):
        mine = texts[at : at + len(item.texts)]
        at += len(mine)
        if any(not len(text.ids) for text in mine):
            raise invalid("input: a text holds no token")
        counts.append(item.ids if item.ids is not None else sum(t.tokens for t in mine) + prefix_tokens.get(prefix, 0))
    check_tokens(counts, profile)
    others = [modality for item in asked.items for modality, _ in item.others]
    by_modality = {"text": sum(counts), **{kind: 258 * others.count(kind) for kind in dict.fromkeys(others)}}
    rows = mark_sides(_rows(asked, texts, model), prefixes, asked.input_type, profile)
    return Embedded(_fit(rows, asked, profile), sum(by_modality.values()), by_modality)


def _rows(asked: Asked, texts: list[Text], model: Model) -> Matrix:
    """Return 256 numbers an input: its text, or the mean of its texts and of what stands for its other parts."""
    flat = model.embed(texts)
    if len(flat) == len(asked.items) and not any(item.others for item in asked.items):
        return flat
    rows = np.empty((len(asked.items), TRAINED), dtype=np.float32)
    at = 0
    for row, item in zip(rows, asked.items, strict=True):
        parts = [flat[at + step] for step in range(len(item.texts))]
        at += len(item.texts)
        parts += [_stand_in(data) for _, data in item.others]
        row[:] = np.mean(parts, axis=0)
    return unit(rows)


def _stand_in(data: str) -> Matrix:
    """Return a direction that depends on every byte of an image, a sound or a file, and says nothing about it."""
    seed = int.from_bytes(hashlib.sha256(data.encode()).digest()[:4], "little")
    row = np.random.RandomState(seed).standard_normal((1, TRAINED)).astype(np.float32)
    return np.asarray(unit(row)[0])


def _fit(rows: Matrix, asked: Asked, profile: Profile) -> Matrix:
    native = profile.native_dimensions or NATIVE_WHERE_UNKNOWN
    # Where the profile says that unit length is the client's to restore, this model leaves it to the client too.
    fitted = fit(rows, native=native, asked=asked.dimensions, keep_length=profile.renormalize)
    return fitted * _UNNORMALISED_LENGTH if profile.normalized is False else fitted
