"""What can be embedded: a text, or a `Content` of texts, images, audio, video and files. Checked before any request.

No message and no repr of this module shows a text, a URL or data.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import filterfalse
from typing import Any, Literal, TypeAlias

from .content import Content, lone_surrogate
from .errors import InputError

Input: TypeAlias = str | Content


InputType: TypeAlias = Literal["query", "document"]


Progress: TypeAlias = Callable[[int, int], None]
"""Told how many of how many inputs are done."""


def wire_inputs(inputs: Sequence[Input]) -> list[Any]:
    """Return the items of `input`. Where one is a `Content` every text becomes one too: the API takes no mixture."""
    if all(isinstance(one, str) for one in inputs):
        return list(inputs)
    return [(Content.of(one) if isinstance(one, str) else one).to_wire() for one in inputs]


def check_inputs(inputs: Iterable[Input], *, on_empty: str) -> list[Input]:
    """Return the inputs as a list in which every item can be sent, or raise.

    Text of white space alone is not empty. With `on_empty` other than `"error"` empty texts stay in the list.

    Raises:
        InputError: The inputs are not a list, or some of them cannot be embedded; `positions` names them.
    """
    items = _listed(inputs)
    kinds = set(map(type, items))
    texts: list[Any] = items
    if kinds - {str}:
        # Subclasses of str (numpy.str_, members of a str enum) are sent as the text they are.
        items = [str.__str__(one) if isinstance(one, str) else one for one in items]
        _refuse_types(items)
        texts = [one for one in items if isinstance(one, str)]
    if on_empty == "error" and "" in texts:
        _refuse_empty(items)
    if not _all_encode(texts):
        _refuse_surrogates(items)
    return items


def _all_encode(texts: list[str]) -> bool:
    """Say whether UTF-8 can carry every text. A function of its own: as a context the codec's error would hold a text."""
    try:
        # What is not ASCII is encoded at C speed, one text at a time, and dropped at once.
        deque(map(str.encode, filterfalse(str.isascii, texts)), maxlen=0)
    except UnicodeEncodeError:
        return False
    return True


def _listed(inputs: object) -> list[Any]:
    match inputs:
        case str():
            raise InputError("Inputs came as one str. embed takes a list; wrap it: [text].")
        case bytes() | bytearray() | memoryview():
            raise InputError(
                f"Inputs came as {type(inputs).__name__}. embed takes a list of str; decode and wrap it: [data.decode()]."
            )
        case Content():
            raise InputError("Inputs came as one Content. embed takes a list; wrap it: [content].")
        case set() | frozenset() | Mapping():
            # A set has no order to keep, and iterating a mapping would embed its keys.
            raise InputError(f"Inputs came as {type(inputs).__name__}. embed takes a list of str or Content.")
        case Iterable():
            return list(inputs)
        case _:
            raise InputError(f"Inputs came as {type(inputs).__name__}. embed takes a list of str or Content.")


def _refuse_types(items: list[Any]) -> None:
    wrong = [position for position, one in enumerate(items) if not isinstance(one, (str, Content))]
    if not wrong:
        return
    names = " or ".join(sorted({type(items[position]).__name__ for position in wrong})[:5])
    verb = "is" if len(wrong) == 1 else "are"
    raise InputError(f"{named_positions(wrong)} {verb} {names}, not str.", positions=wrong)


def _refuse_empty(items: list[Any]) -> None:
    empty = [position for position, one in enumerate(items) if isinstance(one, str) and not one]
    if len(empty) == 1:
        said = "is empty. Remove it, or choose on_empty='zero' to get a zero embedding in its place."
    else:
        said = "are empty. Remove them, or choose on_empty='zero' to get zero embeddings in their places."
    raise InputError(f"{named_positions(empty)} {said}", positions=empty)


def _refuse_surrogates(items: list[Any]) -> None:
    found = {i: at for i, one in enumerate(items) if isinstance(one, str) and (at := lone_surrogate(one)) is not None}
    first, at = next(iter(found.items()))
    if len(found) == 1:
        said = f"holds a lone surrogate (position {at} of the text)"
    else:
        said = f"hold lone surrogates (the first at position {at} of input {first})"
    raise InputError(f"{named_positions(found)} {said}, which no UTF-8 can carry.", positions=found)


def named_positions(positions: Iterable[int], *, most: int = 8) -> str:
    """Return "Input 3" or "Inputs 3, 5-7 and 9": ascending positions with runs drawn together, at most `most` of them."""
    runs: list[list[int]] = []
    count = 0
    for position in positions:
        count += 1
        if runs and runs[-1][1] == position - 1:
            runs[-1][1] = position
        else:
            runs.append([position, position])
    words = [str(low) if low == high else f"{low}-{high}" for low, high in runs]
    if len(words) > most:
        shown = sum(high - low + 1 for low, high in runs[:most])
        words = [*words[:most], f"{count - shown:,} more"]
    listed = " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))
    return f"{'Input' if count == 1 else 'Inputs'} {listed}"
