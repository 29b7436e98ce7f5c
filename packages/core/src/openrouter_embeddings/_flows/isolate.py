"""Which inputs of a refused batch are at fault. The others land on the way."""

from __future__ import annotations

from dataclasses import dataclass, field

from openrouter_embeddings._protocol import Diagnosis, Remedy
from openrouter_embeddings.errors import InputTooLongError

from .batches import Batch
from .call import EmbedCall
from .delivery import NO_LONGER_FITS, send_until_settled
from .effects import Flow

_SEARCHABLE = {Remedy.ISOLATE, Remedy.SPLIT}


@dataclass(slots=True)
class _Search:
    """One way down from a refused batch to a single input.

    Attributes:
        culprit: The input that was refused alone, or None.
        diagnosis: How it was refused.
        aside: Inputs that were not looked at.
        largest_landed: Inputs of the largest part that landed.
    """

    diagnosis: Diagnosis
    culprit: int | None = None
    aside: list[int] = field(default_factory=list)
    largest_landed: int = 0


def isolate_culprits(call: EmbedCall, batch: Batch, diagnosis: Diagnosis) -> Flow[dict[int, Diagnosis]]:
    """Land every input of a refused batch but those at fault, and return these, each refused alone.

    Halving leads to one culprit in log2(n) requests, and whatever lands on the way is kept. What was set aside then goes
    out in one request; if that is refused too, the search starts again within it.

    Raises:
        EmbeddingError: The request is at fault, not an input of it.
    """
    culprits: dict[int, Diagnosis] = {}
    suspects, refused_alone, largest_landed = batch, len(batch) == 1, 0
    while True:
        search = yield from _search(call, suspects, diagnosis, refused_alone=refused_alone)
        largest_landed = max(largest_landed, search.largest_landed)
        if search.culprit is not None:
            culprits[search.culprit] = search.diagnosis
        if not search.aside:
            break
        rest = batch.only(search.aside)
        verdict = yield from send_until_settled(call, rest)
        if verdict is None:
            largest_landed = max(largest_landed, len(rest))
            break
        if verdict is NO_LONGER_FITS or verdict.remedy is Remedy.SPLIT:
            call.queue.cut_anew(rest)
            return culprits
        if verdict.remedy is not Remedy.ISOLATE:
            raise call.error(verdict, rest.members)
        unclear = not (largest_landed or call.learned.landed_any or issubclass(verdict.kind, InputTooLongError))
        if unclear and not (yield from _any_succeeds_alone(call, rest)):
            raise call.error(verdict, batch.members)
        left = set(call.unresolved())
        suspects, diagnosis = batch.only([member for member in rest.members if member in left]), verdict
        if not len(suspects):
            break
        refused_alone = len(rest) == 1  # not where the others of them have landed since
    if not culprits and largest_landed:
        call.learned.refused_as_a_whole(largest_landed=largest_landed)
    return culprits


def _search(call: EmbedCall, suspects: Batch, diagnosis: Diagnosis, *, refused_alone: bool) -> Flow[_Search]:
    """Follow the refusals down to one input, and send it alone: no input is blamed by elimination.

    Args:
        call: The call.
        suspects: Where to look.
        diagnosis: How they were refused, perhaps with others.
        refused_alone: Whether the diagnosis is of one input alone.
    """
    search = _Search(diagnosis)
    while len(suspects) > 1:
        left, right = suspects.halves()
        verdict = yield from send_until_settled(call, left)
        if verdict is None:
            suspects, refused_alone = right, False
            search.largest_landed = max(search.largest_landed, len(left))
        elif verdict.remedy in _SEARCHABLE:
            suspects, search.diagnosis = left, verdict
            search.aside = [*right.members, *search.aside]
            refused_alone = len(left) == 1
        else:
            raise call.error(verdict, left.members)
    if not refused_alone:
        verdict = yield from send_until_settled(call, suspects)
        if verdict is None:
            search.largest_landed = max(search.largest_landed, 1)
            return search
        if verdict.remedy not in _SEARCHABLE:
            raise call.error(verdict, suspects.members)
        search.diagnosis = verdict
    search.culprit = suspects.members[0]
    return search


def _any_succeeds_alone(call: EmbedCall, rest: Batch) -> Flow[bool]:
    """Try a few inputs one by one: if none lands, not the inputs are at fault but the request."""
    count = len(rest)
    for index in sorted({count - 1, count // 2, count // 4}, reverse=True):
        if (yield from send_until_settled(call, Batch([rest.members[index]], 1))) is None:
            return True
    return False
