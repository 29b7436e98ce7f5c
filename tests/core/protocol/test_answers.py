"""An answer is right in every respect, or it is not used: each input gets its own embedding, never somebody else's."""

from __future__ import annotations

import json
import os
import random
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openrouter_embeddings import errors
from openrouter_embeddings._limits import Load
from openrouter_embeddings._protocol import (
    BatchResult,
    Diagnosis,
    MalformedAnswer,
    Remedy,
    Response,
    diagnose_answer,
    diagnose_error,
    read_answer,
    read_error,
    redacted,
)
from openrouter_embeddings.usage import Usage

from ...support.answers import Answer, embedding_of
from ...support.bodies import BODIES
from ...support.mutations import CORPUS, random_answer

TEXTS = ["one", "two", "three"]
JSON = {"content-type": "application/json; charset=utf-8"}


def answer(rows: list[Any], **more: Any) -> Response:
    return Response(200, JSON, json.dumps({"data": rows, "model": "m", **more}).encode())


# --------------------------------------------------------------------------------------------------- the table of bodies


@pytest.mark.parametrize("base64", [True, False], ids=["base64", "floats"])
@pytest.mark.parametrize("body", BODIES, ids=lambda body: body.name)
def test_a_body_is_put_right_or_never_used(body, base64):
    response = Response(200, JSON, body.make(Answer(TEXTS, base64)))
    if body.complaint is None:
        result = read_answer(response, 3)
        assert result.rows.dtype == np.float32
        assert result.rows.tolist() == [embedding_of(text) for text in TEXTS]
        return
    with pytest.raises(MalformedAnswer) as caught:
        read_answer(response, 3)
    assert body.complaint in caught.value.what
    assert len(caught.value.what) < 200
    assert caught.value.empty == (body.name == "no_data")


def test_an_answer_with_an_error_beside_its_data_is_broken():
    with pytest.raises(MalformedAnswer, match="held both data and an error"):
        read_answer(answer(Answer(["x"], base64=False).rows(), error={"code": 500}), 1)
    assert len(read_answer(answer(Answer(["x"], base64=False).rows(), error=None), 1).rows) == 1


def test_a_complaint_names_the_content_type_and_shows_no_byte_of_the_answer():
    page = Response(200, {"content-type": "text/html; charset=x"}, b"<html>secret")
    with pytest.raises(MalformedAnswer) as caught:
        read_answer(page, 1)
    assert caught.value.what == "the answer was not complete JSON (text/html, 12 bytes)"
    with pytest.raises(MalformedAnswer, match=r"\(no content type, 0 bytes\)"):
        read_answer(Response(200, {}, b""), 1)


# ----------------------------------------------------------------------------------------------------------- facts beside


def test_usage_is_read_where_it_stands():
    rows = Answer(["x"], base64=True).rows()
    usage = {"prompt_tokens": 5, "total_tokens": 7, "cost": 0.25}
    result = read_answer(answer(rows, usage=usage, provider="p", id="gen-1"), 1)
    assert (result.usage, result.priced, result.was_base64) == (
        Usage(prompt_tokens=5, total_tokens=7, cost=0.25), True, True,
    )  # fmt: skip
    assert (result.model, result.provider, result.generation_id) == ("m", "p", "gen-1")
    top = read_answer(answer(rows, usage={"prompt_tokens": 5}, cost=0.5), 1, cost_at_top=True)
    assert top.usage == Usage(prompt_tokens=5, total_tokens=5, cost=0.5)
    inside = read_answer(answer(rows, usage={"cost": 0.5}), 1, cost_at_top=True)
    assert inside.usage.cost == 0.5
    assert not read_answer(answer(Answer(["x"], base64=False).rows()), 1).was_base64


