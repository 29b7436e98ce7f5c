"""Every input that cannot be sent is named by its position, and no message shows a text."""

from __future__ import annotations

import numpy as np
import pytest

from openrouter_embeddings.content import Content, ImagePart
from openrouter_embeddings.errors import InputError
from openrouter_embeddings.inputs import check_inputs, contents_of, named_positions, wire_inputs

SECRET = "the patient's name"


def test_texts_come_back_as_they_are_in_a_list():
    texts = ["a", " ", "\n", "ü", "😀", "\x00", "a"]
    assert check_inputs(texts, on_empty="error") == texts
    assert check_inputs(iter(texts), on_empty="error") == texts
    assert check_inputs(tuple(texts), on_empty="error") is not texts
    assert check_inputs([], on_empty="error") == []


def test_subclasses_of_str_become_plain_text():
    checked = check_inputs(np.array(["a", "b"]), on_empty="error")
    assert checked == ["a", "b"]
    assert {type(text) for text in checked} == {str}


def test_empty_texts_stay_where_another_policy_deals_with_them():
    assert check_inputs(["a", ""], on_empty="zero") == ["a", ""]


def test_none_is_an_empty_text():
    assert check_inputs(["a", None, ""], on_empty="zero") == ["a", "", ""]


def test_with_a_place_for_errors_each_input_that_cannot_be_embedded_has_its_own_and_nothing_is_raised():
    given = ["a", 7, "", "b\ud83d", None, [1], "c"]
    refused: dict[int, InputError] = {}
    assert check_inputs(given, on_empty="error", refused=refused) == ["a", None, None, None, None, None, "c"]
    assert {position: error.positions for position, error in refused.items()} == {at: (at,) for at in (1, 5, 2, 4, 3)}
    assert [str(refused[position]).partition(".")[0] for position in range(1, 6)] == [
        "Input 1 is int, not str",
        "Input 2 is empty",
        "Input 3 holds a lone surrogate (position 1 of the text), which no UTF-8 can carry",
        "Input 4 is None",
        "Input 5 is list, not str",
    ]
    with pytest.raises(InputError, match="Inputs came as one str"):
        check_inputs("a", on_empty="error", refused=refused)


TEXTS = ["a", None, "bb"]


@pytest.mark.parametrize("kind", ["string", "large_string", "string_view"])
def test_an_arrow_array_of_strings_is_a_list_of_texts_and_its_nulls_are_none(kind):
    pa = pytest.importorskip("pyarrow")
    array = pa.array(TEXTS, getattr(pa, kind)())
    for given in (array, pa.chunked_array([array, array[:1]])[:3], array.slice(0), list(array)):
        assert check_inputs(given, on_empty="zero") == ["a", "", "bb"]
    with pytest.raises(InputError, match="Input 1 is None"):
        check_inputs(array, on_empty="error")


def test_an_arrow_dictionary_of_strings_is_a_list_of_texts_too():
    pa = pytest.importorskip("pyarrow")
    assert check_inputs(pa.array([*TEXTS, "a"]).dictionary_encode(), on_empty="zero") == ["a", "", "bb", "a"]


def test_an_arrow_array_of_something_else_is_refused_by_its_values():
    pa = pytest.importorskip("pyarrow")
    for values, name in (([1], "int"), ([b"a"], "bytes"), ([{"a": "b"}], "dict"), ([["a"]], "list")):
        with pytest.raises(InputError, match=f"Input 0 is {name}, not str"):
            check_inputs(pa.array(values), on_empty="error")


def test_a_table_is_refused_as_a_whole():
    pa = pytest.importorskip("pyarrow")
    for table in (pa.table({"text": ["a"]}), pa.record_batch({"text": ["a"]})):
        with pytest.raises(InputError, match=f"Inputs came as {type(table).__name__}. embed takes one column of it"):
            check_inputs(table, on_empty="error")


def test_texts_and_contents_may_be_mixed():
    content = Content.of("a", ImagePart("https://example.org/a.png"))
    assert check_inputs(["a", content], on_empty="error") == ["a", content]


