"""What goes over the wire and what comes back: bodies built, answers read and checked. Pure.

An answer is read in one order: is it JSON, does it hold an `error` (whatever the status), does `data`
have one row per input, does `index` say where each belongs, is every row a finite float32 embedding of
one width. Nothing of an answer that fails one check is used.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import from_json, to_json

from .usage import Usage

if TYPE_CHECKING:
    from ._effects import Reply
    from .results import Matrix

_BOM = b"\xef\xbb\xbf"
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
class Landed:
    """A batch whose answer passed every check. Row i belongs to input i of the batch."""

    rows: Matrix = field(repr=False)
    usage: Usage
    priced: bool
    model: str | None
    provider: str | None
    generation_id: str | None

    def cut(self, width: int) -> Landed:
        """Return the first `width` numbers of each embedding, where there are more."""
        if self.rows.shape[1] <= width:
            return self
        return replace(self, rows=np.ascontiguousarray(self.rows[:, :width]))


@dataclass(frozen=True, slots=True)
class ErrorBody:
    """The gateway's own words about a failure, from any of its forms."""

    status: int
    message: str = ""
    code: str | int | None = None
    error_type: str | None = None
    provider: str | None = None
    generation_id: str | None = None
    retry_after: object = None
    retryable: bool | None = None
    availability: str | None = None
    in_200: bool = False


class Broken(Exception):
    """The answer broke the contract. `what` says how, in words safe to show; `empty` marks `data: []`."""

    def __init__(self, what: str, *, empty: bool = False) -> None:
        super().__init__(what)
        self.what = what
        self.empty = empty


