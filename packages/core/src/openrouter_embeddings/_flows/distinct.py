"""The inputs of a call, each once, as they go over the wire."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic_core import to_json

from openrouter_embeddings.content import Content, TextPart
from openrouter_embeddings.inputs import Input, wire_inputs
from openrouter_embeddings.profiles import Marking

from .batches import estimated_tokens, unique

_TOKENS_OF_A_PART = 1000


@dataclass(frozen=True, slots=True)
class DistinctInputs:
    """The inputs of a call, each once.

    Attributes:
        items: Texts, or content in its wire form.
        sizes: Their estimated tokens.
        index_of_position: For each of the caller's inputs, which of these it is.
        names: What tells them apart from other inputs of the client.
    """

    items: Sequence[Any]
    sizes: Sequence[int]
    index_of_position: Sequence[int]
    names: Sequence[Any]

    def __len__(self) -> int:
        return len(self.items)

    def positions(self, members: Sequence[int]) -> list[int]:
        """Return the caller's positions at which these distinct inputs stand, ascending."""
        if len(self.index_of_position) == len(self.items):
            return sorted(members)
        wanted = set(members)
        return [position for position, index in enumerate(self.index_of_position) if index in wanted]


def distinct_texts(given: list[Any], marks: Marking, refused: Collection[int] = ()) -> DistinctInputs:
    """Return each text once. None stands for each input that was refused."""
    names = _names(given) if refused else given
    representatives, index_of_position = unique(names)
    items = given if len(representatives) == len(given) else [given[position] for position in representatives]
    extra = estimated_tokens(marks.prefix) - 1
    if not refused:
        return DistinctInputs(items, [estimated_tokens(text) + extra for text in items], index_of_position, items)
    sizes = [estimated_tokens(text or "") + extra for text in items]
    return DistinctInputs(items, sizes, index_of_position, [names[position] for position in representatives])


def distinct_content(given: list[Any], marks: Marking) -> DistinctInputs:
    """Return content in its wire form, texts among it marked; what is never sent stays as it is."""
    names = _names(given)
    representatives, index_of_position = unique(names)
    distinct = [given[position] for position in representatives]
    marked = [marks.prefix + item if isinstance(item, str) else item for item in distinct if item]
    on_the_wire = iter(wire_inputs(marked))
    items = [next(on_the_wire) if item else item for item in distinct]
    sizes = [_estimated_size(item) for item in distinct]
    return DistinctInputs(items, sizes, index_of_position, [names[position] for position in representatives])


def _names(given: Sequence[Any]) -> list[Any]:
    """Return what tells inputs apart. Each that was refused is told apart from all others, by its position."""
    return [
        to_json(item.to_wire()) if isinstance(item, Content) else position if item is None else item
        for position, item in enumerate(given)
    ]


def _estimated_size(item: Input | None) -> int:
    if not isinstance(item, Content):
        return estimated_tokens(item or "")
    return sum(estimated_tokens(part.text) if isinstance(part, TextPart) else _TOKENS_OF_A_PART for part in item.parts)
