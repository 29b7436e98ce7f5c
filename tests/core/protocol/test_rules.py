"""What an error that the gateway sent means, and what may help."""

from __future__ import annotations

import pytest

from openrouter_embeddings import errors
from openrouter_embeddings._limits import Load
from openrouter_embeddings._protocol import Diagnosis, ErrorBody, Remedy, Response, diagnose_error, read_error
from openrouter_embeddings.gateways import INFRON

from ...support import wordings
from ...support.wordings import Wording

Refused, Address = errors.InvalidRequestError, "Nothing answers embeddings at this address"


def diagnosed(status: int, *, count: int = 4, base64: bool = False, hints=(), headers=None, **fields) -> Diagnosis:
    body = ErrorBody(status=status, **fields)
    return diagnose_error(body, headers or {}, now=1.8e9, count=count, base64=base64, hints=hints)


@pytest.mark.parametrize(
    ("fields", "kind", "remedy"),
    [
        ({"status": 301}, errors.ResponseError, Remedy.NONE),
        ({"status": 304}, errors.ResponseError, Remedy.NONE),
        ({"status": 400, "message": "no"}, Refused, Remedy.ISOLATE),
        ({"status": 400, "error_type": "model_not_found"}, errors.ModelNotFoundError, Remedy.NONE),
        ({"status": 400, "availability": "wrong_endpoint"}, errors.ModelNotFoundError, Remedy.NONE),
        ({"status": 400, "message": "batch size 300 is above 100"}, Refused, Remedy.SPLIT),
        ({"status": 400, "error_type": "token_limit_exceeded"}, Refused, Remedy.SPLIT),
        ({"status": 400, "error_type": "token_limit_exceeded", "count": 1}, errors.InputTooLongError, Remedy.ISOLATE),
        ({"status": 400, "error_type": "context_length_exceeded"}, errors.InputTooLongError, Remedy.ISOLATE),
        ({"status": 400, "error_type": "string_too_long", "message": "too many"}, errors.InputTooLongError, Remedy.ISOLATE),
        ({"status": 400, "message": "encoding_format: base64", "base64": True}, Refused, Remedy.ASK_FOR_FLOATS),
        ({"status": 400, "message": "encoding_format: base64"}, Refused, Remedy.NONE),
        ({"status": 401}, errors.AuthenticationError, Remedy.NONE),
        ({"status": 402}, errors.InsufficientCreditsError, Remedy.NONE),
        ({"status": 403}, errors.PermissionDeniedError, Remedy.NONE),
        ({"status": 403, "message": "credits used up", "hints": INFRON.error_hints}, errors.InsufficientCreditsError, Remedy.NONE),
        ({"status": 404}, Refused, Remedy.NONE),
        ({"status": 404, "message": "No allowed providers"}, errors.ModelNotFoundError, Remedy.NONE),
        ({"status": 404, "in_200": True, "message": "No successful provider responses."}, errors.ProviderUnavailableError, Remedy.REPLAY),
        ({"status": 405}, Refused, Remedy.NONE),
        ({"status": 407}, errors.ConnectionFailedError, Remedy.NONE),
        ({"status": 408}, errors.ServerError, Remedy.REPLAY),
        ({"status": 409, "message": "x"}, Refused, Remedy.ISOLATE),
        ({"status": 413}, Refused, Remedy.SPLIT),
        ({"status": 413, "count": 1}, errors.InputTooLongError, Remedy.ISOLATE),
        ({"status": 422, "message": "x"}, Refused, Remedy.ISOLATE),
        ({"status": 424}, errors.ProviderUnavailableError, Remedy.REPLAY),
        ({"status": 429}, errors.RateLimitError, Remedy.WAIT),
        ({"status": 429, "retryable": False}, errors.RateLimitError, Remedy.NONE),
        ({"status": 429, "message": "Request too large", "count": 1}, errors.RateLimitError, Remedy.WAIT),
        ({"status": 499}, errors.ServerError, Remedy.REPLAY),
        ({"status": 500}, errors.ServerError, Remedy.REPLAY),
        ({"status": 500, "retryable": False}, errors.ServerError, Remedy.NONE),
        ({"status": 501}, Refused, Remedy.NONE),
        ({"status": 502}, errors.ProviderUnavailableError, Remedy.REPLAY),
        ({"status": 503}, errors.ProviderUnavailableError, Remedy.WAIT),
        ({"status": 503, "message": "No available providers for model x", "hints": INFRON.error_hints}, errors.ModelNotFoundError, Remedy.NONE),
        ({"status": 504}, errors.ServerError, Remedy.REPLAY),
        ({"status": 504, "retryable": True}, errors.ServerError, Remedy.WAIT),
        ({"status": 524}, errors.ProviderUnavailableError, Remedy.REPLAY),
        ({"status": 529}, errors.ProviderUnavailableError, Remedy.WAIT),
        ({"status": 599}, errors.ServerError, Remedy.REPLAY),
    ],
)  # fmt: skip
def test_each_error_has_a_class_and_a_remedy(fields, kind, remedy):
    diagnosis = diagnosed(**fields)
    assert (diagnosis.kind, diagnosis.remedy) == (kind, remedy)
    assert diagnosis.error_body.status == fields["status"]


