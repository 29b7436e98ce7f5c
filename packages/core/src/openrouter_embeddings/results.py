"""What a call hands back: everything, or what had landed when it failed."""

from __future__ import annotations

from dataclasses import dataclass, field

from ._matrix import Matrix
from .usage import Usage


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EmbeddingResult:
    """One embedding per input, in input order.

    `eq` is off: comparing arrays has no single answer.

    Attributes:
        embeddings: float32 of shape `(n, dimensions)`; `(0, 0)` where no input was given.
        model: The model the gateway says it served.
        usage: What this call spent.
        providers: Who served it, each once, in order of first appearance, where the gateway says so.
        generation_ids: The gateway's id of every request that landed.
        shortened: Positions of inputs too long for the model, which were cut or averaged as `on_too_long` says.
    """

    embeddings: Matrix
    model: str
    usage: Usage = field(default_factory=Usage)
    providers: tuple[str, ...] = ()
    generation_ids: tuple[str, ...] = ()
    shortened: tuple[int, ...] = ()

    def __len__(self) -> int:
        """Return the number of embeddings."""
        return len(self.embeddings)

    @property
    def dimensions(self) -> int:
        """The width of every embedding; 0 where there is none."""
        return int(self.embeddings.shape[1])

    def tolist(self) -> list[list[float]]:
        """Return plain Python floats, as frameworks want them: about ten times the memory of `embeddings`."""
        # The garbage collector goes through every new list several times. All are made first, so it finds them empty:
        # a quarter of the time, where there are many.
        lists: list[list[float]] = [[] for _ in range(len(self.embeddings))]
        for numbers, row in zip(lists, self.embeddings, strict=True):
            numbers[:] = row.tolist()
        return lists
