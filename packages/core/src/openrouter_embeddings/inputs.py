"""What can be embedded: a text, or a `Content` of texts, images, audio, video and files. Checked before any request.

No message and no repr of this module shows a text, a URL or data.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import filterfalse
from typing import Any, Literal, TypeAlias

from .content import Content, ImagePart, lone_surrogate
from .errors import InputError

Input: TypeAlias = str | Content


InputType: TypeAlias = Literal["query", "document"]


Image: TypeAlias = str | os.PathLike[str] | bytes | ImagePart
"""A picture: its path, its https or data URL, its bytes, or a part that holds it."""


Progress: TypeAlias = Callable[[int, int], None]
"""Told how many of how many inputs are done."""


def contents_of(images: Iterable[Image]) -> list[Input]:
    """Return the content of each picture.

    Raises:
        InputError: Something is no picture; `positions` says which.
        OSError: A file cannot be read.
    """
    contents: list[Input] = []
    for position, image in enumerate(images):
        try:
            contents.append(Content.of(ImagePart.of(image)))
        except InputError as error:
            raise InputError(f"Input {position}: {error.message}", positions=[position]) from None
    return contents


def wire_inputs(inputs: Sequence[Input]) -> list[Any]:
    """Return the items of `input`. Where one is a `Content` every text becomes one too: the API takes no mixture."""
    if all(isinstance(item, str) for item in inputs):
        return list(inputs)
    return [(Content.of(item) if isinstance(item, str) else item).to_wire() for item in inputs]


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
        items = [str.__str__(item) if isinstance(item, str) else item for item in items]
        _refuse_types(items)
        texts = [item for item in items if isinstance(item, str)]
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
    wrong = [position for position, item in enumerate(items) if not isinstance(item, (str, Content))]
    if not wrong:
        return
    names = " or ".join(sorted({type(items[position]).__name__ for position in wrong})[:5])
    verb = "is" if len(wrong) == 1 else "are"
    raise InputError(f"{named_positions(wrong)} {verb} {names}, not str.", positions=wrong)


def _refuse_empty(items: list[Any]) -> None:
    empty = [position for position, item in enumerate(items) if item == ""]
    if len(empty) == 1:
        advice = "is empty. Remove it, or choose on_empty='zero' to get a zero embedding in its place."
    else:
        advice = "are empty. Remove them, or choose on_empty='zero' to get zero embeddings in their places."
    raise InputError(f"{named_positions(empty)} {advice}", positions=empty)


def _refuse_surrogates(items: list[Any]) -> None:
    places = {
        position: place
        for position, item in enumerate(items)
        if isinstance(item, str) and (place := lone_surrogate(item)) is not None
    }
    first, place = next(iter(places.items()))
    if len(places) == 1:
        problem = f"holds a lone surrogate (position {place} of the text)"
    else:
        problem = f"hold lone surrogates (the first at position {place} of input {first})"
    raise InputError(f"{named_positions(places)} {problem}, which no UTF-8 can carry.", positions=places)


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
