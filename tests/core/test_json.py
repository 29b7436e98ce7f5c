"""What JSON cannot carry as it is, is refused by its place, and copies are deep."""

from __future__ import annotations

import json
from collections import UserDict
from enum import IntEnum, StrEnum
from types import MappingProxyType

import numpy as np
import pytest

from openrouter_embeddings._json import json_copy
from openrouter_embeddings.errors import ConfigurationError


class Word(StrEnum):
    YES = "yes"


class Number(IntEnum):
    ONE = 1


def test_a_copy_is_equal_plain_and_deep():
    value = {"a": [1, 2.5, None, True, {"b": "ü"}], "c": ("x", Word.YES), "d": MappingProxyType({"e": Number.ONE})}
    copy = json_copy("Option", "extra_body", value)
    assert copy == {"a": [1, 2.5, None, True, {"b": "ü"}], "c": ["x", "yes"], "d": {"e": 1}}
    assert json.loads(json.dumps(copy)) == copy
    assert type(copy["c"][1]) is str
    value["a"][4]["b"] = "changed"
    assert copy["a"][4]["b"] == "ü"
    assert json_copy("Option", "x", UserDict({Word.YES: 1})) == {"yes": 1}
    assert type(next(iter(json_copy("Option", "x", {Word.YES: 1})))) is str


LOOP: dict[str, object] = {}
LOOP["again"] = LOOP


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"a": {1}}, "Option 'extra_body.a' holds set, which JSON cannot carry."),
        ({"a": [b"x"]}, "Option 'extra_body.a' holds bytes, which JSON cannot carry."),
        ({"a": object()}, "Option 'extra_body.a' holds object, which JSON cannot carry."),
        ({"a": np.int64(1)}, "Option 'extra_body.a' holds int64, which JSON cannot carry."),
        ({"a": float("nan")}, "Option 'extra_body.a' holds a number that JSON cannot carry: nan."),
        ({"a": {"b": -float("inf")}}, "Option 'extra_body.a.b' holds a number that JSON cannot carry: -inf."),
        ({1: 2}, "Option 'extra_body' holds a key that is int, not str."),
        ({"a": "\ud800"}, "Option 'extra_body.a' holds a lone surrogate, which no UTF-8 can carry."),
        ({"\ud800": 1}, "Option 'extra_body' holds a lone surrogate, which no UTF-8 can carry."),
        (LOOP, "Option 'extra_body' is nested deeper than 64 levels."),
    ],
)
def test_what_json_cannot_carry_is_refused_by_its_place(value, text):
    with pytest.raises(ConfigurationError) as caught:
        json_copy("Option", "extra_body", value)
    assert str(caught.value) == text
    assert caught.value.__context__ is None or caught.value.__suppress_context__
