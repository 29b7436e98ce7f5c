"""What both checks stand on: pins, names, the listing of providers, and cosines."""

from __future__ import annotations

import json

import numpy as np
import pytest

from openrouter_embeddings import AuthenticationError, ConfigurationError, EmbeddingError, ModelNotFoundError
from openrouter_embeddings._flows import list_endpoints
from openrouter_embeddings._flows.effects import Fetch, Sleep
from openrouter_embeddings._protocol import Endpoint, Response, TransportFailure, TransportFault, narrowed
from openrouter_embeddings._protocol.listings import read_endpoints
from openrouter_embeddings.checks.session import cosines, endpoints_named, pinned_to, preferences
from openrouter_embeddings.errors import ResponseError
from openrouter_embeddings.gateways import INFRON, OPENROUTER
from openrouter_embeddings.options import Options

from .worlds import listing, reply

LISTED = [
    Endpoint("deepinfra/turbo", "DeepInfra", "fp8"),
    Endpoint("deepinfra", "DeepInfra", "bf16"),
    Endpoint("nebius", "Nebius AI", None),
]


def test_a_pin_wins_over_extra_body_and_leaves_the_rest_alone():
    options = Options(
        model="a/b",
        provider={"zdr": True, "order": ["x"], "sort": "price"},
        extra_body={"provider": {"newer": 1, "only": ["y"]}, "other": 2},
    )
    held = pinned_to(options, "z")
    assert held.provider == {"zdr": True, "sort": "price", "only": ["z"], "allow_fallbacks": False}
    assert held.extra_body == {"provider": {"newer": 1}, "other": 2}
    assert preferences(options) == {"zdr": True, "order": ["x"], "sort": "price", "newer": 1, "only": ["y"]}


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("DeepInfra", [0, 1]),
        ("deepinfra", [0, 1]),
        ("deepinfra/turbo", [0]),
        ("Nebius AI", [2]),
        ("nebius", [2]),
        ("Parasail", []),
    ],
)
def test_a_provider_that_an_answer_names_is_found_in_the_listing(name, meant):
    assert endpoints_named(name, LISTED) == [LISTED[index] for index in meant]


def test_equal_rows_have_a_cosine_of_exactly_1_and_a_narrow_type_does_not_overflow():
    rows = np.array([[1e30, 3e30], [3.0, 4.0], [0.1, 0.7]], dtype=np.float32)
    assert cosines(rows, rows).tolist() == [1.0, 1.0, 1.0]
    assert cosines(rows, rows[:, ::-1] * [1, -1])[1] == 0.0


# --------------------------------------------------------------------------------------------- the listing of providers


@pytest.mark.parametrize(
    ("wanted", "left"),
    [
        ({}, [0, 1, 2]),
        ({"only": ["deepinfra"]}, [0, 1]),
        ({"only": ["deepinfra/turbo"]}, [0]),
        ({"only": ["deep"]}, []),
        ({"ignore": ["DeepInfra"]}, [2]),
        ({"only": [], "ignore": []}, [0, 1, 2]),
        ({"quantizations": ["unknown"]}, [2]),
        ({"quantizations": ["fp8", "fp16"]}, [0]),
    ],
    ids=["all", "base", "full", "part of a name", "ignored", "empty lists", "unnamed", "named"],
)
def test_a_slug_of_the_users_preferences_names_its_endpoints(wanted, left):
    assert narrowed(LISTED, wanted) == [LISTED[index] for index in left]


def test_a_listing_is_read_for_what_can_be_pinned():
    rows = [
        {"tag": "a", "provider_name": "A", "quantization": "fp8", "new": 1},
        {"tag": "a", "provider_name": "A again"},
        {"tag": "b", "provider_name": None, "quantization": 8},
        {"provider_name": "no tag"},
        {"tag": " "},
        "odd",
    ]
    body = json.dumps({"data": {"endpoints": rows}}).encode()
    assert read_endpoints(body) == [Endpoint("a", "A", "fp8"), Endpoint("b", "b", None)]


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"data": []}', b'{"data": {"endpoints": 1}}', b"<html>"])
def test_what_is_no_listing_is_none(body):
    assert read_endpoints(body) is None


def test_a_listing_is_asked_for_again_where_that_may_help():
    flow = list_endpoints(OPENROUTER, "openrouter/a/b c:free", timeout=60.0)
    asked = flow.send(None)
    assert asked == Fetch("https://openrouter.ai/api/v1/models/a/b%20c:free/endpoints", keyed=True, timeout=60.0)
    assert isinstance(flow.send(TransportFailure(TransportFault.TIMED_OUT)), Sleep)
    assert flow.send(None) == asked
    refusal = Response(503, {"retry-after": "7"}, b'{"error": {"code": 503, "message": "no"}}')
    assert flow.send(refusal) == Sleep(7.0)
    assert flow.send(None) == asked
    with pytest.raises(StopIteration) as done:
        flow.send(listing(("x", "X")))
    assert done.value.value == [Endpoint("x", "X", None)]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (listing(), ModelNotFoundError),
        (reply(200, {"data": []}), ResponseError),
        (reply(200, {"error": {"code": 401, "message": "no"}}), AuthenticationError),
        (reply(404, {"error": {"code": 404, "message": "Model not found"}}), ModelNotFoundError),
        (Response(204, {}, b""), ResponseError),
        (Response(429, {"retry-after": "3600"}, b"{}"), EmbeddingError),
    ],
    ids=["empty", "odd", "error in 200", "404", "204", "too long to wait"],
)
def test_a_listing_that_does_not_come_is_an_error_of_ours(answer, error):
    flow = list_endpoints(OPENROUTER, "a/b", timeout=60.0)
    flow.send(None)
    with pytest.raises(error, match="a/b"):
        while True:
            assert not isinstance(flow.send(answer), Sleep) or answer.status == 204


def test_infron_is_not_asked_for_a_listing():
    with pytest.raises(ConfigurationError):
        list_endpoints(INFRON, "a/b", timeout=60.0).send(None)