@pytest.mark.parametrize(
    "usage",
    [
        None,
        [],
        "x",
        {"prompt_tokens": None, "cost": "free", "total_tokens": True},
        {"cost": 10**400, "total_tokens": -1},
    ],
)
def test_odd_usage_is_no_reason_to_lose_embeddings(usage):
    result = read_answer(answer(Answer(["x"], base64=True).rows(), usage=usage, model=3), 1)
    assert (result.priced, result.usage, result.model) == (False, Usage(), None)


def test_what_comes_from_the_gateways_own_cache_is_free_and_priced():
    response = answer(Answer(["x"], base64=True).rows())
    hit = Response(200, {"x-openrouter-cache-status": "hit"}, response.body)
    result = read_answer(hit, 1)
    assert (result.usage, result.priced) == (Usage(server_cached=1), True)


def test_a_result_is_cut_to_a_width_where_it_is_wider():
    result = read_answer(answer(Answer(["x"], base64=True).rows()), 1)
    assert result.cut(2).rows.tolist() == [embedding_of("x")[:2]]
    assert result.cut(2).rows.flags.c_contiguous
    assert result.cut(8) is result
    assert "rows" not in repr(result)


# ------------------------------------------------------------------------------------------------------------ permutations

MOST = 8
NAMES = [str(number) for number in range(MOST)]
VECTORS = [embedding_of(name) for name in NAMES]
ODD = (None, -1, 1.5, 1e300, "0", "x", True, False, [0], {}, 2**63, 10**25)
MISSING = object()


def shuffled(indices: list[Any], owners: list[int], encoded: int) -> Response:
    """Return an answer with these indices beside these inputs' rows; the bits of `encoded` say which are base64."""
    data = []
    for index, owner in zip(indices, owners, strict=True):
        row = {"embedding": Answer(NAMES, bool(encoded >> owner & 1)).rows()[owner]["embedding"]}
        data.append(row if index is MISSING else {"index": index, **row})
    return answer(data)


@st.composite
def permuted(draw: Any) -> tuple[list[Any], list[int], int]:
    """Indices, the inputs whose rows they stand beside, and which rows are base64: right, but in any order."""
    order = draw(st.permutations(range(draw(st.integers(1, MOST)))))
    return list(order), list(order), draw(st.integers(0, 2**MOST - 1))


@st.composite
def disturbed(draw: Any) -> tuple[list[Any], list[int], int]:
    """The same with rows dropped or doubled, and some indices made wrong, odd or left out."""
    indices, owners, encoded = draw(permuted())
    place = st.one_of(st.integers(0, MOST), st.integers(0, MOST), st.sampled_from(ODD), st.just(MISSING))
    for row in draw(st.lists(st.integers(0, len(indices) - 1), max_size=3)):
        match draw(st.sampled_from(["drop", "double", "swap", "replace"])):
            case "drop" if row < len(indices):
                del indices[row], owners[row]
            case "double" if row < len(indices):
                indices.append(indices[row])
                owners.append(owners[row])
            case "replace" if row < len(indices):
                indices[row] = draw(place)
            case _:
                indices.reverse()
                owners.reverse()
    if draw(st.booleans()) and draw(st.booleans()):
        indices = [MISSING] * len(indices)
    return indices, owners, encoded


@settings(max_examples=600, deadline=None)
@given(permuted(), st.sampled_from([0, 1, -1, None]))
def test_any_order_is_put_right_by_index_and_written_where_it_is_meant_for_if_it_fits(permutation, wider):
    indices, owners, encoded = permutation
    whole = np.full((len(indices) + 2, 8 + (wider or 0)), 0.25, np.float32)
    into = None if wider is None else whole[1:-1]
    rows = read_answer(shuffled(indices, owners, encoded), len(indices), into=into).rows
    assert rows.tolist() == VECTORS[: len(indices)]
    all_base64 = all(encoded >> owner & 1 for owner in owners)
    assert (rows.base is whole) == (wider == 0 and all_base64)
    assert (whole[[0, -1]] == 0.25).all()
    assert rows.base is whole or (whole == 0.25).all()


