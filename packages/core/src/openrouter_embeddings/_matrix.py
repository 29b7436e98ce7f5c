"""The type of embeddings: float32 of shape `(n, dimensions)`. numpy itself is loaded where rows are made, not here."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

Matrix: TypeAlias = "npt.NDArray[np.float32]"
