"""The embeddings of one call: one array, written row by row as batches land."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from openrouter_embeddings._matrix import Matrix


class RowTable:
    """One row for each distinct input. Workers in several threads write to rows of their own.

    Args:
        count: How many distinct inputs there are.
        normalize: Whether to scale each row to unit length.
    """

    def __init__(self, count: int, *, normalize: bool = False) -> None:
        self.filled = np.zeros(count, dtype=bool)
        """Which rows hold an embedding."""
        self._normalize = normalize
        self._matrix: dict[str, Matrix] = {}

    @property
    def matrix(self) -> Matrix | None:
        """float32 of shape (count, dimensions), or None before the first row. Rows that are not filled hold anything."""
        return self._matrix.get("rows")

    @property
    def dimensions(self) -> int | None:
        """The width of the rows, or None before the first."""
        return None if self.matrix is None else int(self.matrix.shape[1])

    def view_for(self, members: Sequence[int]) -> Matrix | None:
        """Return the place of some rows, where it is in one piece and takes rows as they are."""
        if self.matrix is None or self._normalize or not _consecutive(members):
            return None
        return self.matrix[members[0] : members[-1] + 1]

    def write(self, members: Sequence[int], rows: Matrix) -> None:
        """Write rows, unless they stand in their place already."""
        matrix = self._allocated(rows.shape[1])
        where = slice(members[0], members[-1] + 1) if _consecutive(members) else list(members)
        if rows.base is not matrix:
            matrix[where] = unit_length(rows) if self._normalize else rows
        self.filled[where] = True

    def write_zeros(self, members: Sequence[int], dimensions: int) -> None:
        """Write rows of zeros, as wide as the others; `dimensions` says how wide if there are none."""
        self._allocated(dimensions)[list(members)] = 0.0
        self.filled[list(members)] = True

    def unfilled(self) -> list[int]:
        """Return the rows that hold no embedding yet."""
        unfilled: list[int] = (~self.filled).nonzero()[0].tolist()
        return unfilled

    def in_order_of(self, index_of_position: Sequence[int], *, dimensions: int = 0) -> Matrix:
        """Return one row for each position; rows that are not filled are NaN."""
        if self.matrix is None:
            return np.full((len(index_of_position), dimensions), np.nan, dtype=np.float32)
        if not self.filled.all():
            self.matrix[~self.filled] = np.nan
        if len(index_of_position) == len(self.filled):
            return self.matrix
        ordered: Matrix = self.matrix[np.asarray(index_of_position, dtype=np.intp)]
        return ordered

    def _allocated(self, dimensions: int) -> Matrix:
        if "rows" not in self._matrix:
            # setdefault is atomic: of two threads that come first, both use the same array.
            self._matrix.setdefault("rows", np.empty((len(self.filled), dimensions), dtype=np.float32))
        return self._matrix["rows"]


def unit_length(rows: Matrix) -> Matrix:
    """Return the rows scaled to unit length. Lengths are taken in double precision: the squares of float32 overflow."""
    lengths = np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True)
    scaled: Matrix = (rows / lengths).astype(np.float32)
    return scaled


def _consecutive(members: Sequence[int]) -> bool:
    return list(members) == list(range(members[0], members[0] + len(members)))