def _means(index: Any) -> Any:
    """What an index says where it can be taken at its word; pydantic reads "0", 1.0 and True as numbers."""
    try:
        return int(index) if not isinstance(index, (list, dict)) else None
    except (TypeError, ValueError, OverflowError):
        return None


@settings(max_examples=1500, deadline=None)
@given(disturbed(), st.integers(1, MOST))
def test_gaps_doubles_and_odd_indices_never_give_an_input_a_wrong_row(disturbance, count):
    indices, owners, encoded = disturbance
    try:
        rows = read_answer(shuffled(indices, owners, encoded), count).rows.tolist()
    except MalformedAnswer:
        untouched = sorted(indices, key=str) == sorted(range(count), key=str)
        assert not untouched, "a right answer was refused"
        return
    assert len(rows) == len(indices) == count
    if all(index is MISSING or index is None for index in indices):
        assert rows == [VECTORS[owner] for owner in owners], "without any index the order is the answer's own"
        return
    meant = {_means(index): VECTORS[owner] for index, owner in zip(indices, owners, strict=True)}
    assert set(meant) == set(range(count)), "each place is named once"
    assert rows == [meant[position] for position in range(count)]


# -------------------------------------------------------------------------------------------------------------------- fuzz


def meaning_of(response: Response, *, base64: bool) -> str:
    """Read an answer as the library does, and check whatever comes out. Return what sort of thing that was."""
    problem = "the status"
    if response.status == 200:
        try:
            return check_result(read_answer(response, 3))
        except MalformedAnswer as malformed:
            problem = malformed.what
    body = read_error(response)
    if body is None:
        return check_diagnosis(diagnose_answer(problem))
    assert 300 <= body.status < 600
    redacted(body.message, TEXTS).encode()  # no lone surrogate in a message: it has to be printed
    return check_diagnosis(diagnose_error(body, response.headers, now=response.at, count=3, base64=base64))


def check_result(result: BatchResult) -> str:
    rows = result.rows
    assert (rows.dtype, rows.ndim, len(rows)) == (np.float32, 2, 3)
    assert rows.shape[1] > 0
    assert np.isfinite(rows).all()
    assert rows.any(axis=1).all()
    assert min(result.usage.cost, result.usage.prompt_tokens, result.usage.total_tokens) >= 0
    return "landed"


def check_diagnosis(diagnosis: Diagnosis) -> str:
    assert issubclass(diagnosis.kind, errors.EmbeddingError)
    assert isinstance(diagnosis.remedy, Remedy)
    assert isinstance(diagnosis.load, Load)
    assert diagnosis.retry_after is None or 0.0 <= diagnosis.retry_after < float("inf")
    assert diagnosis.batch_limit is None or 0 < diagnosis.batch_limit < 3
    f"{diagnosis.summary} {diagnosis.advice}".encode()
    return diagnosis.kind.__name__


def test_whatever_comes_is_read_as_right_rows_or_as_an_error_of_ours():
    """20,000 random answers; the number and the seed can be set. A failure names the seed and the answer."""
    seed = int(os.environ.get("OPENROUTER_EMBEDDINGS_FUZZ_SEED") or 20261120)
    chance, seen = random.Random(seed), Counter[str]()
    for number in range(int(os.environ.get("OPENROUTER_EMBEDDINGS_FUZZ_INPUTS") or 20_000)):
        response = random_answer(chance)
        try:
            seen[meaning_of(response, base64=chance.random() < 0.5)] += 1
        except BaseException as failed:
            failed.add_note(f"seed {seed}, input {number}: {response!r} {response.body!r}")
            raise
    assert seen["landed"] > 0, "the mutations spare nothing"
    assert len(seen) > 10, f"the mutations reach too little: {seen}"


@pytest.mark.parametrize("status", [200, 400, 503])
@pytest.mark.parametrize("body", CORPUS, ids=range(len(CORPUS)))
def test_each_way_to_cut_an_answer_is_read(body, status):
    for end in range(len(body) + 1):
        meaning_of(Response(status, {}, body[:end]), base64=True)
