"""Each input gets its own embedding, or the answer is refused: never somebody else's."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from openrouter_embeddings._protocol.answers import MalformedAnswer, read_answer
from openrouter_embeddings._protocol.exchange import Response

MOST = 8
FLOATS = [[at + 1.0, 1.0] for at in range(MOST)]
ENCODED = [base64.b64encode(np.array(row, "<f4").tobytes()).decode() for row in FLOATS]
ODD = (None, -1, 1.5, 1e300, "0", "x", True, False, [0], {}, 2**63, 10**25)
MISSING = object()

place = st.one_of(st.integers(0, MOST), st.integers(0, MOST), st.sampled_from(ODD), st.just(MISSING))


@st.composite
def permuted(draw: Any) -> tuple[list[Any], list[int], int]:
    """Indices, the inputs whose rows they stand beside, and which rows are base64: right, but in any order."""
    order = draw(st.permutations(range(draw(st.integers(1, MOST)))))
    return list(order), list(order), draw(st.integers(0, 2**MOST - 1))


@st.composite
def disturbed(draw: Any) -> tuple[list[Any], list[int], int]:
    """The same with rows dropped or doubled, and some indices made wrong, odd or left out."""
    indices, owners, encoded = draw(permuted())
    for at in draw(st.lists(st.integers(0, len(indices) - 1), max_size=3)):
        match draw(st.sampled_from(["drop", "double", "swap", "replace"])):
            case "drop" if at < len(indices):
                del indices[at], owners[at]
            case "double" if at < len(indices):
                indices.append(indices[at])
                owners.append(owners[at])
            case "replace" if at < len(indices):
                indices[at] = draw(place)
            case _:
                indices.reverse()
                owners.reverse()
    if draw(st.booleans()) and draw(st.booleans()):
        indices = [MISSING] * len(indices)
    return indices, owners, encoded


def answer(indices: list[Any], owners: list[int], encoded: int) -> Response:
    data = []
    for index, owner in zip(indices, owners, strict=True):
        row = {"embedding": ENCODED[owner] if encoded >> owner & 1 else FLOATS[owner]}
        data.append(row if index is MISSING else {"index": index, **row})
    return Response(200, {}, json.dumps({"data": data}).encode())


@settings(max_examples=10_000, deadline=None)
@given(permuted())
def test_any_order_is_put_right_by_index(shuffled):
    indices, owners, encoded = shuffled
    assert read_answer(answer(indices, owners, encoded), len(indices)).rows.tolist() == FLOATS[: len(indices)]


def _means(index: Any) -> Any:
    """What an index says where it can be taken at its word; pydantic reads "0", 1.0 and True as numbers."""
    try:
        return int(index) if not isinstance(index, (list, dict)) else None
    except (TypeError, ValueError, OverflowError):
        return None


@settings(max_examples=10_000, deadline=None)
@given(disturbed(), st.integers(1, MOST))
def test_gaps_doubles_and_odd_indices_never_give_an_input_a_wrong_row(disturbance, count):
    indices, owners, encoded = disturbance
    try:
        rows = read_answer(answer(indices, owners, encoded), count).rows.tolist()
    except MalformedAnswer:
        untouched = sorted(indices, key=str) == sorted(range(count), key=str)
        assert not untouched, "a right answer was refused"
        return
    assert len(rows) == len(indices) == count
    if all(index is MISSING or index is None for index in indices):
        assert rows == [FLOATS[owner] for owner in owners], "without any index the order is the answer's own"
        return
    said = {_means(index): FLOATS[owner] for index, owner in zip(indices, owners, strict=True)}
    assert set(said) == set(range(count)), "each place is named once"
    assert rows == [said[at] for at in range(count)]
