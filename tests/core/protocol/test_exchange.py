"""The body of a request: stable order, no nulls, `extra_body` merged in field by field."""

from __future__ import annotations

from openrouter_embeddings._protocol import Response, merged, request_body


def test_a_body_has_stable_order_and_merges_what_is_extra():
    fields = merged({"model": "m", "provider": {"order": ["a"]}}, {"provider": {"zdr": True}, "new": 1})
    assert request_body(fields, ["x"], "float") == (
        b'{"model":"m","provider":{"order":["a"],"zdr":true},"new":1,"encoding_format":"float","input":["x"]}'
    )


def test_what_is_merged_changes_neither_side():
    base, extra = {"a": {"b": 1}}, {"a": {"c": 2}}
    assert merged(base, extra) == {"a": {"b": 1, "c": 2}}
    assert (base, extra) == ({"a": {"b": 1}}, {"a": {"c": 2}})
    assert merged({"a": {"b": 1}}, {"a": 3}) == {"a": 3}
    assert merged({"a": 3}, {"a": {"b": 1}}) == {"a": {"b": 1}}


def test_an_encoding_of_the_users_own_wins():
    assert b'"encoding_format":"int8"' in request_body({"encoding_format": "int8"}, ["x"], "float")


def test_text_goes_out_byte_for_byte():
    assert request_body({}, ["ü\n\x00😀"], "float").endswith('"input":["ü\\n\\u0000😀"]}'.encode())


def test_an_answer_shows_no_byte_of_its_body():
    assert "secret" not in repr(Response(200, {}, b"secret"))
