"""Scripted trouble, as a client sees it."""

from __future__ import annotations

import base64
import json
import math
import time

import httpx
import pytest

SMALL = "openai/text-embedding-3-small"
TEXTS = ["alpha", "beta", "gamma"]


@pytest.fixture
def gateway(embeddings_gateway):
    return embeddings_gateway


@pytest.fixture
def ask(gateway):
    with httpx.Client(base_url=gateway.base_url, headers={"Authorization": "Bearer k"}, trust_env=False) as client:
        yield lambda texts=TEXTS, **fields: client.post("/embeddings", json={"model": SMALL, "input": texts, **fields})


def test_a_status_comes_with_its_wait_and_its_form(gateway, ask):
    gateway.trouble("status", status=429, retry_after=2)
    gateway.trouble("status", status=503, retry_after=3, style="availability")
    gateway.trouble("status", status=503, style="infron")
    gateway.trouble("status", status=524, body="<html>", headers={"content-type": "text/html"})
    first, second, third, fourth = ask(), ask(), ask(), ask()
    assert (first.status_code, first.headers["Retry-After"]) == (429, "2")
    assert first.json()["error"]["metadata"]["error_type"] == "rate_limit_exceeded"
    assert second.json()["error"]["availability"]["retry_after"] == 3
    assert "code" not in second.json()["error"]
    assert third.json()["error"]["type"] == "infron_ai_error"
    assert (fourth.status_code, fourth.text, fourth.headers["content-type"]) == (524, "<html>", "text/html")
    assert ask().status_code == 200


def test_trouble_waits_repeats_and_picks(gateway, ask):
    gateway.trouble("status", status=500, after=1, times=2)
    assert [ask().status_code for _ in range(4)] == [200, 500, 500, 200]
    gateway.trouble("status", status=500, times=None, only_if_contains="bet")
    assert [ask(["alpha"]).status_code, ask(["beta"]).status_code, ask(["beta"]).status_code] == [200, 500, 500]
    gateway.reset()
    gateway.trouble("refuse_batch", limit=2, times=None)
    gateway.trouble("refuse_text", contains="beta", times=None)
    assert [ask().status_code, ask(["beta"]).status_code, ask(["a", "b"]).status_code] == [400, 400, 200]


def test_a_cut_and_a_reset_break_the_connection(gateway, ask):
    gateway.trouble("cut")
    with pytest.raises(httpx.RemoteProtocolError):
        ask()
    gateway.trouble("reset")
    with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
        ask()
    assert ask().status_code == 200
    assert [one.paid for one in gateway.embedding_requests()] == [0, 0, 3]
    assert [one.status for one in gateway.embedding_requests()] == [200, None, 200]


def test_slow_answers_are_slow_and_right(gateway, ask):
    for kind in ("slow", "drip"):
        gateway.trouble(kind, seconds=0.3)
        started = time.monotonic()
        assert len(ask().json()["data"]) == 3
        assert time.monotonic() - started >= 0.28
    assert gateway.paid_inputs() == 6


@pytest.mark.parametrize(
    ("kind", "indices"),
    [
        ("reversed", [2, 1, 0]),
        ("missing", [0, 1]),
        ("extra", [0, 1, 2, 3]),
        ("doubled_index", [0, 1, 0]),
        ("no_index", [None, None, None]),
        ("some_index", [None, 1, None]),
        ("empty_data", []),
    ],
)
def test_an_answer_is_out_of_order_or_incomplete(gateway, ask, kind, indices):
    gateway.trouble(kind)
    assert [row.get("index") for row in ask().json()["data"]] == indices


def test_a_shuffled_answer_is_a_permutation(gateway, ask):
    right = {row["index"]: row["embedding"] for row in ask().json()["data"]}
    gateway.trouble("shuffled")
    found = ask().json()["data"]
    assert [row["index"] for row in found] != [0, 1, 2]
    assert {row["index"]: row["embedding"] for row in found} == right


@pytest.mark.parametrize("encoding", ["float", "base64"])
@pytest.mark.parametrize(
    "kind", ["null_embedding", "null_number", "nan", "inf", "zero", "ragged", "odd_width", "strings", "wrong_width"]
)
def test_an_embedding_is_broken(gateway, ask, kind, encoding):
    right = ask(encoding_format=encoding).json()["data"]
    gateway.trouble(kind)
    found = json.loads(ask(encoding_format=encoding).content)["data"]
    assert found[2]["embedding"] != right[2]["embedding"]
    if kind != "wrong_width":
        assert found[:2] == right[:2]
    if kind == "nan" and encoding == "float":
        assert math.isnan(found[2]["embedding"][0])
    if kind == "odd_width" and encoding == "base64":
        assert len(base64.b64decode(found[2]["embedding"])) % 4


def test_an_answer_is_no_answer(gateway, ask):
    for kind in ("error_in_200", "html", "not_json", "empty_body", "redirect", "bom", "no_usage", "bad_base64"):
        gateway.trouble(kind)
    inner, html, not_json, empty, redirect, bom, no_usage, bad = (ask() for _ in range(8))
    assert inner.json() == {"error": {"message": "No successful provider responses.", "code": 404}}
    assert html.headers["content-type"].startswith("text/html")
    with pytest.raises(json.JSONDecodeError):
        not_json.json()
    assert empty.content == b""
    assert redirect.status_code == 307
    assert bom.content.startswith(b"\xef\xbb\xbf{")
    assert "usage" not in no_usage.json()
    assert bad.json()["data"][2]["embedding"] == "!not base64!"


def test_base64_is_refused_or_comes_back_empty_or_as_floats(gateway, ask):
    gateway.trouble("refuse_base64", times=None)
    assert [ask(encoding_format="base64").status_code, ask().status_code] == [400, 200]
    gateway.reset()
    gateway.trouble("empty_base64", times=None)
    assert [ask(encoding_format="base64").json()["data"], len(ask().json()["data"])] == [[], 3]
    gateway.reset()
    gateway.trouble("answer_floats")
    assert isinstance(ask(encoding_format="base64").json()["data"][0]["embedding"], list)
    gateway.trouble("ignore_dimensions")
    assert len(ask(dimensions=64).json()["data"][0]["embedding"]) == 1536


def test_what_is_no_trouble_is_an_error_that_lists_it(gateway):
    with pytest.raises(ValueError, match="No trouble is called 'rain'; there are answer_floats, bad_base64, "):
        gateway.trouble("rain")
    with pytest.raises(ValueError, match="The trouble 'cut' takes no 'seconds'; it takes"):
        gateway.trouble("cut", seconds=1)
    with pytest.raises(ValueError, match="The trouble 'status' needs 'status'"):
        gateway.trouble("status")


def test_the_log_holds_what_came_and_never_the_key(gateway, ask):
    ask(["a", "b"], user="u")
    (one,) = gateway.embedding_requests()
    assert one.body == {"model": SMALL, "input": ["a", "b"], "user": "u"}
    assert (one.status, one.inputs, one.paid, one.path) == (200, 2, 2, "/api/v1/embeddings")
    assert one.headers["authorization"] == "present"
    assert len(one.headers["authorization_sha256"]) == 64
    assert one.ended is not None
    assert one.ended >= one.started
    assert gateway.max_in_flight() == 1