def merged(base: Mapping[str, Any], extra: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` with `extra` merged in field by field; where both hold a mapping, those are merged too."""
    out = dict(base)
    for key, value in extra.items():
        here = out.get(key)
        out[key] = merged(here, value) if isinstance(here, Mapping) and isinstance(value, Mapping) else value
    return out


def request_body(fields: Mapping[str, Any], inputs: Sequence[Any], encoding: str) -> bytes:
    """Return the JSON of one request: fields in stable order, so that the gateway's own cache can recognise it."""
    body = {**fields, "encoding_format": encoding, "input": inputs}
    # A field of extra_body wins over ours, `encoding_format` included.
    body["encoding_format"] = fields.get("encoding_format", encoding)
    return to_json(body)


def read_error(reply: Reply) -> ErrorBody | None:
    """Return the error an answer holds, or None if it holds none. A status of 300 or more is always one."""
    failed = reply.status >= 300
    body = reply.body[:65536] if failed or len(reply.body) < 65536 else b""
    error: Any = None
    try:
        parsed = from_json(body.removeprefix(_BOM)) if body else None
    except ValueError:
        parsed = None
    if isinstance(parsed, dict):
        error = parsed.get("error")
    if not error and not failed:
        return None
    return _error_body(error, reply, failed=failed)


def _error_body(error: Any, reply: Reply, *, failed: bool) -> ErrorBody:
    """Read the classic, the availability and Infron's form, and whatever else a middleman sends."""
    if isinstance(error, str):
        error = {"message": error}
    if not isinstance(error, dict):
        error = {}
    metadata = error.get("metadata") if isinstance(error.get("metadata"), dict) else {}
    availability = error.get("availability") if isinstance(error.get("availability"), dict) else {}
    code = error.get("code", availability.get("code"))
    said = next((one for one in (error.get("http_status"), error.get("status"), code) if _status(one)), None)
    error_type = error.get("error_type") or metadata.get("error_type") or error.get("type")
    retryable = availability.get("retryable")
    return ErrorBody(
        status=reply.status if failed else _status(said) or 502,
        message=error["message"] if isinstance(error.get("message"), str) else "",
        code=code if isinstance(code, (str, int)) else None,
        error_type=error_type if isinstance(error_type, str) else None,
        provider=_text(metadata.get("provider_name")),
        generation_id=generation_id(reply, None),
        retry_after=availability.get("retry_after"),
        retryable=retryable if isinstance(retryable, bool) else None,
        availability=_text(availability.get("code")),
        in_200=not failed,
    )


def _status(value: object) -> int | None:
    """Return an HTTP status from 300 on, sent as a number or as text."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) == 3:
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and 300 <= value < 600 else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def generation_id(reply: Reply, in_body: object) -> str | None:
    """Return the id under which the gateway's support finds this request."""
    return reply.headers.get("x-generation-id") or reply.headers.get("x-infron-request-id") or _text(in_body)


def read_answer(reply: Reply, count: int, *, cost_at_top: bool = False, into: Matrix | None = None) -> Landed:
    """Return `count` embeddings in the order of the inputs, or raise `Broken`.

    The rows are float32, one width, finite and not all zero, each in its place by `index`. Where no row
    has an index the order is the answer's own; where only some have one nothing is assumed.

    `into` is the place that they are meant for. If they fit they are written there at once, before they are checked:
    what stands there counts only once they are returned.
    """
    body = reply.body
    if body[:3] == _BOM:
        body = body[3:]
    try:
        answer = _Answer.model_validate_json(body)
    except ValidationError as invalid:
        raise Broken(_what_is_wrong(invalid, reply)) from None
    if answer.error:
        raise Broken("the answer held both data and an error")
    if not answer.data:
        raise Broken(f"the answer held no embeddings for {count} inputs", empty=True)
    if len(answer.data) != count:
        raise Broken(f"the answer held {len(answer.data)} embeddings for {count} inputs")
    rows = _matrix(_in_order(answer.data), into)
    usage, priced = _read_usage(answer, cost_at_top=cost_at_top)
    if reply.headers.get("x-openrouter-cache-status", "").upper() == "HIT":
        usage, priced = usage + Usage(server_cached=1), True
    return Landed(
        rows=rows,
        usage=usage,
        priced=priced,
        model=_text(answer.model),
        provider=_text(answer.provider),
        generation_id=generation_id(reply, answer.id),
    )


def _what_is_wrong(invalid: ValidationError, reply: Reply) -> str:
    """Say what the first complaint is about, without a byte of the answer."""
    kind = reply.headers.get("content-type", "no content type").split(";")[0][:60]
    first = invalid.errors(include_url=False, include_input=False, include_context=False)[0]
    if first["type"].startswith("json"):
        return f"the answer was not complete JSON ({kind}, {len(reply.body)} bytes)"
    where = ".".join(str(step) for step in first["loc"] if step not in {"bytes", "constrained-list"})
    return f"the answer was not in the shape of embeddings (at {where or 'its top'}: {first['type']})"


def _in_order(data: list[_Row]) -> list[bytes | list[float]]:
    """Return the embeddings by `index`, which must be a permutation of the positions, or absent throughout."""
    indices = [row.index for row in data]
    if all(index is None for index in indices):
        return [row.embedding for row in data]
    if any(index is None for index in indices):
        raise Broken("some embeddings of the answer had an index and some had none")
    if sorted(indices) != list(range(len(data))):  # type: ignore[type-var]
        raise Broken(f"the answer's indices were not 0 to {len(data) - 1}, each once")
    return [row.embedding for row in sorted(data, key=lambda row: row.index or 0)]


def _matrix(rows: list[bytes | list[float]], into: Matrix | None) -> Matrix:
    """Return float32 rows of one width, or raise `Broken`."""
    if any(isinstance(row, bytes) and len(row) % 4 for row in rows):
        raise Broken("an embedding in base64 was not a whole number of float32 values")
    if all(isinstance(row, bytes) for row in rows):
        widths = {len(row) // 4 for row in rows}
    else:
        rows = [np.frombuffer(row, "<f4").tolist() if isinstance(row, bytes) else row for row in rows]
        widths = {len(row) for row in rows}
    if len(widths) != 1:
        raise Broken(f"the answer mixed embeddings of {len(widths)} widths, {min(widths)} to {max(widths)}")
    if widths == {0}:
        raise Broken("the answer held empty embeddings")
    if isinstance(rows[0], bytes):
        matrix = _packed(rows, into)  # type: ignore[arg-type]
    else:
        with np.errstate(over="ignore"):
            matrix = np.array(rows, dtype=np.float32)
    if not np.isfinite(matrix).all():
        raise Broken("an embedding held NaN or an infinite number")
    if not matrix.any(axis=1).all():
        raise Broken("an embedding was all zeros")
    return matrix


def _packed(rows: list[bytes], into: Matrix | None) -> Matrix:
    """Return rows of little-endian float32 as one matrix: copied once, so that many answers at once need little."""
    size = len(rows[0])
    fits = into is not None and into.shape == (len(rows), size // 4)
    matrix = into if into is not None and fits else np.empty((len(rows), size // 4), np.float32)
    place = matrix.reshape(-1).view(np.uint8).data
    for at, row in enumerate(rows):
        place[at * size : (at + 1) * size] = row
    if sys.byteorder == "big":  # pragma: no cover
        matrix.byteswap(inplace=True)
    return matrix


def _read_usage(answer: _Answer, *, cost_at_top: bool) -> tuple[Usage, bool]:
    """Return tokens and cost, and whether a cost was given. Gateways leave out any of it."""
    said = answer.usage if isinstance(answer.usage, dict) else {}
    cost = _amount(answer.cost if cost_at_top and answer.cost is not None else said.get("cost"))
    prompt = int(_amount(said.get("prompt_tokens")) or 0)
    total = _amount(said.get("total_tokens"))
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


def check_width(width: int, *, asked: int | None, learned: int | None, model: str, cuttable: bool = False) -> None:
    """Raise `Broken` where an answer's width is not the one asked for, or not that of earlier answers."""
    if asked is not None and width != asked:
        hint = "; dimensions_fallback=True cuts them" if cuttable and width > asked else ""
        raise Broken(
            f"the answer's embeddings have {width} dimensions where {asked} were asked for (model {model!r}{hint})"
        )
    if asked is None and learned is not None and width != learned:
        raise Broken(f"the answer's embeddings have {width} dimensions, earlier ones had {learned} (model {model!r})")
