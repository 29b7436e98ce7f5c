"""What a call hands back: everything, or what had landed when it failed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ._matrix import Matrix
from .errors import ConfigurationError, EmbeddingError
from .usage import Usage

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EmbeddingResult:
    """One embedding per input, in input order.

    `eq` is off: comparing arrays has no single answer.

    Attributes:
        embeddings: float32 of shape `(n, dimensions)`; `(0, 0)` where no input was given. A missing row is NaN.
        model: The model the gateway says it served.
        usage: What this call spent.
        providers: Who served it, each once, in order of first appearance, where the gateway says so.
        generation_ids: The gateway's id of every request that landed.
        shortened: Positions of inputs too long for the model, which were cut or averaged as `on_too_long` says.
        errors: Why inputs could not be embedded, by position, ascending; empty unless `on_error="null"`.
        missing_positions: Positions without an embedding: those of `errors`, and of empty inputs with `on_empty="null"`.
    """

    embeddings: Matrix
    model: str
    usage: Usage = field(default_factory=Usage)
    providers: tuple[str, ...] = ()
    generation_ids: tuple[str, ...] = ()
    shortened: tuple[int, ...] = ()
    errors: Mapping[int, EmbeddingError] = field(default_factory=dict)
    missing_positions: tuple[int, ...] = ()

    def __len__(self) -> int:
        """Return the number of embeddings."""
        return len(self.embeddings)

    @property
    def dimensions(self) -> int:
        """The width of every embedding; 0 where there is none."""
        return int(self.embeddings.shape[1])

    @property
    def missing(self) -> npt.NDArray[np.bool_]:
        """Which rows hold no embedding: bool of shape `(n,)`."""
        import numpy as np

        missing = np.zeros(len(self.embeddings), dtype=bool)
        missing[list(self.missing_positions)] = True
        return missing

    def tolist(self) -> list[list[float]]:
        """Return plain Python floats, as frameworks want them: about ten times the memory of `embeddings`.

        In the place of a missing row stands None, which the type leaves out: there is none without `"null"` as an option.
        """
        lists: list[list[float]] = [[] for _ in range(len(self.embeddings))]
        fill_lists(lists, self.embeddings)
        for position in self.missing_positions:
            lists[position] = None  # type: ignore[call-overload]
        return lists

    def to_arrow(self) -> Any:
        """Return a `pyarrow.FixedSizeListArray` of float32: the memory of `embeddings`, not copied; a missing row is null.

        Raises:
            ConfigurationError: pyarrow is not installed.
        """
        try:
            import pyarrow as pa
        except ImportError:
            raise ConfigurationError("to_arrow() needs pyarrow. Install it: pip install pyarrow.") from None
        import numpy as np

        count, width = self.embeddings.shape
        numbers = pa.array(np.ascontiguousarray(self.embeddings).reshape(-1))
        valid = None
        if self.missing_positions:
            valid = pa.py_buffer(np.packbits(~self.missing, bitorder="little").tobytes())
        return pa.Array.from_buffers(pa.list_(pa.float32(), width), count, [valid], children=[numbers])


def fill_lists(lists: Sequence[list[float]], embeddings: Matrix) -> None:
    """Put the numbers of each row, as plain Python floats, into a list that is there already.

    The garbage collector goes through every list each time that enough objects were made. So whatever is made for the rows,
    the lists included, is best made before, while they are empty: that takes a quarter off the time of many.
    """
    for numbers, row in zip(lists, embeddings, strict=True):
        numbers[:] = row.tolist()
