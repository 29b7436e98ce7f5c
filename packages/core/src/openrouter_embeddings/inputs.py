"""What can be embedded: a text, or a `Content` of texts, images, audio, video and files. Checked before any request.

No message and no repr of this module shows a text, a URL or data.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from io import BytesIO
from itertools import filterfalse
from typing import Any, Literal, TypeAlias

from .content import Content, ImagePart, lone_surrogate
from .errors import InputError

Input: TypeAlias = str | Content


InputType: TypeAlias = Literal["query", "document"]


Image: TypeAlias = str | os.PathLike[str] | bytes | BytesIO | ImagePart
"""A picture: its path, its https or data URL, its bytes, also in a `BytesIO`, or a part that holds it."""


Progress: TypeAlias = Callable[[int, int], None]
"""Told how many of how many inputs are done."""


def contents_of(images: Iterable[Image]) -> list[Input]:
    """Return the content of each picture.

    Raises:
        InputError: Something is no picture, and `positions` says which; or one picture came in place of a list.
        OSError: A file cannot be read.
    """
    if isinstance(images, (str, os.PathLike, bytes, bytearray, memoryview, BytesIO, ImagePart)):
        raise InputError(f"Pictures came as one {type(images).__name__}. embed takes a list; wrap it: [picture].")
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


def check_inputs(
    inputs: Iterable[Input | None], *, on_empty: str, refused: dict[int, InputError] | None = None
) -> list[Any]:
    """Return the inputs as a list in which every item can be sent, or raise.

    Text of white space alone is not empty. None is: with `on_empty` other than `"error"` both stay, as empty texts.

    Args:
        inputs: An iterable of texts, contents and None, or an Arrow array of strings, of any library.
        on_empty: What becomes of an empty text.
        refused: Takes the error of each input that cannot be embedded, in whose place None then stands, so that none of
            them is raised.

    Raises:
        InputError: The inputs are not a list, or some of them cannot be embedded; `positions` names them.
    """
    given = items = _listed(inputs)
    texts: list[Any] = items
    if set(map(type, items)) - {str}:
        items = list(map(_as_input, given))
        wrong = {
            position: type(item).__name__ for position, item in enumerate(items) if not isinstance(item, (str, Content))
        }
        refuse(items, wrong, _error_of_types, refused)
        texts = [item for item in items if isinstance(item, str)]
    if on_empty == "error" and "" in texts:
        empty = {
            position: "None" if given[position] is None else "empty"
            for position, item in enumerate(items)
            if item == ""
        }
        refuse(items, empty, _error_of_empty, refused)
    if not _all_encode(texts):
        odd = {
            position: place
            for position, item in enumerate(items)
            if isinstance(item, str) and (place := lone_surrogate(item)) is not None
        }
        refuse(items, odd, _error_of_surrogates, refused)
    return items


def refuse(
    items: list[Any],
    found: dict[int, Any],
    error_of: Callable[[dict[int, Any]], InputError],
    refused: dict[int, InputError] | None,
) -> None:
    """Raise one error for all inputs that were found wanting, or note one for each and put None in its place."""
    if refused is None:
        if found:
            raise error_of(found)
        return
    for position, detail in found.items():
        items[position], refused[position] = None, error_of({position: detail})


def _as_input(item: Any) -> Any:
    """Return an item as it is sent: None as an empty text, a subclass of str (numpy's, an enum's) as the text it is."""
    if isinstance(item, str):
        return str.__str__(item)
    if hasattr(item, "as_py"):  # an Arrow scalar
        item = item.as_py()
    return "" if item is None else item


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
        case _ if is_table(inputs):
            raise InputError(f"Inputs came as {type(inputs).__name__}. embed takes one column of it.")
        case _ if callable(to_pylist := getattr(inputs, "to_pylist", None)):
            return list(to_pylist())  # an Arrow array: at once, not scalar by scalar
        case Iterable():
            return list(inputs)
        case _:
            raise InputError(f"Inputs came as {type(inputs).__name__}. embed takes a list of str or Content.")


def is_table(inputs: object) -> bool:
    """Say whether something is a table or a data frame: iterating one gives its columns, or their names."""
    exports = ("__arrow_c_stream__", "__arrow_c_array__", "__dataframe__")
    return hasattr(inputs, "columns") and any(hasattr(inputs, name) for name in exports)


def _error_of_types(found: dict[int, str]) -> InputError:
    names = " or ".join(sorted(set(found.values()))[:5])
    return InputError(f"{named_positions(found)} {_is(found)} {names}, not str.", positions=found)


def _error_of_empty(found: dict[int, str]) -> InputError:
    advice = "Remove it, or choose on_empty='zero' to get a zero embedding in its place."
    if len(found) > 1:
        advice = "Remove them, or choose on_empty='zero' to get zero embeddings in their places."
    kinds = " or ".join(sorted(set(found.values())))
    return InputError(f"{named_positions(found)} {_is(found)} {kinds}. {advice}", positions=found)


def _error_of_surrogates(found: dict[int, int]) -> InputError:
    first, place = next(iter(found.items()))
    problem = f"holds a lone surrogate (position {place} of the text)"
    if len(found) > 1:
        problem = f"hold lone surrogates (the first at position {place} of input {first})"
    return InputError(f"{named_positions(found)} {problem}, which no UTF-8 can carry.", positions=found)


def _is(found: dict[int, Any]) -> str:
    return "is" if len(found) == 1 else "are"


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
