"""How inputs become batches, and embeddings find the way back. Pure.

Equal inputs are sent once. A batch holds at most so many inputs and so many estimated tokens; an input
that is larger than that alone is a batch of its own.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass

SAFE_INPUTS = 64
SAFE_TOKENS = 100_000
"""What any upstream takes, where nothing is known of the model's own limits. See docs/models-and-sides.md."""
MOST_INPUTS = 256
"""More inputs a request buy no speed and cost memory; measured with 16 requests in flight."""
_BYTES_PER_TOKEN = 3


@dataclass(frozen=True, slots=True)
class Batch:
    """The inputs of one request: indices into the plan's unique inputs."""

    members: Sequence[int]
    tokens: int

    def __len__(self) -> int:
        return len(self.members)


def estimated_tokens(text: str) -> int:
    """Return about how many tokens a text has: never far too few, and cheap.

    A character outside ASCII counts as its UTF-8 bytes do, three to a token.
    """
    return (len(text) if text.isascii() else len(text.encode())) // _BYTES_PER_TOKEN + 1


def unique(keys: Sequence[Hashable]) -> tuple[list[int], list[int]]:
    """Return the first position of each distinct key, and for every position its place among those."""
    first_seen: dict[Hashable, int] = {}
    places = [first_seen.setdefault(key, len(first_seen)) for key in keys]
    firsts: list[int] = []
    for position, place in enumerate(places):
        if place == len(firsts):
            firsts.append(position)
    return firsts, places


def batches(sizes: Sequence[int], members: Sequence[int], *, inputs: int, tokens: int) -> Iterator[Batch]:
    """Yield batches that hold `members` in order, none above a limit except an input too large by itself.

    Args:
        sizes: Estimated tokens of each member.
        members: What to put into batches.
        inputs: Most members of a batch, at least 1.
        tokens: Most estimated tokens of a batch.
    """
    start, held = 0, 0
    for at, size in enumerate(sizes):
        if at > start and (at - start >= inputs or held + size > tokens):
            yield Batch(members[start:at], held)
            start, held = at, 0
        held += size
    if start < len(members):
        yield Batch(members[start:], held)


def halves(batch: Batch) -> tuple[Batch, Batch]:
    """Return a batch of two or more as two, their tokens shared out evenly."""
    middle = len(batch) // 2
    left = batch.tokens * middle // len(batch)
    return Batch(batch.members[:middle], left), Batch(batch.members[middle:], batch.tokens - left)
