"""The same law under the gateway's scripted trouble: every kind there is, struck by a client without retries."""

from __future__ import annotations

import numpy as np
import pytest

from openrouter_embeddings import (
    AuthenticationError,
    Client,
    ConnectionFailedError,
    EmbeddingError,
    InputTooLongError,
    InsufficientCreditsError,
    InvalidRequestError,
    ModelNotFoundError,
    PermissionDeniedError,
    ProviderUnavailableError,
    RateLimitError,
    ResponseError,
    ServerError,
    TimedOutError,
)
from openrouter_embeddings_gateway.troubles import KINDS

from .calls import COLOURS, KEY, NO_RETRIES, TEXTS, assert_ours, embed_in_turn

MODEL = "openai/text-embedding-3-small"
RIGHT = None
TROUBLES: list[tuple[str, dict, type[EmbeddingError] | None]] = [
    *(
        ("status", {"status": status}, error)
        for status, error in [
            (400, InvalidRequestError),
            (401, AuthenticationError),
            (402, InsufficientCreditsError),
            (403, PermissionDeniedError),
            (404, ModelNotFoundError),
            (405, InvalidRequestError),
            (408, EmbeddingError),
            (409, InvalidRequestError),
            (413, InvalidRequestError),
            (418, InvalidRequestError),
            (422, InvalidRequestError),
            (499, EmbeddingError),
            (500, ServerError),
            (502, ProviderUnavailableError),
            (504, ServerError),
            (520, ServerError),
            (524, ProviderUnavailableError),
        ]
    ),
    ("status", {"status": 500, "body": "<html>"}, ServerError),
    ("status", {"status": 500, "body": ""}, ServerError),
    ("status", {"status": 400, "error_type": "context_length_exceeded"}, InputTooLongError),
    ("slow", {"seconds": 30}, TimedOutError),
    ("drip", {"seconds": 30}, TimedOutError),
    ("cut", {}, ConnectionFailedError),
    ("reset", {}, ConnectionFailedError),
    ("reset", {"worked": True}, ConnectionFailedError),
    ("error_in_200", {}, ProviderUnavailableError),
    ("error_in_200", {"code": 402}, InsufficientCreditsError),
    ("error_in_200", {"code": 500}, ServerError),
    ("html", {}, ResponseError),
    ("html", {"status": 500}, ServerError),
    ("not_json", {}, ResponseError),
    ("empty_body", {}, ResponseError),
    ("empty_body", {"status": 502}, ProviderUnavailableError),
    ("redirect", {}, ResponseError),
    ("refuse_batch", {"limit": 2}, RIGHT),
    ("refuse_batch", {"limit": 0}, EmbeddingError),
    ("refuse_text", {"contains": "second"}, InvalidRequestError),
    ("refuse_base64", {}, RIGHT),
    ("ignore_dimensions", {}, RIGHT),
    ("quantised", {"provider": "nearby"}, RIGHT),
    ("empty_data", {}, ResponseError),
    ("empty_base64", {}, RIGHT),
    *((kind, {}, RIGHT) for kind in ("shuffled", "reversed", "no_index", "no_usage", "bom", "answer_floats")),
    *((kind, {}, ResponseError) for kind in ("missing", "extra", "doubled_index", "some_index", "wrong_width")),
    *((kind, {}, ResponseError) for kind in ("null_embedding", "null_number", "nan", "inf", "zero", "ragged")),
    *((kind, {}, ResponseError) for kind in ("odd_width", "strings", "bad_base64")),
]
TURNED_AWAY = [(429, RateLimitError), (503, ProviderUnavailableError), (529, ProviderUnavailableError)]


def named(kind, given):
    return "-".join([kind, *map(str, given.values())]) or kind


@pytest.fixture
def right(embeddings_gateway):
    with Client(MODEL, api_key="another", base_url=embeddings_gateway.base_url) as client:
        return client.embed_documents(TEXTS).embeddings


def test_the_table_knows_every_kind_of_trouble():
    assert {kind for kind, _, _ in TROUBLES} == set(KINDS)


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize(("kind", "given", "error"), TROUBLES, ids=[named(kind, given) for kind, given, _ in TROUBLES])
def test_no_trouble_is_silent(embeddings_gateway, right, kind, given, error, colour):
    timeout = 1.0 if error is TimedOutError else 30.0
    before, during, after = embed_in_turn(
        colour,
        [lambda: embeddings_gateway.trouble(kind, times=None, **given), embeddings_gateway.reset],
        model=MODEL,
        **{"base_url": embeddings_gateway.base_url, "api_key": KEY, "timeout": timeout} | NO_RETRIES,
    )
    assert np.array_equal(before.embeddings, right)
    if error is RIGHT:
        assert np.array_equal(during.embeddings, right)
    else:
        assert_ours(during, error)
    assert np.array_equal(after.embeddings, right)


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize(("status", "error"), TURNED_AWAY, ids=[str(status) for status, _ in TURNED_AWAY])
def test_who_is_turned_away_hears_so_without_patience_and_is_served_with_it(
    embeddings_gateway, right, status, error, colour
):
    given = {"base_url": embeddings_gateway.base_url, "api_key": KEY}
    embeddings_gateway.trouble("status", status=status, retry_after=60, times=None)
    (refused,) = embed_in_turn(colour, [], model=MODEL, **given | NO_RETRIES)
    assert_ours(refused, error)
    assert refused.retry_after == 60
    embeddings_gateway.reset()
    embeddings_gateway.trouble("status", status=status, retry_after=0.05)
    (served,) = embed_in_turn(colour, [], model=MODEL, **given)
    assert np.array_equal(served.embeddings, right)
    assert (served.usage.requests, served.usage.retries, served.usage.replays) == (2, 1, 0)


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize(
    ("kind", "given"),
    [("cut", {}), ("reset", {"worked": True}), ("slow", {"seconds": 30}), ("drip", {"seconds": 30})],
    ids=["cut", "reset", "slow", "drip"],
)
def test_with_the_gateways_cache_a_replay_is_not_charged_again(embeddings_gateway, right, kind, given, colour):
    embeddings_gateway.reset()
    embeddings_gateway.trouble(kind, **given)
    timeout = 1.0 if kind in {"slow", "drip"} else 30.0
    (found,) = embed_in_turn(
        colour,
        [],
        model=MODEL,
        base_url=embeddings_gateway.base_url,
        api_key=KEY,
        timeout=timeout,
        server_cache=300,
    )
    assert np.array_equal(found.embeddings, right)
    assert (found.usage.requests, found.usage.replays, found.usage.server_cached) == (2, 1, 1)
    assert (found.usage.cost, found.usage.prompt_tokens) == (0, 0)
    assert embeddings_gateway.paid_inputs() == 3
