"""How inputs become batches, and embeddings find the way back.

Equal inputs are sent once. A batch holds at most so many inputs and so many estimated tokens; an input that is larger
than that alone is a batch of its own. Batches are cut one by one, when a worker asks for the next, so that what was
learnt meanwhile holds at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

from openrouter_embeddings._fork import Lock

from .learned import BatchLimits, LearnedLimits

_BYTES_PER_TOKEN = 3


def estimated_tokens(text: str) -> int:
    """Return about how many tokens a text has: never far too few, and cheap.

    A character outside ASCII counts as its UTF-8 bytes do, three to a token.
    """
    return (len(text) if text.isascii() else len(text.encode(errors="replace"))) // _BYTES_PER_TOKEN + 1


def unique(names: Sequence[Hashable]) -> tuple[list[int], list[int]]:
    """Return the first position of each distinct name, and for every position the index of its name among those."""
    first_seen: dict[Hashable, int] = {}
    index_of_position = [first_seen.setdefault(name, len(first_seen)) for name in names]
    representatives: list[int] = []
    for position, index in enumerate(index_of_position):
        if index == len(representatives):
            representatives.append(position)
    return representatives, index_of_position


@dataclass(slots=True, eq=False)
class SizeTest:
    """A batch that was refused for its size. If its halves land, it was the size.

    Attributes:
        count: Inputs of the refused batch.
        tokens: Its estimated tokens.
        by_tokens: Whether the refusal spoke of bytes or tokens rather than of a number of inputs.
        halves_landed: How many of its two halves have landed, whole.
    """

    count: int
    tokens: int
    by_tokens: bool
    halves_landed: int = 0


@dataclass(frozen=True, slots=True)
class Batch:
    """The inputs of one request: indices into the call's distinct inputs.

    Attributes:
        members: The indices.
        tokens: Their estimated tokens.
        half_of: The refused batch that it is a half of.
        is_a_try: Whether it is larger than what is known to be taken, to find out whether more is.
    """

    members: Sequence[int]
    tokens: int
    half_of: SizeTest | None = None
    is_a_try: bool = False

    def __len__(self) -> int:
        return len(self.members)

    def only(self, members: Sequence[int]) -> Batch:
        """Return the batch without its other members."""
        if len(members) == len(self.members):
            return self
        return Batch(members, self.tokens * len(members) // max(1, len(self.members)))

    def halves(self, test: SizeTest | None = None) -> tuple[Batch, Batch]:
        """Return a batch of two or more as two, its tokens shared out evenly."""
        middle = len(self) // 2
        left = self.tokens * middle // len(self)
        return (
            Batch(self.members[:middle], left, half_of=test),
            Batch(self.members[middle:], self.tokens - left, half_of=test),
        )


class BatchQueue:
    """What a call has left to send. Its workers take batches from it, from several threads.

    Args:
        members: The inputs to send.
        sizes: Estimated tokens of every input of the call.
        learned: How large a batch may be.
    """

    def __init__(self, members: Sequence[int], sizes: Sequence[int], learned: LearnedLimits) -> None:
        self._sizes = sizes
        self._learned = learned
        self._cut: deque[Batch] = deque()
        self._uncut: deque[Sequence[int]] = deque()
        self._alone: deque[Batch] = deque()
        self._lock = Lock()
        self.begin(members)

    def begin(self, members: Sequence[int], *, alone: Sequence[int] = ()) -> None:
        """Begin anew, with these inputs, and behind them some that are each in a batch of its own."""
        with self._lock:
            self._cut.clear()
            self._uncut = deque([members] if members else ())
            self._alone = deque([Batch([member], self._sizes[member]) for member in alone])

    def __bool__(self) -> bool:
        return bool(self._cut or self._uncut or self._alone)

    def is_one_batch(self) -> bool:
        """Return whether one request can hold it all."""
        limits = self._learned.limits()
        count = sum(map(len, self._uncut))
        cut = len(self._cut) + len(self._alone)
        if cut or count > limits.inputs:
            return cut + count <= 1
        return sum(map(self._sizes.__getitem__, chain.from_iterable(self._uncut))) <= limits.tokens

    def next(self) -> Batch | None:
        """Return the next batch, cut to what a request may hold now, or None."""
        with self._lock:
            if self._cut:
                return self._cut.popleft()
            if not self._uncut:
                return self._alone.popleft() if self._alone else None
            members = self._uncut.popleft()
            count, tokens = self._fitting(members, self._learned.limits_to_try())
            if count < len(members):
                self._uncut.appendleft(members[count:])
            proven = self._learned.limits()
            is_a_try = count > 1 and (count > proven.inputs or tokens > proven.tokens)
            if is_a_try:
                self._learned.try_begins()
            return Batch(members[:count], tokens, is_a_try=is_a_try)

    def put_back(self, batches: Iterable[Batch]) -> None:
        """Queue batches before everything else, in their order."""
        with self._lock:
            self._cut.extendleft(reversed(list(batches)))

    def cut_anew(self, batch: Batch) -> None:
        """Queue a batch before everything else, to be cut by what is known now."""
        with self._lock:
            self._uncut.appendleft(batch.members)

    def _fitting(self, members: Sequence[int], limits: BatchLimits) -> tuple[int, int]:
        """Return how many of the members fit into a request, at least one, and their estimated tokens."""
        tokens = 0
        for count, member in enumerate(members):
            size = self._sizes[member]
            if count and (count >= limits.inputs or tokens + size > limits.tokens):
                return count, tokens
            tokens += size
        return len(members), tokens
