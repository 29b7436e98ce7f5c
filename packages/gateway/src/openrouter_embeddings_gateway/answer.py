"""The body of an answer, and the ways in which trouble spoils it."""

from __future__ import annotations

import json
import random
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import orjson

from .embed import Embedded
from .model import Matrix
from .schema import Asked

HARMLESS = frozenset(
    {"shuffled", "reversed", "no_index", "no_usage", "bom", "answer_floats", "slow", "drip", "quantised"}
)
"""Kinds of trouble after which every embedding of the answer is still there and right."""
UNDELIVERED = frozenset({"cut", "reset"})
"""Kinds that break the connection after the work was done, where the model was asked at all."""


@dataclass(slots=True)
class Answer:
    """What will be sent. Trouble changes it before it becomes bytes."""

    rows: Matrix
    base64: bool
    indices: list[int | None]
    usage: dict[str, Any] | None
    top: dict[str, Any]
    replaced: dict[int, Any] = field(default_factory=dict)
    """Embeddings by position that are not numbers of a row, as they go into the JSON."""
    order: list[int] = field(default_factory=list)

    def to_bytes(self) -> bytes:
        """Return the JSON body."""
        data: list[dict[str, Any]] = []
        for at in self.order:
            one: dict[str, Any] = {"object": "embedding"}
            if self.indices[at] is not None:
                one["index"] = self.indices[at]
            one["embedding"] = self._embedding(at)
            data.append(one)
        body = {**self.top, "data": data}
        if self.usage is not None:
            body["usage"] = self.usage
        return orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY)

    def _embedding(self, at: int) -> Any:
        if at in self.replaced:
            return self.replaced[at]
        row = self.rows[at]
        if self.base64:
            return b64encode(row.astype("<f4", copy=False).tobytes()).decode()
        return row


def build(asked: Asked, embedded: Embedded, *, generation_id: str, price_per_million: float) -> Answer:
    """Return the right answer to a request."""
    cost = embedded.tokens * price_per_million / 1e6
    usage: dict[str, Any] = {
        "prompt_tokens": embedded.tokens,
        "total_tokens": embedded.tokens,
        "cost": cost,
        "is_byok": False,
        "cost_details": {
            "upstream_inference_cost": None,
            "upstream_inference_prompt_cost": cost,
            "upstream_inference_completions_cost": 0.0,
        },
    }
    if len(embedded.by_modality) > 1:
        usage["prompt_tokens_details"] = {f"{kind}_tokens": count for kind, count in embedded.by_modality.items()}
    count = len(embedded.rows)
    return Answer(
        rows=embedded.rows,
        base64=asked.base64,
        indices=list(range(count)),
        usage=usage,
        top={"id": generation_id, "object": "list", "model": asked.model, "provider": asked.provider},
        order=list(range(count)),
    )


def unbilled(answer: Answer) -> Answer:
    """Return an answer as it is given from the cache: the same, and nothing to pay."""
    if answer.usage is None:
        return answer
    free = {**answer.usage, "prompt_tokens": 0, "total_tokens": 0, "cost": 0.0}
    free.pop("cost_details")
    free.pop("prompt_tokens_details", None)
    return replace(answer, usage=free)


def spoil(answer: Answer, kind: str, options: Mapping[str, Any]) -> None:
    """Change an answer as a kind of trouble says; a kind that is not about the answer's data changes nothing."""
    count = len(answer.order)
    if kind == "shuffled":
        random.Random(count).shuffle(answer.order)
        if answer.order == list(range(count)):
            answer.order.reverse()
    elif kind == "reversed":
        answer.order.reverse()
    elif kind == "missing":
        answer.order.pop()
    elif kind == "extra":
        answer.order.append(0)
        answer.indices.append(count)
        answer.rows = np.concatenate([answer.rows, answer.rows[:1]])
        answer.order[-1] = count
    elif kind == "doubled_index":
        # One row alone has no other to share an index with, so it claims the place of a second.
        answer.indices[-1] = answer.indices[0] if count > 1 else 1
    elif kind == "no_index":
        answer.indices = [None] * count
    elif kind == "some_index":
        answer.indices = [at if at % 2 else None for at in range(count)] if count > 1 else [None]
    elif kind in {"empty_data", "empty_base64"}:
        answer.order.clear()
    elif kind == "no_usage":
        answer.usage = None
    elif kind == "answer_floats":
        answer.base64 = False
    elif kind == "quantised":
        answer.rows = _in_int8_steps(answer.rows)
    else:
        _spoil_numbers(answer, kind, int(options.get("position", count - 1)) % max(count, 1))


def _spoil_numbers(answer: Answer, kind: str, at: int) -> None:
    """Change one embedding, at the position the trouble names or the last."""
    width = answer.rows.shape[1]
    if kind in {"nan", "inf"}:
        answer.rows[at, 0] = np.nan if kind == "nan" else np.inf
        if not answer.base64:  # JSON has no such number; Python's own writer sends the word
            answer.replaced[at] = orjson.Fragment(json.dumps(answer.rows[at].tolist()).encode())
    elif kind == "zero":
        answer.rows[at] = 0.0
    elif kind == "null_embedding":
        answer.replaced[at] = None
    elif kind == "null_number":
        answer.replaced[at] = [None, *answer.rows[at].tolist()[1:]]
    elif kind == "ragged":
        answer.replaced[at] = _one(answer, at, width // 2)
    elif kind == "odd_width":
        raw = answer.rows[at].tobytes()[:-1]
        answer.replaced[at] = b64encode(raw).decode() if answer.base64 else answer.rows[at].tolist()[:-1]
    elif kind == "wrong_width":
        answer.rows = np.ascontiguousarray(answer.rows[:, : width // 2])
    elif kind == "strings":
        answer.replaced[at] = [str(number) for number in answer.rows[at].tolist()]
    elif kind == "bad_base64":
        answer.replaced[at] = "!not base64!"


def _in_int8_steps(rows: Matrix) -> Matrix:
    """Return the rows as a provider computes them that has only 255 numbers to choose from."""
    step = np.abs(rows).max(axis=1, keepdims=True) / np.float32(127)
    return np.asarray(np.round(rows / step) * step, dtype=np.float32)


def _one(answer: Answer, at: int, width: int) -> Any:
    row = answer.rows[at, :width]
    return b64encode(row.tobytes()).decode() if answer.base64 else row.tolist()
