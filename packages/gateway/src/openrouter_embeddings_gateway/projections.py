"""From the model's 256 numbers to the dimensions of the model it stands for.

A row of N >= 512 numbers is `[x, x W] / sqrt(2)`: the 256 trained numbers in front, then W of shape
(256, N - 256) with orthonormal rows. Dot products are kept exactly, and a prefix of 256 or fewer is the
trained one, so that cutting a row and asking for fewer dimensions come to the same.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from .model import TRAINED, Matrix, unit


@lru_cache(maxsize=64)
def _columns(count: int) -> tuple[npt.NDArray[np.int64], Matrix]:
    """Return W as the one row each column takes, and its weight there.

    Each column holds one number, so the rows of W are orthogonal whatever the count, the product needs no
    matrix library, and its bits depend neither on the machine nor on the size of the batch.
    """
    random = np.random.RandomState(count)
    rounds = -(-count // TRAINED)
    rows = np.concatenate([random.permutation(TRAINED) for _ in range(rounds)])[:count]
    signs = random.choice(np.array([-1.0, 1.0]), size=count)
    times = np.bincount(rows, minlength=TRAINED)
    return rows, (signs / np.sqrt(times[rows])).astype(np.float32)


def widen(rows: Matrix, width: int) -> Matrix:
    """Return rows of unit length at `width`; below 256 cut, between 256 and 512 padded with zeros."""
    if width <= TRAINED:
        return rows if width == TRAINED else unit(rows[:, :width])
    wide = np.zeros((len(rows), width), dtype=np.float32)
    wide[:, :TRAINED] = rows
    if width >= 2 * TRAINED:
        taken, weights = _columns(width - TRAINED)
        np.multiply(rows[:, taken], weights, out=wide[:, TRAINED:])
        wide *= np.float32(0.5**0.5)
    return wide


def project(rows: Matrix, *, native: int, dimensions: int | None, keep_length: bool) -> Matrix:
    """Return rows of the dimensions that are asked for, cut from the native ones where these are enough.

    Args:
        rows: 256 numbers each, unit length.
        native: The model's own dimensions.
        dimensions: The request's `dimensions`.
        keep_length: Do not restore unit length after the cut, as some models do not.
    """
    if dimensions is None or dimensions == native:
        return widen(rows, native)
    if dimensions > native:
        return widen(rows, dimensions)
    cut = np.ascontiguousarray(widen(rows, native)[:, :dimensions])
    return cut if keep_length else unit(cut)
