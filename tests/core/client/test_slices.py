"""How a stream becomes slices, and what comes of a slice: every input once, as an embedding or as its error."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openrouter_embeddings import Content, InputError, Options, Usage, errors
from openrouter_embeddings._flows import Batch, LearnedLimits
from openrouter_embeddings._flows.learned import BatchLimits
from openrouter_embeddings._protocol import BatchResult
from openrouter_embeddings.client.slices import Slice, Slicer, check_stream, lines_or_items
from openrouter_embeddings.client.state import ClientState

from .conftest import MODEL


def limits(inputs: int = 3, tokens: int = 1000) -> LearnedLimits:
    return LearnedLimits(encoding="base64", initial=BatchLimits(inputs, tokens))


def sliced(slicer: Slicer, inputs) -> list[list]:
    full = [pairs for given_input in inputs if (pairs := slicer.add(given_input)) is not None]
    last = slicer.flush()
    return [*full, last] if last else full


@given(st.lists(st.integers(0, 90), max_size=40), st.integers(1, 5), st.integers(1, 40))
def test_every_input_is_in_one_slice_in_order_and_slices_keep_both_limits(lengths, inputs, tokens):
    slices = sliced(Slicer(limits(inputs, tokens)), ["x" * length for length in lengths])
    assert [ident for pairs in slices for ident, _ in pairs] == list(range(len(lengths)))
    assert [len(text) for pairs in slices for _, text in pairs] == lengths
    for pairs in slices:
        sizes = [len(text) // 3 + 1 for _, text in pairs if text]
        assert len(sizes) <= inputs
        assert sum(sizes) <= tokens or len(sizes) == 1


def test_a_slice_is_handed_over_as_soon_as_nothing_more_fits():
    slicer = Slicer(limits(2))
    assert slicer.add("a") is None
    assert slicer.add("b") == [(0, "a"), (1, "b")]
    assert slicer.flush() == []


def test_what_was_learnt_meanwhile_holds_for_the_next_slice():
    learned = limits(4)
    slicer = Slicer(learned)
    assert slicer.add("a") is None
    learned.limit_named(2)
    assert slicer.add("b") == [(0, "a"), (1, "b")]


def test_what_is_put_before_each_text_counts():
    assert len(sliced(Slicer(limits(9, 20), marked=9), ["x", "y", "z"])) == 2


def test_empty_texts_fill_no_request_and_travel_with_others():
    assert sliced(Slicer(limits(2)), ["", "", "", "a", "", "b", ""]) == [
        [(0, ""), (1, ""), (2, ""), (3, "a"), (4, ""), (5, "b")],
        [(6, "")],
    ]
    assert sliced(Slicer(limits(2)), [None, "a", None, "b"]) == [[(0, None), (1, "a"), (2, None), (3, "b")]]


def test_memory_is_bounded_though_all_texts_are_empty():
    slicer = Slicer(limits(2))
    held = [slicer.add("") or len(slicer._held) for _ in range(20_000)]
    assert max(count for count in held if isinstance(count, int)) == 8193


def test_ids_come_with_the_inputs_or_are_counted():
    assert sliced(Slicer(limits(9)), [("a", "one"), "two", (("k", 1), "three")]) == [
        [("a", "one"), (1, "two"), (("k", 1), "three")]
    ]


@pytest.mark.parametrize("ident", [["a"], {"a": 1}])
def test_an_id_that_cannot_be_hashed_is_named_where_it_stands(ident):
    slicer = Slicer(limits())
    slicer.add("fine")
    with pytest.raises(InputError, match=rf"The id of input 1 is {type(ident).__name__}, which cannot be hashed"):
        slicer.add((ident, "text"))


@pytest.mark.parametrize("wrong", ["text", b"bytes", {"key": "value"}, {"a"}, Content.of("a")], ids=str)
def test_what_can_be_iterated_and_is_no_stream_is_refused(wrong):
    with pytest.raises(InputError, match=f"Inputs came as {type(wrong).__name__}"):
        check_stream(wrong)


def test_a_table_is_no_stream_of_texts():
    pa = pytest.importorskip("pyarrow")
    with pytest.raises(InputError, match="Inputs came as Table"):
        check_stream(pa.table({"text": ["a"]}))
    check_stream(pa.array(["a"]))


def test_lines_of_a_file_are_texts_without_their_ends():
    assert list(lines_or_items(io.StringIO("one\ntwo\r\n\nlast"))) == ["one", "two\r", "", "last"]
    assert lines_or_items([1, 2]) == [1, 2]


# ------------------------------------------------------------------------------------------------------- what comes of it


def slice_of(pairs: list, **options) -> Slice:
    state = ClientState(Options(model=options.pop("model", MODEL), api_key="k", **options))
    return Slice(pairs, lambda inputs: state.call(inputs, "document", urgent=False, on_error="null"))


def land(part: Slice, *members: int) -> None:
    rows = np.array([[float(part.call.inputs.items[member]), 1.0] for member in members], np.float32)
    part.call.record(Batch(members, 1), BatchResult(rows, Usage(), priced=True))


def test_inputs_that_cannot_be_sent_have_their_errors_and_the_others_go():
    part = slice_of([("a", "1"), ("b", ""), ("c", 7), ("d", "\ud800"), ("e", "2")])
    assert part.call.unresolved() == [0, 4]
    land(part, 0, 4)
    batch = part.result()
    assert batch.ids == ["a", "e"]
    assert batch.embeddings[:, 0].tolist() == [1.0, 2.0]
    assert {ident: type(error) for ident, error in batch.errors.items()} == dict.fromkeys("bcd", InputError)
    assert {ident: error.positions for ident, error in batch.errors.items()} == {"b": (1,), "c": (2,), "d": (3,)}
    assert "\ud800" not in str(batch.errors["d"])


def test_a_slice_of_nothing_that_can_be_sent_is_all_errors():
    part = slice_of([(0, ""), (1, 7)])
    assert part.call.unresolved() == []
    batch = part.result()
    assert (batch.ids, len(batch.embeddings), sorted(batch.errors)) == ([], 0, [0, 1])


def test_an_input_that_was_refused_has_its_error_and_stops_nothing():
    part = slice_of([("a", "1"), ("b", "2"), ("c", "1"), ("d", "2")])
    land(part, 0)
    error = errors.InvalidRequestError("no")
    part.call.fail([1], error)
    batch = part.result()
    assert batch.ids == ["a", "c"]
    assert batch.errors == {"b": error, "d": error}


def test_a_slice_that_was_stopped_in_the_middle_has_no_result():
    part = slice_of([("a", "1"), ("b", "2")])
    land(part, 0)
    assert part.result() is None


def test_an_empty_text_or_none_may_have_neither_an_embedding_nor_an_error():
    part = slice_of([("a", "1"), ("b", ""), ("c", None), ("d", 7)], on_empty="null")
    land(part, 0)
    batch = part.result()
    assert (batch.ids, list(batch.errors), part.missing) == (["a"], ["d"], 2)
    assert batch.embeddings.tolist() == [[1.0, 1.0]]


@pytest.mark.parametrize("landed", [True, False])
def test_empty_texts_alone_end_no_stream(landed):
    part = slice_of([(0, ""), (1, "")], model="new/model", on_empty="zero")
    if landed:
        part.call.learned.accepts_width(3)
    batch = part.result()
    if landed:
        assert (batch.ids, batch.embeddings.shape) == ([0, 1], (2, 3))
    else:
        assert batch.ids == []
        assert all(isinstance(error, InputError) for error in batch.errors.values())
        assert "Set dimensions" in str(batch.errors[0])
