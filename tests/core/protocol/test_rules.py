"""What may be tried again, and how long the gateway asks us to wait."""

from __future__ import annotations

from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openrouter_embeddings import errors
from openrouter_embeddings._limits.signals import Load
from openrouter_embeddings._protocol.diagnosis import Remedy, diagnose_error, diagnose_failure
from openrouter_embeddings._protocol.error_bodies import ErrorBody
from openrouter_embeddings._protocol.exchange import TransportFailure, TransportFault
from openrouter_embeddings._protocol.retry_after import parse_retry_after
from openrouter_embeddings.gateways import INFRON

NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("headers", "in_body", "seconds"),
    [
        ({"retry-after-ms": "1500"}, None, 1.5),
        ({"retry-after": "7"}, None, 7.0),
        ({"retry-after": "0.25"}, None, 0.25),
        ({"retry-after": formatdate(NOW + 30, usegmt=True)}, None, 30.0),
        ({"retry-after": formatdate(NOW - 30, usegmt=True)}, None, None),
        ({"retry-after": formatdate(NOW - 30, usegmt=True)}, 4, 4.0),
        ({"retry-after": "Fri, 31 Dec 9999 23:59:59"}, None, 253402300799.0 - NOW),
        ({}, 40, 40.0),
        ({}, "2.5", 2.5),
        ({"x-ratelimit-reset": str(NOW + 9)}, None, 9.0),
        ({"x-ratelimit-reset": str((NOW + 9) * 1000)}, None, 9.0),
        ({"x-ratelimit-reset": str(NOW - 9)}, None, None),
        ({"retry-after": "NaN"}, None, None),
        ({"retry-after": "inf"}, None, None),
        ({"retry-after": "-1"}, None, None),
        ({"retry-after": "soon"}, None, None),
        ({"retry-after": "1000000000"}, None, 1e9),
        ({}, True, None),
        ({}, None, None),
    ],
)
def test_every_dialect_of_retry_after_is_read(headers, in_body, seconds):
    assert parse_retry_after(headers, in_body, now=NOW) == seconds


@given(st.text(max_size=40), st.one_of(st.none(), st.text(), st.floats(), st.integers(), st.booleans()))
def test_no_header_value_makes_a_negative_or_endless_wait(header: str, in_body):
    wait = parse_retry_after(
        {"retry-after": header, "retry-after-ms": header, "x-ratelimit-reset": header}, in_body, now=NOW
    )
    assert wait is None or 0.0 <= wait < float("inf")


def read(status: int, *, count: int = 4, base64: bool = False, hints=(), headers=None, **said):
    return diagnose_error(
        ErrorBody(status=status, **said), headers or {}, now=NOW, count=count, base64=base64, hints=hints
    )


