"""The gateway's own words about a failure are found in each form in which they come."""

from __future__ import annotations

import json

import pytest

from openrouter_embeddings._protocol import ErrorBody, Response, read_error


def read(body: object, *, status: int = 400, **headers: str) -> ErrorBody | None:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_error(Response(status, {name.replace("_", "-"): value for name, value in headers.items()}, raw))


def test_the_classic_form():
    metadata = {"error_type": "rate_limit_exceeded", "provider_name": "P"}
    body = {"error": {"code": 429, "message": "slow down", "metadata": metadata}, "user_id": None}
    assert read(body, status=429, x_generation_id="gen-1") == ErrorBody(
        429, "slow down", code=429, error_type="rate_limit_exceeded", provider="P", generation_id="gen-1"
    )


def test_the_availability_form():
    availability = {"code": "capacity_exhausted", "retryable": True, "retry_after": 40}
    error = {"message": "m", "error_type": "rate_limit_exceeded", "http_status": 429, "availability": availability}
    assert read({"error": error}, status=200) == ErrorBody(
        429, "m", code="capacity_exhausted", error_type="rate_limit_exceeded", retry_after=40, retryable=True,
        availability="capacity_exhausted", in_200=True,
    )  # fmt: skip


def test_infrons_form():
    error = {"code": "insufficient_credits", "message": "m", "type": "quota"}
    assert read({"error": error}, status=403, x_infron_request_id="r-1") == ErrorBody(
        403, "m", code="insufficient_credits", error_type="quota", generation_id="r-1"
    )


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"detail": "Not Found"}, "Not Found"),
        ({"message": "no Route matched"}, "no Route matched"),
        ({"error": "went wrong"}, "went wrong"),
        ({"error": {"detail": "inside"}}, "inside"),
        ({"detail": {"error": "of DeepInfra"}}, "of DeepInfra"),
        ({"object": "error", "message": "at the top", "detail": {}, "code": 400}, "at the top"),
        ([{"error": {"message": "Google's"}}], "Google's"),
        ({"errors": [{"message": "Cloudflare's"}, {"message": "second"}], "success": False}, "Cloudflare's; second"),
        ({"detail": [{"loc": ["body", "input"], "msg": "too long", "input": "secret"}]}, "input: too long"),
        ({"detail": [{"loc": ["body", "input", 3], "msg": "a"}, {"loc": ["body"], "msg": "b"}]}, "input.3: a; b"),
        ({"detail": [{"loc": "input", "msg": "a"}, {"loc": ["body", "input"]}, 7]}, "a"),
        ({"message": {"detail": [{"loc": ["user"], "msg": "no"}]}, "object": "error"}, "user: no"),
        ({"error": {"message": 5}}, ""),
        ({"error": {"message": "x" * 70_000}}, ""),  # cut in the middle, it is no JSON
        ({"error": {"message": "x" * 60_000}}, "x" * 4096),
        (b"\xef\xbb\xbf" + json.dumps({"error": {"message": "with a mark"}}).encode(), "with a mark"),
        (b"Failed to buffer the request body", "Failed to buffer the request body"),
        (b"<html>\r\n<head><TITLE lang='en'>502 Bad Gateway</TITLE></head>", "502 Bad Gateway"),
        (b"<html>no title</html>", ""),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b"", ""),
        ([], ""),
        ([7], ""),
        (7, ""),
    ],
)
def test_the_words_are_found_in_whatever_they_are_wrapped_in(body, message):
    found = read(body)
    if message == "" and isinstance(body, dict) and len(str(body)) > 65_536:
        assert found.message.startswith('{"error"')  # shown as the text it is
    else:
        assert (found.status, found.message) == (400, message)


def test_a_page_that_nobody_sent_to_us_is_not_quoted():
    assert read(b"<title>The best models | not found</title>", status=404).message == ""
    assert read(b"404 page not found", status=404).message == ""
    assert read({"detail": "Not Found"}, status=404).message == "Not Found"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        ({"code": "429"}, 429),
        ({"code": "odd"}, 502),
        ({"status": 503, "code": 7}, 503),
        ({"http_status": "503"}, 503),
        ("text", 502),
        ({"code": 404}, 404),
        ({"code": 200}, 502),
        ({"code": 600}, 502),
        (["x"], 502),
        ({"code": True}, 502),
        ({"code": [1], "metadata": 3, "availability": "x", "status": {}, "error_type": 5}, 502),
    ],
)
def test_an_error_inside_a_200_has_the_status_it_names(error, status):
    found = read({"error": error}, status=200)
    assert (found.status, found.in_200) == (status, True)


@pytest.mark.parametrize(
    "body", [{"error": None, "data": []}, {"error": {}}, {"error": ""}, {"message": "m"}, b"not json"]
)
def test_a_200_without_an_error_holds_none(body):
    assert read(body, status=200) is None


def test_a_large_200_is_not_searched_for_an_error():
    assert read({"data": "x" * 70_000, "error": {"code": 500}}, status=200) is None


def test_the_status_of_the_answer_wins_over_the_one_in_the_body():
    assert read({"error": {"code": 402, "message": "m"}}, status=429).status == 429
    assert read({"error": {"code": 402, "message": "m"}}, status=429).code == 402
