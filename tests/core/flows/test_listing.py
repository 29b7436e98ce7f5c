"""Listings are asked for page after page, again where that costs nothing, and never for ever."""

from __future__ import annotations

import json

import pytest

from openrouter_embeddings import errors
from openrouter_embeddings._flows.effects import Fetch, Flow, Sleep
from openrouter_embeddings._flows.listing import list_endpoints, list_models
from openrouter_embeddings._protocol import Endpoint, Response, TransportFailure, TransportFault
from openrouter_embeddings.gateways import INFRON, OPENROUTER

from ...simulation.answers import refusal

MODEL = "qwen/qwen3-embedding-8b"
LOST = TransportFailure(TransportFault.CONNECTION_LOST)


def page(*ids: str, following: str | None = None) -> Response:
    body = {"data": [{"id": ident} for ident in ids], "links": {"next": following}}
    return Response(200, {}, json.dumps(body).encode())


def endpoints(*tags: str) -> Response:
    rows = [{"tag": tag, "provider_name": tag.title()} for tag in tags]
    return Response(200, {}, json.dumps({"data": {"endpoints": rows}}).encode())


def played(flow: Flow, *answers: Response | TransportFailure):
    """Run a listing to its end; return its result, what it fetched, and its pauses."""
    left, fetched, pauses, answer = list(answers), [], [], None
    while True:
        try:
            effect = flow.send(answer)
        except StopIteration as done:
            assert not left
            return done.value, fetched, pauses
        answer = None
        if isinstance(effect, Sleep):
            pauses.append(effect.seconds)
        else:
            assert isinstance(effect, Fetch)
            fetched.append(effect)
            answer = left.pop(0)


def test_models_are_listed_page_after_page_and_no_page_twice():
    turning = "/api/v1/embeddings/models?offset=1"
    answers = [page("a", following=turning), page("b", following=turning)]
    models, fetched, _ = played(list_models(OPENROUTER, timeout=7.0), *answers)
    assert [model.id for model in models] == ["a", "b"]
    assert [fetch.url for fetch in fetched] == [OPENROUTER.models_url, f"{OPENROUTER.models_url}?offset=1"]
    assert {fetch.timeout for fetch in fetched} == {7.0}
    assert fetched[0].keyed is OPENROUTER.models_take_key


def test_the_providers_of_a_model_are_listed_with_the_key_at_its_own_address():
    found, fetched, _ = played(list_endpoints(OPENROUTER, f"openrouter/{MODEL}", timeout=7.0), endpoints("alpha"))
    assert found == [Endpoint("alpha", "Alpha", None)]
    assert fetched == [Fetch(f"{OPENROUTER.base_url}/models/{MODEL}/endpoints", True, 7.0)]


@pytest.mark.parametrize("fault", [refusal(503), refusal(429), refusal(500), refusal(502), LOST])
def test_a_page_that_does_not_come_is_asked_for_three_times_at_most(fault):
    models, fetched, pauses = played(list_models(OPENROUTER, timeout=60.0), fault, fault, page("a"))
    assert [model.id for model in models] == ["a"]
    assert len(fetched) == 3
    assert pauses == [0.5, 1.0]
    with pytest.raises(errors.EmbeddingError, match="while listing the models of openrouter"):
        played(list_models(OPENROUTER, timeout=60.0), fault, fault, fault)


def test_a_wait_that_is_told_is_kept_unless_it_is_longer_than_the_timeout():
    _, _, pauses = played(list_models(OPENROUTER, timeout=60.0), refusal(429, retry_after="9"), page("a"))
    assert pauses == [9.0]
    with pytest.raises(errors.RateLimitError) as caught:
        played(list_models(OPENROUTER, timeout=5.0), refusal(429, retry_after="9"))
    assert caught.value.retry_after == 9.0
    assert caught.value.status == 429


@pytest.mark.parametrize(
    ("answer", "error", "says"),
    [
        (
            refusal(401),
            errors.AuthenticationError,
            r"The key was refused \(401\) while listing the models of openrouter",
        ),
        (refusal(404), errors.APIError, r"\(404\) while listing"),
        (
            Response(200, {}, b'{"error":{"message":"no","code":402}}'),
            errors.InsufficientCreditsError,
            "No credit left",
        ),
        (TransportFailure(TransportFault.CERTIFICATE), errors.ConnectionFailedError, "certificate is not trusted"),
        (Response(200, {}, b"<html>"), errors.ResponseError, "The model listing of openrouter was not complete JSON"),
    ],
)
def test_what_asking_again_cannot_cure_is_an_error_at_once(answer, error, says):
    with pytest.raises(error, match=says):
        played(list_models(OPENROUTER, timeout=60.0), answer)


def test_an_answer_without_content_is_an_error_of_ours():
    with pytest.raises(errors.ResponseError, match=r"status 204 while listing the models of openrouter"):
        played(list_models(OPENROUTER, timeout=60.0), *[Response(204, {}, b"")] * 3)


def test_a_gateway_that_lists_no_providers_is_not_asked_for_them():
    with pytest.raises(errors.ConfigurationError, match="infron does not list the providers of a model"):
        played(list_endpoints(INFRON, MODEL, timeout=60.0))


@pytest.mark.parametrize(
    ("answer", "error", "says"),
    [
        (endpoints(), errors.ModelNotFoundError, "openrouter lists no provider of model"),
        (Response(200, {}, b"{}"), errors.ResponseError, "was no list of providers of model"),
    ],
)
def test_a_model_without_providers_and_an_answer_that_is_no_list_are_told_apart(answer, error, says):
    with pytest.raises(error, match=says) as caught:
        played(list_endpoints(OPENROUTER, MODEL, timeout=60.0), answer)
    assert caught.value.model == MODEL
