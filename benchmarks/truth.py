"""The texts that are embedded and the vectors that are right for them. Standard library only: every client imports it.

Text number n gets row n mod 997 of one table. 997 is prime, so no two batches of a usual size begin at the same row:
a batch in a wrong place, or a row out of turn, has wrong numbers.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

ROWS = 997
_WORDS = [
    "the",
    "quick",
    "brown",
    "fox",
    "jumps",
    "over",
    "a",
    "lazy",
    "dog",
    "while",
    "seven",
    "wizards",
    "quietly",
    "mix",
    "a",
    "potion",
    "of",
    "amber",
    "light",
    "and",
    "the",
    "river",
    "carries",
    "small",
    "boats",
    "past",
    "the",
    "mill",
    "towards",
    "the",
    "open",
    "sea",
    "where",
    "the",
    "wind",
    "sleeps",
    "until",
    "morning",
    "comes",
]


def text(number: int) -> str:
    """Return text `number`: about forty tokens, none of its characters needs escaping in JSON."""
    turn = number % len(_WORDS)
    return f"{number:07d} {' '.join(_WORDS[turn:])} {' '.join(_WORDS[:turn])}"


def texts(count: int, first: int = 0) -> list[str]:
    """Return `count` distinct texts."""
    return [text(number) for number in range(first, first + count)]


def stream(count: int) -> Iterator[str]:
    """Yield `count` distinct texts, holding none."""
    return map(text, range(count))


class Truth:
    """The table of right vectors, as the server wrote it."""

    def __init__(self, path: str, dimensions: int) -> None:
        values = array("f")
        values.frombytes(Path(path).read_bytes())
        self._rows = [values[at : at + dimensions] for at in range(0, len(values), dimensions)]

    def check(self, vectors: Sequence[Any], *, first: int = 0) -> None:
        """Raise unless each vector is the right one for its text, to the precision of nine decimal digits."""
        for at, vector in enumerate(vectors):
            right = self._rows[(first + at) % ROWS]
            wrong = len(vector) != len(right) or any(
                abs(a - b) > 1e-8 for a, b in zip(map(float, vector), right, strict=True)
            )
            if wrong:
                raise AssertionError(f"vector {first + at} is not the right one")

    def check_some(self, vectors: Sequence[Any]) -> None:
        """Raise unless a sample over all vectors, first and last included, is right."""
        count = len(vectors)
        for at in {0, count - 1, *range(0, count, max(1, count // 50))} - {-1}:
            self.check(vectors[at : at + 1], first=at)
