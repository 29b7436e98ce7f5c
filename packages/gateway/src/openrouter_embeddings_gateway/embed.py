"""From the inputs of a request to its embeddings: tokenise, check lengths, average, mark, fit the dimensions."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from openrouter_embeddings.profiles import Profile

from .errors import Refused, invalid
from .limits import check_tokens
from .marks import apply_marks, split_prefix
from .model import TRAINED, Matrix, Model, Text, unit
from .pictures import Pictures
from .projections import project
from .schema import EmbeddingRequest, Item

NATIVE_WHERE_UNKNOWN = 256
_TOKENS_OF_A_PART = 258
"""What an image, a sound, a video or a file is charged for."""
_UNNORMALISED_LENGTH = np.float32(8.0)


@dataclass(frozen=True, slots=True)
class Embedded:
    """The embeddings of a request, one row per input, and the tokens they are charged for."""

    rows: Matrix
    tokens: int
    by_modality: dict[str, int]


class Embedder:
    """Embeds the inputs of requests."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._pictures = Pictures(model)

    def embed(self, request: EmbeddingRequest, profile: Profile, *, lenient: bool = False) -> Embedded:
        """Return the embeddings of a request that passed `check_shape`, or refuse inputs that cannot be embedded.

        Args:
            request: What is asked.
            profile: Of its model.
            lenient: Let a hash stand in for a picture that cannot be decoded.
        """
        items = request.items
        split = [split_prefix(item.texts[0], profile) if item.texts else ("", "") for item in items]
        prefixes = [prefix for prefix, _ in split]
        texts = self._tokenize(items, [rest for _, rest in split])
        counts = self._count(items, texts, prefixes)
        check_tokens(counts, profile)
        others = [modality for item in items for modality, _ in item.others]
        by_modality = {kind: _TOKENS_OF_A_PART * others.count(kind) for kind in dict.fromkeys(others)}
        rows = apply_marks(self._rows(items, texts, lenient=lenient), prefixes, request.input_type, profile)
        return Embedded(
            _fit(rows, request.dimensions, profile),
            sum(counts) + sum(by_modality.values()),
            {"text": sum(counts), **by_modality},
        )

    def _tokenize(self, items: Sequence[Item], firsts: Sequence[str]) -> list[list[Text]]:
        """Return the texts of each input as rows of the table, the first of them without its prefix."""
        pieces = [(first, *item.texts[1:]) if item.texts else () for item, first in zip(items, firsts, strict=True)]
        flat = [piece for of_item in pieces for piece in of_item]
        made = iter(self._model.tokenize(flat) if flat else ())
        texts = [[next(made) for _ in of_item] for of_item in pieces]
        if any(not len(text.ids) for of_item in texts for text in of_item):
            raise invalid("input: a text holds no token")
        return texts

    def _count(self, items: Sequence[Item], texts: Sequence[Sequence[Text]], prefixes: Sequence[str]) -> list[int]:
        """Return the tokens of each input's texts, prefixes included."""
        of_prefix = {prefix: self._model.tokenize([prefix])[0].tokens for prefix in set(prefixes) if prefix}
        return [
            sum(text.tokens for text in of_item) + of_prefix.get(prefix, 0) if item.ids is None else item.ids
            for item, of_item, prefix in zip(items, texts, prefixes, strict=True)
        ]

    def _rows(self, items: Sequence[Item], texts: Sequence[Sequence[Text]], *, lenient: bool) -> Matrix:
        """Return 256 numbers an input: the embedding of its text, or the mean of those of its parts."""
        flat = self._model.embed([text for of_item in texts for text in of_item])
        if all(len(item.texts) == 1 and not item.others for item in items):
            return flat
        rows = np.empty((len(items), TRAINED), dtype=np.float32)
        start = 0
        for row, item in zip(rows, items, strict=True):
            end = start + len(item.texts)
            parts = [*flat[start:end], *(self._part(kind, data, lenient=lenient) for kind, data in item.others)]
            row[:] = np.mean(parts, axis=0)
            start = end
        return unit(rows)

    def _part(self, modality: str, data: str, *, lenient: bool) -> Matrix:
        if modality != "image":
            return _stand_in(data)
        try:
            return self._pictures.embed(data)
        except Refused:
            if lenient:
                return _stand_in(data)
            raise


def _stand_in(data: str) -> Matrix:
    """Return a direction that depends on every byte of a sound, a video or a file, and says nothing about it."""
    seed = int.from_bytes(hashlib.sha256(data.encode()).digest()[:4], "little")
    row = np.random.RandomState(seed).standard_normal((1, TRAINED)).astype(np.float32)
    return np.asarray(unit(row)[0])


def _fit(rows: Matrix, dimensions: int | None, profile: Profile) -> Matrix:
    native = profile.native_dimensions or NATIVE_WHERE_UNKNOWN
    # Where the profile says that unit length is the client's to restore, this model leaves it to the client too.
    fitted = project(rows, native=native, dimensions=dimensions, keep_length=profile.renormalize)
    return fitted * _UNNORMALISED_LENGTH if profile.normalized is False else fitted
