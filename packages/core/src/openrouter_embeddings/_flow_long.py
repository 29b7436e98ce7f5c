"""A text that is too long for the model: cut, or embedded in pieces whose embeddings are averaged. Pure.

How many tokens a text has only the model knows. So a size is tried and, where it is refused, a smaller one: refused
requests are not billed. Each piece is an input like any other: it is looked up, sent, checked and kept in the cache.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from ._effects import Flow, Stopped
from ._job import Job
from ._plan import estimated_tokens
from ._retry import Trouble
from .errors import EmbeddingError, InputTooLongError
from .results import Matrix

Fill = Callable[..., Flow[EmbeddingError | None]]
"""`_flow.fill`: gives every input of a job its embedding."""

_LEAST = 8
"""Characters below which no length is at fault."""
_BYTES_PER_TOKEN = 4
_SURELY = 8
"""Bytes of a token that no ordinary text exceeds on the average."""
_SLACK = 0.97
_NUMBER = re.compile(r"\d[\d,]*")


def surely_too_long(text: object, most: int | None) -> bool:
    """Say whether a text is too long for `most` tokens, however well it packs."""
    return isinstance(text, str) and most is not None and len(text) > most and len(text.encode()) > most * _SURELY


def shorten(job: Job, member: int, trouble: Trouble, fill: Fill) -> Flow[None]:
    """Give a text that is too long an embedding all the same, as `on_too_long` says, or the cause why it has none."""
    try:
        row = yield from (_cut if job.ask.on_too_long == "truncate" else _averaged)(job, member, trouble, fill)
    except EmbeddingError as error:
        job.fail([member], _named(error, job, member))
        return
    job.shortened.append(member)
    job.place([member], row[None, :])
    if job.company is not None:
        job.company.land([member], row[None, :])


def _cut(job: Job, member: int, trouble: Trouble, fill: Fill) -> Flow[Matrix]:
    """Return the embedding of the longest beginning that the model takes."""
    text: str = job.items[member]
    for size in _sizes(text, trouble, job.ask.max_tokens):
        landed, refused = yield from _embed(job, [_beginning(text, size)], fill)
        if not refused:
            return landed[0]
    raise job.error(trouble, [member], attempts=1)


def _averaged(job: Job, member: int, trouble: Trouble, fill: Fill) -> Flow[Matrix]:
    """Return the mean of the embeddings of all pieces by their length, as long as these are on the average."""
    text: str = job.items[member]
    todo = _pieces(text, next(_sizes(text, trouble, job.ask.max_tokens)))
    rows, weights = list[Matrix](), list[int]()
    while todo:
        landed, refused = yield from _embed(job, todo, fill)
        rows += landed.values()
        weights += [len(todo[at]) for at in landed]
        if any(len(todo[at]) <= _LEAST for at in refused):
            raise job.error(trouble, [member], attempts=1)
        todo = [half for at in refused for half in _pieces(todo[at], (len(todo[at]) + 1) // 2)]
    stacked, shares = np.stack(rows), np.array(weights, dtype=np.float64) / sum(weights)
    mean = shares @ stacked
    length = shares @ np.linalg.norm(stacked, axis=1)
    row: Matrix = (mean * (length / np.linalg.norm(mean))).astype(np.float32)
    return row


def _embed(job: Job, texts: list[str], fill: Fill) -> Flow[tuple[dict[int, Matrix], list[int]]]:
    """Embed pieces as a job within the job: return the rows that landed, and the pieces that are too long themselves."""
    sizes = [estimated_tokens(text) for text in texts]
    ask = replace(job.ask, on_too_long="error", normalize=False, on_progress=None)
    inner = Job(ask, job.learned, texts, sizes, range(len(texts)))
    if job.key_of is not None:
        inner.keys = [job.key_of(text) for text in texts]
    try:
        cause = yield from fill(inner, workers=len(texts))
    finally:
        job.absorb(inner)
    cause = cause or next((one for one in inner.failures.values() if not isinstance(one, InputTooLongError)), None)
    if cause is not None:
        raise cause
    if any(one not in inner.failures for one in inner.missing()):
        raise Stopped
    return inner.landed(), sorted(inner.failures)


def _sizes(text: str, trouble: Trouble, most: int | None) -> Iterator[int]:
    """Yield ever smaller numbers of characters to try."""
    told = _told(trouble.said.message if trouble.said else "")
    if told is not None:
        size, step = len(text) * told, 0.9
    elif most is not None:
        size, step = len(text) * most * _BYTES_PER_TOKEN / len(text.encode()), 0.8
    else:
        size, step = len(text) / 2, 0.5
    size = min(size, len(text) * step)
    while size >= _LEAST:
        yield int(size)
        size *= step


def _told(message: str) -> float | None:
    """Return which part of the text would fit, where the refusal names the limit and the tokens found."""
    numbers = sorted({int(one.replace(",", "")) for one in _NUMBER.findall(message)[:20]})[-2:]
    if len(numbers) < 2 or numbers[0] < _LEAST:
        return None
    return _SLACK * numbers[0] / numbers[1]


def _beginning(text: str, size: int) -> str:
    """Return at most `size` characters, ending with a word where one ends near there."""
    at = max(text.rfind(space, size - size // 10, size) for space in " \n\t")
    return text[: at if at > 0 else size]


def _pieces(text: str, size: int) -> list[str]:
    """Return the whole text in pieces of at most `size` characters, of about the same length; blank ones are left out."""
    count = max(1, -(-len(text) // max(size, 1)))
    each = -(-len(text) // count)
    pieces, at = list[str](), 0
    while at < len(text):
        piece = text[at:] if len(text) - at <= each else _beginning(text[at:], each)
        pieces.append(piece)
        at += len(piece)
    return [piece for piece in pieces if piece.strip()]


def _named(error: EmbeddingError, job: Job, member: int) -> EmbeddingError:
    """Return the error of a piece as that of the text it is of."""
    positions = tuple(job.positions([member]))
    if error.positions == positions:
        return error
    whole = type(error)(f"A piece of input {positions[0] if positions else '?'} has no embedding. {error.message}")
    whole.__dict__.update({**error.__dict__, "message": whole.message})
    whole.positions = positions
    return whole
