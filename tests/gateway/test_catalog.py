"""Which models are served: those of the profiles by their exact ids, those that are added, and all where lenient."""

from __future__ import annotations

import httpx
import pytest

from openrouter_embeddings.profiles import PROFILES, profile_for
from openrouter_embeddings_gateway import LocalGateway


def post(gateway, model, **fields):
    body = {"model": model, "input": "a", **fields}
    return httpx.post(
        f"{gateway.base_url}/embeddings", json=body, headers={"Authorization": "Bearer k"}, trust_env=False
    )


def width(answer):
    assert answer.status_code == 200, answer.text
    return len(answer.json()["data"][0]["embedding"])


@pytest.mark.parametrize(
    "model",
    [
        "nobody/no-such-model",
        "missing/anything",
        "somebody/unknown",
        "openai/text-embedding-3-smal",
        "opennai/text-embedding-3-small",
        "text-embedding-3-small",
        "OpenAI/text-embedding-3-small",
        "openrouter/openai/text-embedding-3-small",
        "openai/text-embedding-3-small:free",
        "liquid/lfm-2.5-embedding-350m",
        "qwen/qwen3-embedding-99b",
    ],
)
def test_an_id_that_is_not_exactly_a_models_is_refused_as_openrouter_refuses_it(embeddings_gateway, model):
    answer = post(embeddings_gateway, model)
    error = answer.json()["error"]
    assert answer.status_code == error["http_status"] == 400
    assert error["message"].startswith(f"{model} is not a valid model ID")
    assert error["error_type"] == "invalid_request"
    assert "code" not in error
    assert error["availability"]["code"] == "model_not_found"
    assert error["availability"]["retryable"] is False
    assert error["availability"]["requested_models"] == [model]
    assert embeddings_gateway.paid_inputs() == 0


@pytest.mark.parametrize("variant", ["nitro", "floor"])
def test_a_variant_that_only_sorts_providers_is_the_model(embeddings_gateway, variant):
    assert width(post(embeddings_gateway, f"openai/text-embedding-3-small:{variant}")) == 1536


def test_every_id_of_the_profiles_is_served_by_its_own_profile():
    assert [profile_for(profile.example_id) for profile in PROFILES] == list(PROFILES)


def test_models_are_added_at_the_start():
    with LocalGateway(models={"acme/embed-1": 768, "acme/embed-2:free": 100}) as gateway:
        assert width(post(gateway, "acme/embed-1")) == 768
        assert width(post(gateway, "acme/embed-1", dimensions=64)) == 64
        assert width(post(gateway, "acme/embed-2:free")) == 100
        assert post(gateway, "acme/embed-2").status_code == 400
        gateway.reset()
        assert width(post(gateway, "acme/embed-1")) == 768


def test_an_added_model_keeps_what_a_profile_knows_of_it(embeddings_gateway):
    embeddings_gateway.configure(models={"baai/bge-m3-tuned": 512, "voyageai/voyage-4": 300})
    assert width(post(embeddings_gateway, "voyageai/voyage-4")) == 300
    plain, marked = (
        post(embeddings_gateway, "voyageai/voyage-4", **fields).json()["data"]
        for fields in ({}, {"input_type": "query"})
    )
    assert plain != marked
    assert width(post(embeddings_gateway, "baai/bge-m3-tuned")) == 512


def test_a_lenient_gateway_answers_to_every_id_but_those_kept_for_missing_models():
    with LocalGateway(lenient=True) as gateway:
        assert width(post(gateway, "somebody/unknown")) == 256
        assert width(post(gateway, "text-embedding-3-small")) == 1536
        assert width(post(gateway, "qwen/qwen3-embedding-99b")) == 256
        for model in ("nobody/no-such-model", "missing/anything", "openrouter/missing/anything"):
            assert post(gateway, model).json()["error"]["availability"]["code"] == "model_not_found"


def test_leniency_ends_with_a_reset(embeddings_gateway):
    embeddings_gateway.configure(lenient=True)
    assert width(post(embeddings_gateway, "somebody/unknown")) == 256
    embeddings_gateway.reset()
    assert post(embeddings_gateway, "somebody/unknown").status_code == 400
