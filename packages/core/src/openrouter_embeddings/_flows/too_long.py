"""A text that is too long for the model: cut, or embedded in pieces whose embeddings are averaged.

How many tokens a text has only the model knows. So a size is tried and, where it is refused, a smaller one: refused
requests are not billed. Each piece is an input like any other: it is looked up, sent, checked and kept in the cache.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from openrouter_embeddings._matrix import Matrix
from openrouter_embeddings._protocol import Diagnosis
from openrouter_embeddings.errors import EmbeddingError, InputTooLongError

from .batches import estimated_tokens
from .call import EmbedCall
from .distinct import DistinctInputs
from .effects import CallStopped, Flow

EmbedMissing = Callable[[EmbedCall], Flow[EmbeddingError | None]]
"""`embedding.embed_missing`: gives every input of a call its embedding."""

_MIN_CHARACTERS = 8
"""Below this no length is at fault."""
_BYTES_PER_TOKEN = 4
_MAX_BYTES_PER_TOKEN = 8
"""No ordinary text exceeds this on the average."""
_SLACK = 0.97
_NUMBER = re.compile(r"\d[\d,]*")


class _CannotShorten(Exception):
    """No part of a text has an embedding: its own error, unlike one that ends the call."""

    def __init__(self, error: EmbeddingError) -> None:
        self.error = error


def surely_too_long(text: object, max_tokens: int | None) -> bool:
    """Return whether a text is too long for so many tokens, however well it packs."""
    if not isinstance(text, str) or max_tokens is None or len(text) <= max_tokens:
        return False
    return len(text.encode()) > max_tokens * _MAX_BYTES_PER_TOKEN


def shorten(call: EmbedCall, index: int, diagnosis: Diagnosis, embed_missing: EmbedMissing) -> Flow[None]:
    """Give a text that is too long an embedding all the same, as `on_too_long` says, or its error."""
    way = _cut if call.settings.on_too_long == "truncate" else _averaged
    positions = call.inputs.positions([index])
    try:
        row = yield from way(call, index, diagnosis, embed_missing)
    except _CannotShorten as reason:
        call.fail([index], _attributed_to(reason.error, positions))
    except EmbeddingError as error:
        raise _attributed_to(error, positions) from None
    else:
        call.record_row(index, row)


def _cut(call: EmbedCall, index: int, diagnosis: Diagnosis, embed_missing: EmbedMissing) -> Flow[Matrix]:
    """Return the embedding of the longest beginning that the model takes."""
    text: str = call.inputs.items[index]
    for length in _candidate_lengths(text, diagnosis, call.settings.max_tokens):
        landed, refused = yield from _embed_pieces(call, [_beginning(text, length)], embed_missing)
        if not refused:
            return landed[0]
    raise _CannotShorten(call.error(diagnosis, [index]))


def _averaged(call: EmbedCall, index: int, diagnosis: Diagnosis, embed_missing: EmbedMissing) -> Flow[Matrix]:
    """Return the mean of the embeddings of all pieces by their length, as long as these are on the average."""
    text: str = call.inputs.items[index]
    pieces = _split_text(text, next(_candidate_lengths(text, diagnosis, call.settings.max_tokens)))
    rows, weights = list[Matrix](), list[int]()
    while pieces:
        landed, refused = yield from _embed_pieces(call, pieces, embed_missing)
        rows += landed.values()
        weights += [len(pieces[piece]) for piece in landed]
        if any(len(pieces[piece]) <= _MIN_CHARACTERS for piece in refused):
            raise _CannotShorten(call.error(diagnosis, [index]))
        pieces = [half for piece in refused for half in _split_text(pieces[piece], (len(pieces[piece]) + 1) // 2)]
    stacked, shares = np.stack(rows).astype(np.float64), np.array(weights, dtype=np.float64) / sum(weights)
    mean = shares @ stacked
    length = shares @ np.linalg.norm(stacked, axis=1)
    row: Matrix = (mean * (length / np.linalg.norm(mean))).astype(np.float32)
    return row


def _embed_pieces(
    call: EmbedCall, texts: list[str], embed_missing: EmbedMissing
) -> Flow[tuple[dict[int, Matrix], list[int]]]:
    """Embed pieces as a call within the call: return the rows that landed, and the pieces that are too long."""
    inputs = DistinctInputs(texts, [estimated_tokens(text) for text in texts], range(len(texts)), texts)
    settings = replace(call.settings, on_too_long="error", normalize=False, on_progress=None)
    inner = EmbedCall(settings, call.learned, inputs, count=call.count, key_of=call.key_of)
    try:
        cause = yield from embed_missing(inner)
    finally:
        call.outcome.add_account_of(inner.outcome)
    if cause is not None:
        raise cause
    for error in inner.failures.values():
        if not isinstance(error, InputTooLongError):
            raise _CannotShorten(error)
    if inner.unresolved():
        raise CallStopped
    matrix = inner.rows.matrix
    landed = {} if matrix is None else {int(at): matrix[at] for at in np.flatnonzero(inner.rows.filled)}
    return landed, sorted(inner.failures)


def _candidate_lengths(text: str, diagnosis: Diagnosis, max_tokens: int | None) -> Iterator[int]:
    """Yield ever smaller numbers of characters to try."""
    fraction = _fraction_from_message(diagnosis.error_body.message if diagnosis.error_body else "")
    if fraction is not None:
        length, step = len(text) * fraction, 0.9
    elif max_tokens is not None:
        length, step = len(text) * max_tokens * _BYTES_PER_TOKEN / len(text.encode()), 0.8
    else:
        length, step = len(text) / 2, 0.5
    length = min(length, len(text) * step)
    while length >= _MIN_CHARACTERS:
        yield int(length)
        length *= step


def _fraction_from_message(message: str) -> float | None:
    """Return which part of the text would fit, where the refusal names the limit and the tokens found."""
    numbers = sorted({int(number.replace(",", "")) for number in _NUMBER.findall(message)[:20]})[-2:]
    if len(numbers) < 2 or numbers[0] < _MIN_CHARACTERS:
        return None
    return _SLACK * numbers[0] / numbers[1]


def _beginning(text: str, length: int) -> str:
    """Return at most `length` characters, ending with a word where one ends near there."""
    end = max(text.rfind(space, length - length // 10, length) for space in " \n\t")
    return text[: end if end > 0 else length]


def _split_text(text: str, length: int) -> list[str]:
    """Return the whole text in pieces of at most `length` characters, of about the same size; blank ones are left out."""
    count = max(1, -(-len(text) // max(length, 1)))
    each = -(-len(text) // count)
    pieces, start = list[str](), 0
    while start < len(text):
        piece = text[start:] if len(text) - start <= each else _beginning(text[start:], each)
        pieces.append(piece)
        start += len(piece)
    return [piece for piece in pieces if piece.strip()]


def _attributed_to(error: EmbeddingError, positions: list[int]) -> EmbeddingError:
    """Return the error of a piece as that of the text it is of."""
    if error.positions == tuple(positions):
        return error
    named = positions[0] if positions else "?"
    return error.reworded(f"A piece of input {named} has no embedding. {error.message}", positions=positions)