@pytest.mark.parametrize(
    ("said", "kind", "remedy"),
    [
        ({"status": 301}, errors.ResponseError, Remedy.NONE),
        ({"status": 400, "message": "no"}, errors.InvalidRequestError, Remedy.ISOLATE),
        ({"status": 400, "error_type": "model_not_found"}, errors.ModelNotFoundError, Remedy.NONE),
        ({"status": 400, "availability": "wrong_endpoint"}, errors.ModelNotFoundError, Remedy.NONE),
        ({"status": 400, "message": "dimensions is not supported"}, errors.InvalidRequestError, Remedy.NONE),
        ({"status": 400, "message": "unknown parameter: 'provider'"}, errors.InvalidRequestError, Remedy.NONE),
        ({"status": 400, "message": "bad input_type"}, errors.InvalidRequestError, Remedy.NONE),
        ({"status": 400, "message": "rejected by the provider"}, errors.InvalidRequestError, Remedy.ISOLATE),
        ({"status": 400, "message": "batch size 300 is above 100"}, errors.InvalidRequestError, Remedy.SPLIT),
        ({"status": 400, "error_type": "token_limit_exceeded"}, errors.InvalidRequestError, Remedy.SPLIT),
        ({"status": 400, "error_type": "context_length_exceeded"}, errors.InputTooLongError, Remedy.ISOLATE),
        (
            {"status": 400, "error_type": "context_length_exceeded", "count": 1},
            errors.InputTooLongError,
            Remedy.ISOLATE,
        ),
        ({"status": 413}, errors.InvalidRequestError, Remedy.SPLIT),
        ({"status": 413, "count": 1}, errors.InputTooLongError, Remedy.ISOLATE),
        (
            {"status": 400, "message": "encoding_format: base64", "base64": True},
            errors.InvalidRequestError,
            Remedy.ASK_FOR_FLOATS,
        ),
        ({"status": 401}, errors.AuthenticationError, Remedy.NONE),
        ({"status": 402}, errors.InsufficientCreditsError, Remedy.NONE),
        ({"status": 403}, errors.PermissionDeniedError, Remedy.NONE),
        (
            {"status": 403, "message": "credits used up", "hints": INFRON.error_hints},
            errors.InsufficientCreditsError,
            Remedy.NONE,
        ),
        ({"status": 404}, errors.ModelNotFoundError, Remedy.NONE),
        ({"status": 404, "in_200": True}, errors.ProviderUnavailableError, Remedy.REPLAY),
        ({"status": 408}, errors.ServerError, Remedy.REPLAY),
        ({"status": 422, "message": "x"}, errors.InvalidRequestError, Remedy.ISOLATE),
        ({"status": 429}, errors.RateLimitError, Remedy.WAIT),
        ({"status": 429, "retryable": False}, errors.RateLimitError, Remedy.NONE),
        ({"status": 500}, errors.ServerError, Remedy.REPLAY),
        ({"status": 502}, errors.ProviderUnavailableError, Remedy.REPLAY),
        ({"status": 503}, errors.ProviderUnavailableError, Remedy.WAIT),
        (
            {"status": 503, "message": "No available providers for model x", "hints": INFRON.error_hints},
            errors.ModelNotFoundError,
            Remedy.NONE,
        ),
        ({"status": 504}, errors.ServerError, Remedy.REPLAY),
        ({"status": 504, "retryable": True}, errors.ServerError, Remedy.WAIT),
        ({"status": 524}, errors.ProviderUnavailableError, Remedy.REPLAY),
        ({"status": 529}, errors.ProviderUnavailableError, Remedy.WAIT),
    ],
)
def test_each_error_has_a_class_and_a_remedy(said, kind, remedy):
    trouble = read(**said)
    assert (trouble.kind, trouble.remedy) == (kind, remedy)


def test_only_what_turns_us_away_closes_the_gate():
    assert read(429, headers={"retry-after": "3"}).pressure is Load.REFUSED
    assert read(503, headers={"retry-after": "3"}).pressure is Load.UNAVAILABLE
    assert read(429, headers={"retry-after": "3"}).retry_after == 3.0
    assert read(500).pressure is Load.FAILED
    assert read(400).pressure is Load.NEUTRAL


@pytest.mark.parametrize(
    ("broke", "kind", "remedy"),
    [
        (TransportFault.REFUSED, errors.ConnectionFailedError, Remedy.RETRY),
        (TransportFault.CONNECTION_LOST, errors.ConnectionFailedError, Remedy.REPLAY),
        (TransportFault.TIMED_OUT, errors.TimedOutError, Remedy.REPLAY),
        (TransportFault.TOO_LARGE, errors.ResponseError, Remedy.NONE),
        (TransportFault.BAD_ENCODING, errors.ResponseError, Remedy.REPLAY),
    ],
)
def test_what_may_have_been_billed_is_replayed_at_most_once(broke, kind, remedy):
    trouble = diagnose_failure(TransportFailure(broke, "ReadError"), timeout=3.0)
    assert (trouble.kind, trouble.remedy) == (kind, remedy)