@pytest.mark.parametrize(
    "wording", [one for one in wordings.OF_A_PARAMETER if "dimension" in one.raw.decode()], ids=lambda one: one.name
)
def test_where_the_width_is_refused_the_way_out_speaks_of_it(wording):
    assert of_wording(wording).advice == "Set dimensions to a width that the model has, or leave it out."


WORDINGS = [
    (wordings.TOO_MANY, Refused, Remedy.SPLIT, "The batch was too large"),
    (wordings.TOO_LONG, errors.InputTooLongError, Remedy.ISOLATE, "The input is too long for the model"),
    (wordings.OF_A_PARAMETER, Refused, Remedy.NONE, "The request was refused"),
    (wordings.OF_THE_MODEL, errors.ModelNotFoundError, Remedy.NONE, "No provider serves the model"),
    (wordings.OF_THE_ADDRESS, Refused, Remedy.NONE, Address),
    (wordings.OF_TLS, Refused, Remedy.NONE, "The request was refused"),
    (wordings.OF_THE_KEY, errors.AuthenticationError, Remedy.NONE, "The key was refused"),
    (wordings.OF_CREDIT, errors.InsufficientCreditsError, Remedy.NONE, "No credit left"),
    (wordings.OF_FLOATS, Refused, Remedy.ASK_FOR_FLOATS, "The request was refused"),
    (wordings.OF_AN_INPUT, Refused, Remedy.ISOLATE, "The request was refused"),
    (wordings.MAY_PASS, errors.ProviderUnavailableError, Remedy.REPLAY, "The provider failed"),
]


def of_wording(wording: Wording) -> Diagnosis:
    body = read_error(Response(wording.status, {}, wording.raw))
    return diagnose_error(body, {}, now=0.0, count=wording.count, base64=True)


@pytest.mark.parametrize(
    ("wording", "expected"),
    [
        pytest.param(wording, expected, id=f"{expected[1].name}, {wording.name}")
        for group, *expected in WORDINGS
        for wording in group
    ],
)
def test_the_words_of_real_servers_are_read_rightly(wording, expected):
    diagnosis = of_wording(wording)
    assert [diagnosis.kind, diagnosis.remedy, diagnosis.summary] == expected
    assert diagnosis.batch_limit == wording.limit


@pytest.mark.parametrize("wording", wordings.OF_TLS, ids=lambda wording: wording.name)
def test_a_refusal_of_plain_http_says_what_to_write(wording):
    assert of_wording(wording).advice == "Write https:// in base_url."


def test_a_limit_counts_only_where_the_request_exceeds_it():
    words = "batch size 64 > maximum allowed batch size 32"
    assert diagnosed(413, message=words, count=64).batch_limit == 32
    assert diagnosed(413, message=words, count=32).batch_limit is None
    assert diagnosed(413, message=words, count=1).batch_limit is None
    assert diagnosed(400, message="the list may have at most 0 items", count=64).batch_limit is None
    assert diagnosed(400, message="at most 512 tokens for each of the inputs", count=600).batch_limit is None
    assert diagnosed(400, message="at most 900 items, the list has at most 30 items", count=64).batch_limit == 30


def test_what_ends_every_call_of_the_client_and_what_does_not():
    assert [status for status in range(400, 600) if diagnosed(status).ends_calls] == [401, 402, 407]
    assert diagnosed(403, message="credits used up", hints=INFRON.error_hints).ends_calls


def test_only_what_turns_us_away_opens_the_breaker():
    assert diagnosed(429, headers={"retry-after": "3"}).load is Load.REFUSED
    assert diagnosed(503, headers={"retry-after": "3"}).load is Load.UNAVAILABLE
    assert diagnosed(429, headers={"retry-after": "3"}).retry_after == 3.0
    assert diagnosed(429, retry_after=4).retry_after == 4.0
    assert diagnosed(504, retryable=True).load is Load.UNAVAILABLE
    assert diagnosed(500).load is Load.FAILED
    assert diagnosed(400).load is Load.NEUTRAL
    assert diagnosed(500, retryable=False).load is Load.NEUTRAL


def test_a_message_that_is_made_to_be_slow_is_read_at_once():
    """Not timed: where a pattern were not bounded, this would take hours."""
    for words in ("1" * 4096, "batch " * 700, "inputs array list " * 230, "model " * 700, "max " * 1000, "'" * 4096):
        diagnosed(400, message=words)


def test_a_401_that_asks_for_a_password_is_not_about_the_key():
    """No gateway asks for one: tinyproxy does, and a web server with basic authentication."""
    asked = diagnosed(401, headers={"www-authenticate": 'Basic realm="proxy"'})
    assert asked.kind is errors.AuthenticationError
    assert asked.ends_calls
    assert "a user and a password" in asked.summary
    assert diagnosed(401, headers={"www-authenticate": "Bearer"}).summary == "The key was refused"
