"""An answer is right in every respect, or it is not used."""

from __future__ import annotations

import base64
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openrouter_embeddings._protocol.answers import MalformedAnswer, check_width, read_answer
from openrouter_embeddings._protocol.error_bodies import read_error
from openrouter_embeddings._protocol.exchange import Response, merged, request_body


def vector(seed: int, width: int = 3) -> np.ndarray:
    return np.arange(1 + seed, 1 + seed + width, dtype="<f4")


def encoded(row: np.ndarray) -> str:
    return base64.b64encode(row.astype("<f4").tobytes()).decode()


def reply(body: object, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Response(status, headers or {"content-type": "application/json"}, raw)


def answer(rows: list[object], **more: object) -> Response:
    return reply({"data": rows, "model": "m", **more})


def row(at: int, *, index: int | None = None, floats: bool = False) -> dict[str, object]:
    embedding = vector(at).tolist() if floats else encoded(vector(at))
    return {"index": at if index is None else index, "embedding": embedding, "object": "embedding"}


@pytest.mark.parametrize("floats", [False, True])
def test_floats_and_base64_come_to_the_same_rows(floats):
    landed = read_answer(answer([row(0, floats=floats), row(1, floats=floats)]), 2)
    assert landed.rows.dtype == np.float32
    assert landed.rows.tolist() == [vector(0).tolist(), vector(1).tolist()]


def test_a_mixture_of_kinds_is_read_by_what_came():
    landed = read_answer(answer([row(0), row(1, floats=True)]), 2)
    assert landed.rows.tolist() == [vector(0).tolist(), vector(1).tolist()]


@settings(max_examples=300)
@given(st.permutations(range(7)), st.booleans(), st.sampled_from([(7, 3), (7, 4), (6, 3), None]))
def test_rows_are_written_where_they_belong_if_they_fit(order: list[int], floats: bool, shape: tuple[int, int] | None):
    whole = np.full((9, shape[1] if shape else 3), 0.25, np.float32)
    into = whole[1 : 1 + shape[0]] if shape else None
    landed = read_answer(answer([row(at, floats=floats) for at in order]), 7, into=into)
    assert landed.rows.tolist() == [vector(at).tolist() for at in range(7)]
    assert (landed.rows.base is whole) == (shape == (7, 3) and not floats)
    assert (whole[0] == 0.25).all()
    assert (whole[8] == 0.25).all()
    assert landed.rows.base is whole or (whole == 0.25).all()


@settings(max_examples=300)
@given(st.permutations(range(7)), st.booleans())
def test_any_order_is_put_right(order: list[int], floats: bool):
    landed = read_answer(answer([row(at, floats=floats) for at in order]), 7)
    assert landed.rows.tolist() == [vector(at).tolist() for at in range(7)]


@settings(max_examples=300)
@given(st.lists(st.integers(-2, 8), min_size=0, max_size=9))
def test_indices_that_are_no_permutation_are_never_used(indices: list[int]):
    rows = [row(5, index=index) for index in indices]
    if sorted(indices) == list(range(6)):
        assert len(read_answer(answer(rows), 6).rows) == 6
    else:
        with pytest.raises(MalformedAnswer):
            read_answer(answer(rows), 6)


def test_without_any_index_the_answers_own_order_holds():
    rows = [{"embedding": encoded(vector(at))} for at in range(3)]
    assert read_answer(answer(rows), 3).rows.tolist() == [vector(at).tolist() for at in range(3)]


NAN = encoded(np.array([1.0, np.nan], dtype="<f4"))
BROKEN = {
    "not json": (b"<html>", "the answer was not complete JSON (application/json, 6 bytes)"),
    "cut": (b'{"data":[{"ind', "the answer was not complete JSON (application/json, 14 bytes)"),
    "nested": (b"[" * 200_000, None),
    "null": (b"null", None),
    "list": (b"[]", None),
    "no data": ({"model": "m"}, "the answer was not in the shape of embeddings (at data: missing)"),
    "empty": ({"data": []}, "the answer held no embeddings for 1 inputs"),
    "too many": ({"data": [row(0), row(1)]}, "the answer held 2 embeddings for 1 inputs"),
    "null embedding": ({"data": [{"index": 0, "embedding": None}]}, None),
    "null number": ({"data": [{"index": 0, "embedding": [1.0, None]}]}, None),
    "text numbers": ({"data": [{"index": 0, "embedding": ["1.0"]}]}, None),
    "nan": ({"data": [{"index": 0, "embedding": NAN}]}, "an embedding held NaN or an infinite number"),
    "nan in json": (b'{"data":[{"index":0,"embedding":[NaN]}]}', None),
    "too large": (b'{"data":[{"index":0,"embedding":[1e39]}]}', "an embedding held NaN or an infinite number"),
    "zeros": ({"data": [{"index": 0, "embedding": [0.0, 0.0]}]}, "an embedding was all zeros"),
    "no numbers": ({"data": [{"index": 0, "embedding": ""}]}, "the answer held empty embeddings"),
    "odd bytes": (
        {"data": [{"index": 0, "embedding": "_-8_"}]},
        "an embedding in base64 was not a whole number of float32 values",
    ),
    "no base64": ({"data": [{"index": 0, "embedding": "!!"}]}, None),
    "index as text": ({"data": [{"index": "x", "embedding": [1.0]}]}, None),
    "with an error": ({"data": [row(0)], "error": {"code": 500}}, "the answer held both data and an error"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_answer_is_never_used(name):
    body, said = BROKEN[name]
    with pytest.raises(MalformedAnswer) as caught:
        read_answer(reply(body), 1)
    if said is not None:
        assert caught.value.what == said
    assert len(caught.value.what) < 200


def test_widths_must_agree():
    rows = [{"index": 0, "embedding": [1.0]}, {"index": 1, "embedding": [1.0, 2.0]}]
    with pytest.raises(MalformedAnswer, match="mixed embeddings of 2 widths, 1 to 2"):
        read_answer(answer(rows), 2)
    with pytest.raises(MalformedAnswer, match="8 dimensions where 4 were asked for"):
        check_width(8, asked=4, learned=None, model="m")
    with pytest.raises(MalformedAnswer, match="8 dimensions, earlier ones had 4"):
        check_width(8, asked=None, learned=4, model="m")
    check_width(4, asked=4, learned=8, model="m")


def test_some_with_and_some_without_an_index_is_broken():
    with pytest.raises(MalformedAnswer, match="some embeddings of the answer had an index"):
        read_answer(answer([row(0), {"embedding": [1.0, 2.0, 3.0]}]), 2)


def test_a_byte_order_mark_is_no_harm():
    assert len(read_answer(reply(b"\xef\xbb\xbf" + json.dumps({"data": [row(0)]}).encode()), 1).rows) == 1


def test_usage_is_read_where_it_stands():
    usage = {"prompt_tokens": 5, "total_tokens": 7, "cost": 0.25}
    landed = read_answer(answer([row(0)], usage=usage, provider="p", id="gen-1"), 1)
    assert (landed.usage.prompt_tokens, landed.usage.total_tokens, landed.usage.cost) == (5, 7, 0.25)
    assert (landed.priced, landed.provider, landed.generation_id) == (True, "p", "gen-1")
    top = read_answer(answer([row(0)], usage={"prompt_tokens": 5}, cost=0.5), 1, cost_at_top=True)
    assert (top.usage.cost, top.usage.total_tokens) == (0.5, 5)


@pytest.mark.parametrize("usage", [None, [], "x", {"prompt_tokens": None, "cost": "free", "total_tokens": True}])
def test_odd_usage_is_no_reason_to_lose_embeddings(usage):
    landed = read_answer(answer([row(0)], usage=usage, model=3), 1)
    assert (landed.priced, landed.usage.total_tokens, landed.model) == (False, 0, None)


def test_the_classic_form_of_an_error():
    metadata = {"error_type": "rate_limit_exceeded", "provider_name": "P"}
    body = {"error": {"code": 429, "message": "slow down", "metadata": metadata}, "user_id": None}
    said = read_error(reply(body, status=429, headers={"x-generation-id": "gen-1"}))
    assert (said.status, said.message, said.code, said.error_type) == (429, "slow down", 429, "rate_limit_exceeded")
    assert (said.provider, said.generation_id, said.in_200) == ("P", "gen-1", False)


def test_the_availability_form_of_an_error():
    availability = {"code": "capacity_exhausted", "retryable": True, "retry_after": 40}
    error = {"message": "m", "error_type": "rate_limit_exceeded", "http_status": 429, "availability": availability}
    said = read_error(reply({"error": error}))
    assert (said.status, said.retryable, said.retry_after) == (429, True, 40)
    assert (said.availability, said.in_200) == ("capacity_exhausted", True)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        ({"code": "429"}, 429),
        ({"code": "odd"}, 502),
        ("text", 502),
        ({"code": 404}, 404),
        (["x"], 502),
        ({"code": True}, 502),
    ],
)
def test_an_error_inside_a_200_has_the_status_it_names(error, status):
    said = read_error(reply({"error": error}))
    assert (said.status, said.in_200) == (status, True)


def test_a_null_error_is_no_error():
    assert read_error(reply({"error": None, "data": []})) is None
    assert read_error(reply(b"not json")) is None


def test_html_with_a_status_is_an_error_of_that_status():
    said = read_error(reply(b"<html>bad gateway</html>", status=502))
    assert (said.status, said.message) == (502, "")


@settings(max_examples=300)
@given(
    st.one_of(
        st.binary(max_size=200),
        st.recursive(
            st.one_of(st.none(), st.booleans(), st.floats(), st.integers(), st.text(max_size=5)),
            lambda inner: st.one_of(
                st.lists(inner, max_size=4),
                st.dictionaries(
                    st.sampled_from(["data", "error", "index", "embedding", "usage", "code", "message"]), inner
                ),
            ),
            max_leaves=20,
        ).map(lambda value: json.dumps(value).encode()),
    ),
    st.integers(1, 3),
)
def test_whatever_comes_only_our_own_exception_leaves_the_reader(body: bytes, count: int):
    try:
        landed = read_answer(reply(body), count)
    except MalformedAnswer:
        pass
    else:
        assert len(landed.rows) == count
    read_error(reply(body))


def test_a_body_has_stable_order_no_nulls_and_merges_what_is_extra():
    fields = merged({"model": "m", "provider": {"order": ["a"]}}, {"provider": {"zdr": True}, "new": 1})
    assert request_body(fields, ["x"], "float") == (
        b'{"model":"m","provider":{"order":["a"],"zdr":true},"new":1,"encoding_format":"float","input":["x"]}'
    )
    assert b'"encoding_format":"int8"' in request_body({"encoding_format": "int8"}, ["x"], "float")


def test_usage_with_an_integer_beyond_any_float_costs_no_embedding():
    huge = b'{"data":[{"index":0,"embedding":[1.0]}],"usage":{"prompt_tokens":%d,"cost":%d}}' % (10**400, 10**400)
    landed = read_answer(Response(200, {}, huge), 1)
    assert landed.rows.tolist() == [[1.0]]
    assert (landed.usage.prompt_tokens, landed.priced) == (0, False)


def test_base64_of_half_a_float_among_lists_is_broken():
    body = b'{"data":[{"index":0,"embedding":[1.0,2.0]},{"index":1,"embedding":"AEA="}]}'
    with pytest.raises(MalformedAnswer, match="not a whole number of float32 values"):
        read_answer(Response(200, {}, body), 2)
