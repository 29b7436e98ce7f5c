"""The body of an answer, and the ways in which trouble corrupts it."""

from __future__ import annotations

import json
import random
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import orjson

from .embed import Embedded
from .model import Matrix
from .schema import EmbeddingRequest


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
        for position in self.order:
            item: dict[str, Any] = {"object": "embedding"}
            if self.indices[position] is not None:
                item["index"] = self.indices[position]
            item["embedding"] = self._embedding(position)
            data.append(item)
        body = {**self.top, "data": data}
        if self.usage is not None:
            body["usage"] = self.usage
        return orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY)

    def _embedding(self, position: int) -> Any:
        if position in self.replaced:
            return self.replaced[position]
        row = self.rows[position]
        if self.base64:
            return b64encode(row.astype("<f4", copy=False).tobytes()).decode()
        return row


def build(request: EmbeddingRequest, embedded: Embedded, *, generation_id: str, cost: float) -> Answer:
    """Return the right answer to a request."""
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
        base64=request.base64,
        indices=list(range(count)),
        usage=usage,
        top={"id": generation_id, "object": "list", "model": request.model, "provider": request.provider},
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


def corrupt(answer: Answer, kind: str, options: Mapping[str, Any]) -> None:
    """Change an answer as a kind of trouble says; a kind that is not about the answer's data changes nothing."""
    if (change := _WHOLE.get(kind)) is not None:
        change(answer)
    elif (spoil := _ONE_EMBEDDING.get(kind)) is not None:
        count = len(answer.order)
        spoil(answer, int(options.get("position", count - 1)) % max(count, 1))


def _shuffle(answer: Answer) -> None:
    inputs = list(answer.order)
    random.Random(len(inputs)).shuffle(answer.order)
    if answer.order == inputs:
        answer.order.reverse()


def _add_one(answer: Answer) -> None:
    count = len(answer.order)
    answer.rows = np.concatenate([answer.rows, answer.rows[:1]])
    answer.indices.append(count)
    answer.order.append(count)


def _double_an_index(answer: Answer) -> None:
    # One row alone has no other to share an index with, so it claims the place of a second.
    answer.indices[-1] = answer.indices[0] if len(answer.order) > 1 else 1


def _drop_indices(answer: Answer) -> None:
    answer.indices = [None] * len(answer.order)


def _drop_some_indices(answer: Answer) -> None:
    answer.indices = [index if index and index % 2 else None for index in answer.indices]


def _drop_usage(answer: Answer) -> None:
    answer.usage = None


def _send_floats(answer: Answer) -> None:
    answer.base64 = False


def _round_to_int8_steps(answer: Answer) -> None:
    """Compute as a provider that has only 255 numbers to choose from."""
    step = np.abs(answer.rows).max(axis=1, keepdims=True) / np.float32(127)
    answer.rows = np.asarray(np.round(answer.rows / step) * step, dtype=np.float32)


def _halve_the_width(answer: Answer) -> None:
    answer.rows = np.ascontiguousarray(answer.rows[:, : answer.rows.shape[1] // 2])


def _put(number: float) -> Callable[[Answer, int], None]:
    """Return what puts a number that is none in front of an embedding."""

    def change(answer: Answer, position: int) -> None:
        answer.rows[position, 0] = number
        if not answer.base64:  # JSON has no such number; Python's own writer sends the word
            answer.replaced[position] = orjson.Fragment(json.dumps(answer.rows[position].tolist()).encode())

    return change


def _zero(answer: Answer, position: int) -> None:
    answer.rows[position] = 0.0


def _replace(embedding: Callable[[Answer, int], Any]) -> Callable[[Answer, int], None]:
    """Return what sends something else as an embedding."""

    def change(answer: Answer, position: int) -> None:
        answer.replaced[position] = embedding(answer, position)

    return change


def _half(answer: Answer, position: int) -> Any:
    row = answer.rows[position, : answer.rows.shape[1] // 2]
    return b64encode(row.tobytes()).decode() if answer.base64 else row.tolist()


def _odd_width(answer: Answer, position: int) -> Any:
    row = answer.rows[position]
    return b64encode(row.tobytes()[:-1]).decode() if answer.base64 else row.tolist()[:-1]


_WHOLE: Mapping[str, Callable[[Answer], object]] = {
    "shuffled": _shuffle,
    "reversed": lambda answer: answer.order.reverse(),
    "missing": lambda answer: answer.order.pop(),
    "extra": _add_one,
    "doubled_index": _double_an_index,
    "no_index": _drop_indices,
    "some_index": _drop_some_indices,
    "empty_data": lambda answer: answer.order.clear(),
    "empty_base64": lambda answer: answer.order.clear(),
    "no_usage": _drop_usage,
    "answer_floats": _send_floats,
    "quantised": _round_to_int8_steps,
    "wrong_width": _halve_the_width,
}
"""What changes an answer as a whole."""
_ONE_EMBEDDING: Mapping[str, Callable[[Answer, int], None]] = {
    "nan": _put(np.nan),
    "inf": _put(np.inf),
    "zero": _zero,
    "null_embedding": _replace(lambda _answer, _position: None),
    "null_number": _replace(lambda answer, position: [None, *answer.rows[position].tolist()[1:]]),
    "ragged": _replace(_half),
    "odd_width": _replace(_odd_width),
    "strings": _replace(lambda answer, position: [str(number) for number in answer.rows[position].tolist()]),
    "bad_base64": _replace(lambda _answer, _position: "!not base64!"),
}
"""What changes one embedding, at the position that the trouble names or the last."""
