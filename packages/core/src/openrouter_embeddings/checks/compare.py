"""Says whether answers differ by more than the answers to equal requests do.

Answers are compared within what one provider answered, where answers name it: other weights are neither noise nor mark.
Where no answer names a provider, any of several may have served each, so a difference needs more answers to count.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from statistics import median

import numpy as np

from openrouter_embeddings._matrix import Matrix

from .session import cosines

_LEAST = 1e-3
"""The least difference that counts, however quiet the answers are. Rounding to 8 bits makes less."""
_MARGIN = 4.0
"""A difference counts if the least one is this many times the largest between equal requests."""
_SAME = 1e-4
"""What differs by less is the same, however quiet the answers are: in another batch, sums are taken in another order."""
_RESOLUTION = 4e-3
"""Where all equal requests differ by half of this, nothing can be called the same: a mark may change less."""
_FAR = 0.2
"""No two providers of one model are this far apart."""
_UNNAMED = (3, 7)
"""How many answers that name no provider show a difference: on each side, and in all. Were each served by one of two
providers at random, they would fall apart by mark in fewer than 1 of 200 runs."""

Noise = Mapping[str | None, Sequence[float]]
"""The differences between equal requests that one provider served, by provider."""


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """What one request gave.

    Attributes:
        provider: Who served it, where the answer says so.
        rows: The embeddings, by text; where texts were marked, by the text without its mark.
    """

    provider: str | None
    rows: Mapping[str, Matrix]

    def cut(self, width: int) -> Sample:
        """Return the first numbers of each embedding."""
        return Sample(self.provider, {text: row[:width] for text, row in self.rows.items()})


@dataclass(frozen=True, slots=True)
class Comparison:
    """What two kinds of requests showed beside equal ones. A difference is 1 less a cosine, the median over the texts.

    Attributes:
        differs: What is known of each provider: True, False, both where they are not alike; empty: nothing.
        across: The median difference between the two kinds, or None where no provider served both.
        equal: The largest difference between equal requests to those providers, or None where there were none.
    """

    differs: frozenset[bool]
    across: float | None
    equal: float | None

    def __str__(self) -> str:
        """Return the cosines."""
        if self.across is None:
            return "no provider answered both"
        noise = "no equal requests" if self.equal is None else f"{1.0 - self.equal:.6f} between equal requests"
        return f"cosine {1.0 - self.across:.6f}, {noise}"


def compare(first: Sequence[Sample], second: Sequence[Sample], noise: Noise, *, paired: bool = False) -> Comparison:
    """Compare two kinds of requests; paired, two kinds of texts of the same requests, so that one provider served both."""
    across: dict[str | None, list[float]] = {}
    for left, right in zip(first, second, strict=False) if paired else product(first, second):
        if left.provider == right.provider:
            across.setdefault(left.provider, []).append(_difference(left, right))
    least, total = _UNNAMED
    enough = paired or (min(len(first), len(second)) >= least and len(first) + len(second) >= total)
    differs = set[bool]()
    for provider in across.keys() & noise.keys():
        nearest, quietest = min(across[provider]), min(noise[provider])
        # In one request no other provider is to blame: the quietest pair tells the noise, though others be of several.
        counts = nearest > max(_LEAST, _MARGIN * (2.0 * quietest if paired else max(noise[provider])))
        if counts and (enough or provider is not None or nearest > _FAR):
            differs.add(True)
        elif nearest <= max(_SAME, 2.0 * quietest) <= _RESOLUTION:
            differs.add(False)
    gaps = [gap for found in across.values() for gap in found]
    equal = [gap for provider in across for gap in noise.get(provider, ())]
    return Comparison(frozenset(differs), median(gaps) if gaps else None, max(equal, default=None))


def noise_of(groups: Iterable[Sequence[Sample]]) -> dict[str | None, list[float]]:
    """Return what equal requests, group by group, show of each provider."""
    noise: dict[str | None, list[float]] = {}
    for group in groups:
        for left, right in combinations(group, 2):
            if left.provider == right.provider:
                noise.setdefault(left.provider, []).append(_difference(left, right))
    return noise


def _difference(left: Sample, right: Sample) -> float:
    """Return the median over the texts that both hold; embeddings of two widths have nothing in common."""
    texts = [text for text in left.rows if text in right.rows]
    first, second = (np.stack([sample.rows[text] for text in texts]) for sample in (left, right))
    return 1.0 if first.shape != second.shape else float(np.median(1.0 - cosines(first, second)))
