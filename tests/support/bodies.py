"""Bodies of answers to three texts, with status 200: what a reader must put right, and what it must never use.

The one table of them, read by the tests of the reader and, over HTTP, by those of the whole client.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from .answers import WIDTH, Answer

Rows = list[dict[str, Any]]
Change = Callable[[Answer, Rows], Any]
NAN, INF = float("nan"), float("inf")


class Body(NamedTuple):
    """One body.

    Attributes:
        name: Of the test.
        make: Gives it, made of the right answer.
        complaint: What the reader says of it, a part of it at least; None: it is right.
    """

    name: str
    make: Callable[[Answer], bytes]
    complaint: str | None = None


def changed(change: Change) -> Callable[[Answer], bytes]:
    """Return what makes an answer whose `data` was changed in place, or replaced by what the change returns."""

    def make(answer: Answer) -> bytes:
        data = answer.rows()
        other = change(answer, data)
        return json.dumps({**answer.body(), "data": data if other is None else other}).encode()

    return make


def _same(body: bytes | str) -> Callable[[Answer], bytes]:
    return lambda answer: body.encode() if isinstance(body, str) else body


def _recoded(encoding: str) -> Callable[[Answer], bytes]:
    return lambda answer: answer.json().decode().encode(encoding)


def _each(name: str, values: list[Any]) -> Change:
    def change(_: Answer, data: Rows) -> None:
        for row, value in zip(data, values, strict=True):
            row[name] = value

    return change


def _last(value: Any) -> Change:
    return lambda _, data: data[-1].update(embedding=value)


def _last_numbers(*numbers: float) -> Change:
    return lambda answer, data: data[-1].update(embedding=answer.encoded(list(numbers)))


def _without_index(_: Answer, data: Rows) -> None:
    for row in data:
        del row["index"]


def _mixed(answer: Answer, data: Rows) -> None:
    data[0]["embedding"] = Answer(answer.texts, not answer.base64).rows()[0]["embedding"]


_HTML = "<html><head><title>Attention Required!</title></head><body>edge network</body></html>"
_REST = [0.5] * (WIDTH - 1)
_NOT_JSON, _SHAPE, _INDICES = "was not complete JSON", "not in the shape of embeddings", "indices were not 0 to 2"
_NOT_FINITE, _WIDTHS = "held NaN or an infinite number", "mixed embeddings of 2 widths"
BODIES = [
    Body("right", Answer.json),
    Body("byte_order_mark", lambda answer: b"\xef\xbb\xbf" + answer.json()),
    Body("blanks_around", lambda answer: b" \r\n" * 99 + answer.json() + b" \n" * 99),
    Body("order_reversed", changed(lambda _, data: data[::-1])),
    Body("no_index", changed(_without_index)),
    Body("index_null", changed(_each("index", [None] * 3))),
    Body("base64_and_floats", changed(_mixed)),
    Body("utf_16", _recoded("utf-16"), _NOT_JSON),
    Body("utf_32", _recoded("utf-32-be"), _NOT_JSON),
    Body("invalid_utf_8", lambda answer: answer.json().replace(b"faults/", b"\xff\xfe/"), _NOT_JSON),
    Body("html", _same(_HTML), _NOT_JSON),
    Body("empty_body", _same(b""), "was not complete JSON (application/json, 0 bytes)"),
    Body("blanks_only", _same(" " * 1000), _NOT_JSON),
    Body("null", _same("null"), _SHAPE),
    Body("number", _same("12"), _SHAPE),
    Body("list", _same("[]"), _SHAPE),
    Body("text", _same('"ok"'), _SHAPE),
    Body("empty_object", _same("{}"), "not in the shape of embeddings (at data: missing)"),
    Body("truncated_json", lambda answer: answer.json()[:-40], _NOT_JSON),
    Body("two_bodies_in_one", lambda answer: answer.json() * 2, _NOT_JSON),
    Body("nested_brackets", _same("[" * 200_000), _NOT_JSON),
    Body("nested_data", _same('{"data":' * 100_000), _NOT_JSON),
    Body("nul_bytes", _same(bytes(1000)), _NOT_JSON),
    Body("event_stream", _same("data: {}\n\ndata: [DONE]\n\n"), _NOT_JSON),
    Body("one_missing", changed(lambda _, data: data[:-1]), "held 2 embeddings for 3 inputs"),
    Body("one_too_many", changed(lambda _, data: [*data, {**data[0], "index": 3}]), "held 4 embeddings for 3 inputs"),
    Body("one_twice", changed(lambda _, data: [*data, data[0]]), "held 4 embeddings for 3 inputs"),
    Body("no_data", changed(lambda _, data: []), "held no embeddings for 3 inputs"),
    Body("data_is_an_object", changed(lambda _, data: dict(enumerate(data))), _SHAPE),
    Body("data_is_text", changed(lambda _, data: "data"), _SHAPE),
    Body("data_holds_null", changed(lambda _, data: [*data[:2], None]), _SHAPE),
    Body("data_holds_vectors", changed(lambda _, data: [row["embedding"] for row in data]), _SHAPE),
    Body("index_doubled", changed(_each("index", [0, 0, 2])), _INDICES),
    Body("index_from_one", changed(_each("index", [1, 2, 3])), _INDICES),
    Body("index_negative", changed(_each("index", [0, 1, -1])), _INDICES),
    Body("index_huge", changed(_each("index", [0, 1, 10**30])), _INDICES),
    Body("index_a_fraction", changed(_each("index", [0, 1, 1.5])), _SHAPE),
    Body("index_a_word", changed(_each("index", [0, 1, "two"])), "(at data.2.index: int_parsing)"),
    Body("index_in_some", changed(_each("index", [0, None, 2])), "some embeddings of the answer had an index"),
    Body("vector_null", changed(_last(None)), _SHAPE),
    Body("vector_empty", changed(_last([])), _WIDTHS),
    Body("vectors_empty", changed(_each("embedding", [[], [], []])), "held empty embeddings"),
    Body("vectors_empty_text", changed(_each("embedding", ["", "", ""])), "held empty embeddings"),
    Body("vector_an_object", changed(_last({"0": 0.5})), _SHAPE),
    Body("vector_nested", changed(_last([[0.5] * WIDTH])), _SHAPE),
    Body("vector_shorter", changed(_last_numbers(*[0.5] * (WIDTH // 2))), f"{_WIDTHS}, 4 to 8"),
    Body("vector_longer", changed(_last_numbers(*[0.5] * (WIDTH + 1))), f"{_WIDTHS}, 8 to 9"),
    Body("vector_of_zeros", changed(_last_numbers(*[0.0] * WIDTH)), "an embedding was all zeros"),
    Body("not_a_number", changed(_last_numbers(NAN, *_REST)), ""),  # in JSON another complaint than in base64
    Body("infinite", changed(_last_numbers(INF, *_REST)), ""),
    Body("minus_infinite", changed(_last_numbers(-INF, *_REST)), ""),
    Body("beyond_float32", changed(_last([1e300, *_REST])), _NOT_FINITE),
    Body("number_null", changed(_last([None, *_REST])), _SHAPE),
    Body("number_as_text", changed(_last(["0.5"] * WIDTH)), _SHAPE),
    Body("number_a_boolean", changed(_last([True] * WIDTH)), _SHAPE),
    Body("base64_garbage", changed(_last("!not base64!")), _SHAPE),
    Body("base64_odd_length", changed(_last("AAAAA")), _SHAPE),
    Body("base64_not_whole_floats", changed(_last("AAAAAAAA")), "not a whole number of float32 values"),
    Body("base64_with_line_breaks", changed(_last("AACA\nPwAAgD8=")), _SHAPE),
]
