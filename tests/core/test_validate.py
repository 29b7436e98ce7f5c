"""What the value of an option must be: numpy's numbers will do, and a secret is shown nowhere."""

from __future__ import annotations

import threading
from decimal import Decimal
from fractions import Fraction

import httpx
import numpy as np
import pytest
from pydantic import SecretStr

from openrouter_embeddings import _validate as must_be
from openrouter_embeddings._secret import Secret
from openrouter_embeddings.errors import ConfigurationError


def refused(check, value) -> str:
    with pytest.raises(ConfigurationError) as caught:
        check("x", value)
    assert caught.value.__context__ is None, "it may hold the value"
    return str(caught.value)


@pytest.mark.parametrize("value", [3, np.int64(3), np.uint8(3), np.array(3)])
def test_a_whole_number_may_be_numpys(value):
    number = must_be.whole(least=1)("x", value)
    assert (number, type(number)) == (3, int)


@pytest.mark.parametrize("value", [True, 3.0, "3", None, np.float64(3), np.bool_(True)])
def test_what_is_no_whole_number_is_refused(value):
    assert refused(must_be.whole(least=1), value) == f"x takes a whole number, not {value!r}."


def test_a_whole_number_has_a_least():
    assert must_be.whole(least=0)("x", 0) == 0
    assert refused(must_be.whole(least=1), 0) == "x must be at least 1, not 0."


@pytest.mark.parametrize("value", [3, 3.0, np.float32(3), np.float64(3), np.int64(3), Fraction(3)])
def test_an_amount_may_be_numpys(value):
    amount = must_be.amount()("x", value)
    assert amount == 3
    assert type(amount) in {int, float}


@pytest.mark.parametrize("value", [True, "3", None, [3], np.array([3.0]), np.str_("3"), Decimal(3), 3j])
def test_what_is_no_amount_is_refused(value):
    assert refused(must_be.amount(), value) == f"x takes a number, not {value!r}."


@pytest.mark.parametrize("value", [-1, float("nan"), float("inf"), np.float64("nan"), 10**400])
def test_an_amount_is_finite_and_not_negative(value):
    assert refused(must_be.amount(), value) == f"x must be a finite number of at least 0, not {value!r}."


def test_an_amount_may_have_to_be_above_zero():
    assert must_be.amount()("x", 0) == 0
    assert refused(must_be.amount(above_zero=True), 0.0) == "x must be a finite number above 0, not 0.0."


@pytest.mark.parametrize("value", ["no", 1, 0, [], None, np.array(["a", "b"])])
def test_a_choice_is_one_of_those_given(value):
    assert must_be.one_of("a", True, False)("x", "a") == "a"
    assert must_be.one_of("a", True, False)("x", False) is False
    assert refused(must_be.one_of("a", True, False), value) == f"x takes 'a', True, False, not {value!r}."


def test_texts_are_texts():
    assert must_be.text("x", "") == ""
    assert must_be.filled_text("x", "a") == "a"
    assert refused(must_be.filled_text, " ") == "x is empty."
    assert refused(must_be.filled_text, 3) == "x takes a string, not int."


def test_a_mapping_is_copied():
    given = {"a": {"b": [1]}}
    taken = must_be.json_mapping("x", given)
    given["a"]["b"].append(2)
    assert taken == {"a": {"b": [1]}}
    assert refused(must_be.json_mapping, [1]) == "x takes a mapping with string keys, not list."
    assert refused(must_be.json_mapping, {"a": float("nan")}).endswith("a number that JSON cannot carry: nan.")


# ----------------------------------------------------------------------------------------------------------------- headers


def test_a_header_may_be_a_text_a_secret_or_what_gives_one():
    given = {"a": "1", "b": SecretStr("2"), "c": Secret("3"), "d": lambda: "4", "e": lambda: SecretStr("5")}
    assert must_be.headers("x", given) is given
    assert [must_be.header_value(name, value) for name, value in given.items()] == ["1", "2", "3", "4", "5"]
    assert must_be.header_value("x", "Grüße") == "Grüße"


@pytest.mark.parametrize("name", ["a b", "a:", "", "ü", "a\n", 3, "a(b)"])
def test_a_header_has_a_name_that_http_knows(name):
    assert refused(must_be.headers, {name: "v"}) == f"x: {name!r} is no header name. Use letters, digits and dashes."


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("canary\n", "x['a'] holds a line break or control character (it), which no header can carry."),
        (Secret("canary\x7f"), "x['a'] holds a line break or control character (it), which no header can carry."),
        (SecretStr("canary 日本"), "x['a'] holds characters that no header can carry (it)."),
        (3, "x['a'] must be a string, not int."),
        (None, "x['a'] must be a string, not NoneType."),
        (b"canary", "x['a'] must be a string, not bytes."),
    ],
)
def test_a_header_that_cannot_be_sent_is_not_shown(value, text):
    assert refused(must_be.headers, {"a": value}) == text


def test_what_a_callable_gives_is_looked_at_when_it_is_called():
    assert must_be.headers("x", {"a": lambda: "canary\n"})
    assert "canary" not in refused(must_be.header_value, lambda: "canary\n")
    assert refused(must_be.header_value, lambda: 3) == "x must be a string, not int."


def test_headers_are_a_mapping():
    assert refused(must_be.headers, [("a", "b")]) == "x takes a mapping of header names to values, not list."


def test_a_header_that_is_no_secret_is_shown():
    assert must_be.header_text("x", "ü") == "ü"
    assert refused(must_be.header_text, "日本") == "x holds characters that no header can carry ('日本')."
    assert "'a\\r'" in refused(must_be.header_text, "a\r")


def test_categories_are_at_most_two():
    assert must_be.categories("x", ("a", "b")) == ["a", "b"]
    for wrong in ("a", 3, None, [1], {"a"}):
        assert refused(must_be.categories, wrong) == "x takes a list of strings."
    assert refused(must_be.categories, ["a", "b", "c"]) == "x holds 3 names; the gateway takes at most 2."
    assert "line break" in refused(must_be.categories, ["a\n"])


# ----------------------------------------------------------------------------------------------------------------- clients


def test_a_function_is_not_async():
    assert must_be.function("before_request", print) is print

    async def wait(tokens: int) -> None: ...

    for wrong in ("print", wait):
        with pytest.raises(ConfigurationError, match="before_request takes a function that is not async, not "):
            must_be.function("before_request", wrong)


async def test_an_http_client_is_httpxs_and_of_the_right_colour():
    sync, asynchronous = must_be.http_client(is_async=False), must_be.http_client(is_async=True)
    with httpx.Client() as client:
        assert sync("x", client) is client
        assert refused(asynchronous, client) == (
            "x takes an httpx.AsyncClient or a function that makes one, not one of the other colour."
        )
    async with httpx.AsyncClient() as client:
        assert asynchronous("x", client) is client
        assert (
            refused(sync, client)
            == "x takes an httpx.Client or a function that makes one, not one of the other colour."
        )
    for wrong in ("x", httpx.Client, object()):
        assert (
            refused(sync, wrong) == f"x takes an httpx.Client or a function that makes one, not {type(wrong).__name__}."
        )


def test_a_limiter_has_an_acquire():
    good = threading.Semaphore()
    assert must_be.limiter("limiter", good) is good
    for wrong in (print, 7, threading.Semaphore, object()):
        with pytest.raises(ConfigurationError, match=r"limiter takes an object with acquire\(requests, tokens\), not "):
            must_be.limiter("limiter", wrong)