LIST = "embed takes a list of str or Content."


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (SECRET, "Inputs came as one str. embed takes a list; wrap it: [text]."),
        (
            SECRET.encode(),
            "Inputs came as bytes. embed takes a list of str; decode and wrap it: [data.decode()].",
        ),
        (Content.of(SECRET), "Inputs came as one Content. embed takes a list; wrap it: [content]."),
        (None, f"Inputs came as NoneType. {LIST}"),
        (7, f"Inputs came as int. {LIST}"),
        ({SECRET: 1}, f"Inputs came as dict. {LIST}"),
        ({SECRET}, f"Inputs came as set. {LIST}"),
    ],
)
def test_what_is_no_list_is_refused(given, text):
    with pytest.raises(InputError) as caught:
        check_inputs(given, on_empty="error")
    assert str(caught.value) == text
    assert caught.value.positions == ()


@pytest.mark.parametrize(
    ("given", "text", "positions"),
    [
        ([SECRET, SECRET, SECRET, 5], "Input 3 is int, not str.", (3,)),
        (
            [None],
            "Input 0 is None. Remove it, or choose on_empty='zero' to get a zero embedding in its place.",
            (0,),
        ),
        ([SECRET.encode(), "a"], "Input 0 is bytes, not str.", (0,)),
        (["a", [1, 2]], "Input 1 is list, not str.", (1,)),
        ([1, "a", b"", 4.5, 2, "a", 3], "Inputs 0, 2-4 and 6 are bytes or float or int, not str.", (0, 2, 3, 4, 6)),
        (
            ["a", None, "", None],
            "Inputs 1-3 are None or empty. Remove them, or choose on_empty='zero' to get zero embeddings in their places.",
            (1, 2, 3),
        ),
        (
            ["a"] * 17 + [""],
            "Input 17 is empty. Remove it, or choose on_empty='zero' to get a zero embedding in its place.",
            (17,),
        ),
        (
            ["", "a", "", Content.of("a")],
            "Inputs 0 and 2 are empty. Remove them, or choose on_empty='zero' to get zero embeddings in their places.",
            (0, 2),
        ),
        (
            ["ä"] * 4 + ["0123456789ab\udc80"],
            "Input 4 holds a lone surrogate (position 12 of the text), which no UTF-8 can carry.",
            (4,),
        ),
        (
            ["a", "b\ud83d", "\ude00", Content.of("a")],
            "Inputs 1-2 hold lone surrogates (the first at position 1 of input 1), which no UTF-8 can carry.",
            (1, 2),
        ),
    ],
)
def test_every_input_that_cannot_be_sent_is_named(given, text, positions):
    with pytest.raises(InputError) as caught:
        check_inputs(given, on_empty="error")
    assert str(caught.value) == text
    assert caught.value.positions == positions
    assert caught.value.__context__ is None


def test_many_positions_are_listed_compactly():
    assert named_positions([3]) == "Input 3"
    assert named_positions([3, 4]) == "Inputs 3-4"
    assert named_positions(range(0, 6, 2)) == "Inputs 0, 2 and 4"
    assert named_positions(range(0, 20_000, 2)) == "Inputs 0, 2, 4, 6, 8, 10, 12, 14 and 9,992 more"


def test_texts_beside_contents_become_contents():
    content = Content.of(ImagePart("https://example.org/a.png"))
    assert wire_inputs(["a", "b"]) == ["a", "b"]
    assert wire_inputs(["a", content]) == [{"content": [{"type": "text", "text": "a"}]}, content.to_wire()]


def test_what_is_no_picture_is_named_by_its_position():
    url = "https://example.org/a.png"
    assert contents_of([url, ImagePart(url)]) == [Content.of(ImagePart(url))] * 2
    with pytest.raises(InputError, match=r"^Input 1: The bytes do not say what picture they are") as caught:
        contents_of([url, b"no picture"])
    assert caught.value.positions == (1,)
