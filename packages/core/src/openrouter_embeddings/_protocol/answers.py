"""Answers, read and checked.

They are read in one order: is it JSON, does it hold an `error` (whatever the status), does `data`
have one row per input, does `index` say where each belongs, is every row a finite float32 embedding of
one width. Nothing of an answer that fails one check is used.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from openrouter_embeddings._matrix import Matrix
from openrouter_embeddings.usage import Usage

from .error_bodies import BOM, generation_id, text_or_none
from .exchange import Response

_Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]


class _Row(BaseModel):
    """One item of `data`. The union decodes by what came, not by what was asked for."""

    model_config = ConfigDict(val_json_bytes="base64", hide_input_in_errors=True)

    index: int | None = None
    embedding: Annotated[bytes | Annotated[list[_Number], Field(fail_fast=True)], Field(union_mode="left_to_right")]


class _Answer(BaseModel):
    """The body of an answer. Only `data` is read strictly: new fields and kinds appear without notice."""

    model_config = ConfigDict(val_json_bytes="base64", hide_input_in_errors=True)

    data: Annotated[list[_Row], Field(fail_fast=True)]
    error: Any = None
    id: Any = None
    model: Any = None
    provider: Any = None
    usage: Any = None
    cost: Any = None


@dataclass(frozen=True, slots=True)
class BatchResult:
    """A batch whose answer passed every check.

    Attributes:
        rows: float32, row i for input i of the batch.
        usage: What the answer says was spent.
        priced: Whether it names a cost, or was free.
        was_base64: Whether the embeddings came in base64.
        model: The model served, where named; likewise the provider and the gateway's id of the request.
    """

    rows: Matrix = field(repr=False)
    usage: Usage
    priced: bool
    was_base64: bool = True
    model: str | None = None
    provider: str | None = None
    generation_id: str | None = None

    def cut(self, width: int) -> BatchResult:
        """Return the first `width` numbers of each embedding, where there are more."""
        if self.rows.shape[1] <= width:
            return self
        return replace(self, rows=np.ascontiguousarray(self.rows[:, :width]))


class MalformedAnswer(Exception):
    """The answer broke the contract. `what` says how, in words safe to show; `empty` marks `data: []`."""

    def __init__(self, what: str, *, empty: bool = False) -> None:
        super().__init__(what)
        self.what = what
        self.empty = empty


def read_answer(
    response: Response, count: int, *, cost_at_top: bool = False, into: Matrix | None = None
) -> BatchResult:
    """Return `count` embeddings in the order of the inputs, or raise `MalformedAnswer`.

    The rows are float32, one width, finite and not all zero, each in its place by `index`. Where no row
    has an index the order is the answer's own; where only some have one nothing is assumed.

    `into` is the place that they are meant for. If they fit they are written there at once, before they are checked:
    what stands there counts only once they are returned.
    """
    try:
        answer = _Answer.model_validate_json(response.body.removeprefix(BOM))
    except ValidationError as invalid:
        raise MalformedAnswer(_first_complaint(invalid, response)) from None
    if answer.error:
        raise MalformedAnswer("the answer held both data and an error")
    if not answer.data:
        raise MalformedAnswer(f"the answer held no embeddings for {count} inputs", empty=True)
    if len(answer.data) != count:
        raise MalformedAnswer(f"the answer held {len(answer.data)} embeddings for {count} inputs")
    rows = _matrix(_in_order(answer.data), into)
    usage, priced = _read_usage(answer, cost_at_top=cost_at_top)
    if response.headers.get("x-openrouter-cache-status", "").upper() == "HIT":
        usage, priced = usage + Usage(server_cached=1), True
    return BatchResult(
        rows=rows,
        usage=usage,
        priced=priced,
        was_base64=isinstance(answer.data[0].embedding, bytes),
        model=text_or_none(answer.model),
        provider=text_or_none(answer.provider),
        generation_id=generation_id(response, answer.id),
    )


def _first_complaint(invalid: ValidationError, response: Response) -> str:
    """Say what the first complaint is about, without a byte of the answer."""
    kind = response.headers.get("content-type", "no content type").split(";")[0][:60]
    first = invalid.errors(include_url=False, include_input=False, include_context=False)[0]
    if first["type"].startswith("json"):
        return f"the answer was not complete JSON ({kind}, {len(response.body)} bytes)"
    where = ".".join(str(step) for step in first["loc"] if step not in {"bytes", "constrained-list"})
    return f"the answer was not in the shape of embeddings (at {where or 'its top'}: {first['type']})"


def _in_order(data: list[_Row]) -> list[bytes | list[float]]:
    """Return the embeddings by `index`, which must be a permutation of the positions, or absent throughout."""
    indices = [row.index for row in data]
    if indices == list(range(len(data))):
        return [row.embedding for row in data]
    if all(index is None for index in indices):
        return [row.embedding for row in data]
    if any(index is None for index in indices):
        raise MalformedAnswer("some embeddings of the answer had an index and some had none")
    if sorted(indices) != list(range(len(data))):  # type: ignore[type-var]
        raise MalformedAnswer(f"the answer's indices were not 0 to {len(data) - 1}, each once")
    return [row.embedding for row in sorted(data, key=lambda row: row.index or 0)]


def _matrix(rows: list[bytes | list[float]], into: Matrix | None) -> Matrix:
    """Return float32 rows of one width, or raise `MalformedAnswer`."""
    packed = [row for row in rows if isinstance(row, bytes)]
    sizes = set(map(len, packed))
    if any(size % 4 for size in sizes):
        raise MalformedAnswer("an embedding in base64 was not a whole number of float32 values")
    if len(packed) == len(rows):
        widths = {size // 4 for size in sizes}
    else:
        rows = [np.frombuffer(row, "<f4").tolist() if isinstance(row, bytes) else row for row in rows]
        widths = {len(row) for row in rows}
    if len(widths) != 1:
        raise MalformedAnswer(f"the answer mixed embeddings of {len(widths)} widths, {min(widths)} to {max(widths)}")
    if widths == {0}:
        raise MalformedAnswer("the answer held empty embeddings")
    if len(packed) == len(rows):
        matrix = _packed(packed, into)
    else:
        with np.errstate(over="ignore"):
            matrix = np.array(rows, dtype=np.float32)
    if not np.isfinite(matrix).all():
        raise MalformedAnswer("an embedding held NaN or an infinite number")
    if not matrix.any(axis=1).all():
        raise MalformedAnswer("an embedding was all zeros")
    return matrix


def _packed(rows: list[bytes], into: Matrix | None) -> Matrix:
    """Return rows of little-endian float32 as one matrix: copied once, so that many answers at once need little."""
    size = len(rows[0])
    fits = into is not None and into.shape == (len(rows), size // 4)
    matrix = into if into is not None and fits else np.empty((len(rows), size // 4), np.float32)
    place = matrix.reshape(-1).view(np.uint8).data
    for index, row in enumerate(rows):
        place[index * size : (index + 1) * size] = row
    if sys.byteorder == "big":  # pragma: no cover
        matrix.byteswap(inplace=True)
    return matrix


def _read_usage(answer: _Answer, *, cost_at_top: bool) -> tuple[Usage, bool]:
    """Return tokens and cost, and whether a cost was given. Gateways leave out any of it."""
    reported = answer.usage if isinstance(answer.usage, dict) else {}
    cost = _amount(answer.cost if cost_at_top and answer.cost is not None else reported.get("cost"))
    prompt = int(_amount(reported.get("prompt_tokens")) or 0)
    total = _amount(reported.get("total_tokens"))
    usage = Usage(prompt_tokens=prompt, total_tokens=prompt if total is None else int(total), cost=cost or 0.0)
    return usage, cost is not None


def _amount(value: object) -> float | None:
    """Return a finite, non-negative number, or None."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        number = float(value)
    except OverflowError:  # JSON knows integers of any length
        return None
    return number if 0.0 <= number < float("inf") else None
