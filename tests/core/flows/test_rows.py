"""The table of a call's embeddings: each row its input's own, whatever order they land in."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openrouter_embeddings._flows.rows import RowTable, unit_length


def rows_of(*numbers: float) -> np.ndarray:
    return np.array([[number, 1.0] for number in numbers], np.float32)


@given(st.permutations(range(6)), st.lists(st.integers(1, 3), min_size=1))
def test_rows_land_in_their_places_in_any_order_and_in_any_parts(order, parts):
    table, members = RowTable(6), list(order)
    while members:
        count = parts[len(members) % len(parts)]
        part, members = members[:count], members[count:]
        table.write(part, rows_of(*part))
    assert table.filled.all()
    assert table.unfilled() == []
    assert table.in_order_of([5, 0, 0, 3, 1, 2, 4])[:, 0].tolist() == [5.0, 0.0, 0.0, 3.0, 1.0, 2.0, 4.0]
    assert table.in_order_of(range(6))[:, 0].tolist() == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]


def test_an_empty_table_has_no_width_and_gives_rows_of_nan():
    table = RowTable(2)
    assert table.matrix is None
    assert table.dimensions is None
    assert table.view_for([0]) is None
    rows = table.in_order_of([0, 1, 1], dimensions=3)
    assert rows.shape == (3, 3)
    assert np.isnan(rows).all()


def test_rows_that_are_not_filled_are_nan():
    table = RowTable(3)
    table.write([1], rows_of(7.0))
    assert table.dimensions == 2
    assert table.unfilled() == [0, 2]
    rows = table.in_order_of([0, 1, 2])
    assert np.isnan(rows[[0, 2]]).all()
    assert rows[1].tolist() == [7.0, 1.0]


def test_what_was_written_in_its_place_is_only_marked_as_filled():
    table = RowTable(4)
    table.write([3], rows_of(9.0))
    place = table.view_for([1, 2])
    assert place.base is table.matrix
    place[:] = rows_of(5.0, 6.0)
    assert not table.filled[1]
    table.write([1, 2], place)
    assert table.filled.tolist() == [False, True, True, True]
    assert table.matrix[1:3, 0].tolist() == [5.0, 6.0]


@pytest.mark.parametrize("members", [[0, 2], [0, 2, 1, 3], [3, 2], [0, 3, 2]])
def test_there_is_no_place_for_members_that_are_not_neighbours_in_order(members):
    table = RowTable(4)
    table.write([0], rows_of(1.0))
    assert table.view_for(members) is None


def test_there_is_no_place_for_rows_that_are_to_be_scaled():
    normalizing = RowTable(3, normalize=True)
    normalizing.write([1], rows_of(1.0))
    assert normalizing.view_for([0, 1]) is None


def test_zeros_are_as_wide_as_the_other_rows():
    table = RowTable(2)
    table.write([0], rows_of(1.0))
    table.write_zeros([1], 99)
    assert table.in_order_of([0, 1])[1].tolist() == [0.0, 0.0]
    alone = RowTable(1)
    alone.write_zeros([0], 3)
    assert alone.in_order_of([0]).tolist() == [[0.0, 0.0, 0.0]]


@pytest.mark.parametrize("scale", [1e-25, 1e-10, 1.0, 1e20, 3e37])
def test_rows_of_any_length_are_scaled_to_one(scale):
    rows = np.array([[3.0 * scale, 4.0 * scale]], np.float32)
    assert unit_length(rows) == pytest.approx(np.array([[0.6, 0.8]]), rel=1e-6)
    table = RowTable(1, normalize=True)
    table.write([0], rows)
    assert np.linalg.norm(table.in_order_of([0])[0]) == pytest.approx(1.0, rel=1e-6)
