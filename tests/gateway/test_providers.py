"""Two providers of each model, which a request may pin, and which may compute slightly differently."""

from __future__ import annotations

import httpx
import numpy as np
import pytest

from openrouter_embeddings.profiles import PROFILES

SMALL = "openai/text-embedding-3-small"


@pytest.fixture
def ask(embeddings_gateway):
    with httpx.Client(
        base_url=embeddings_gateway.base_url, headers={"Authorization": "Bearer k"}, trust_env=False
    ) as client:
        yield lambda **provider: client.post(
            "/embeddings", json={"model": SMALL, "input": ["alpha", "beta"], "provider": provider}
        )


def rows(answer):
    return np.array([one["embedding"] for one in answer.json()["data"]], dtype=np.float32)


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.example_id)
def test_every_model_has_two_providers(embeddings_gateway, profile):
    url = f"{embeddings_gateway.base_url}/models/{profile.example_id}/endpoints"
    endpoints = httpx.get(url, trust_env=False).json()["data"]["endpoints"]
    assert [one["tag"] for one in endpoints] == [one["provider_name"] for one in endpoints] == ["local", "nearby"]


@pytest.mark.parametrize(
    ("preferences", "serves"),
    [
        ({}, "local"),
        ({"only": ["nearby"]}, "nearby"),
        ({"only": ["deepinfra"]}, "deepinfra"),
        ({"ignore": ["local"]}, "nearby"),
        ({"order": ["nearby"]}, "nearby"),
        ({"order": ["deepinfra/turbo"], "only": ["local", "deepinfra"]}, "deepinfra/turbo"),
        ({"only": ["deepinfra/turbo", "nearby"], "ignore": ["deepinfra"]}, "nearby"),
        ({"order": ["deepinfra", "nearby"], "only": ["local", "nearby"]}, "nearby"),
        ({"order": None, "only": None, "ignore": None}, "local"),
    ],
    ids=str,
)
def test_the_answer_names_the_provider_that_was_asked_for(ask, preferences, serves):
    assert ask(**preferences).json()["provider"] == serves


def test_no_provider_left_is_404(ask):
    answer = ask(ignore=["local", "nearby"])
    assert answer.status_code == 404
    assert answer.json()["error"]["availability"]["code"] == "no_endpoints"


MISSPELT = {
    "only": {"only": ["deepinfar"]},
    "one_of_only": {"only": ["local", "deepinfar"]},
    "order": {"order": ["deepinfar", "local"]},
    "ignore": {"ignore": ["deepinfar"]},
    "options": {"options": {"deepinfar": {"priority": "high"}}},
    "endpoint": {"only": ["deepinfar/turbo"]},
}


@pytest.mark.parametrize("preferences", MISSPELT.values(), ids=MISSPELT)
def test_a_slug_that_no_provider_has_is_refused(embeddings_gateway, ask, preferences):
    (field,) = preferences
    answer = ask(**preferences)
    error = answer.json()["error"]
    assert answer.status_code == error["http_status"] == 404
    assert error["error_type"] == "not_found"
    assert error["message"].startswith("No allowed providers are available for the selected model")
    assert error["availability"]["code"] == "constraint_filtered"
    assert error["availability"]["retryable"] is False
    assert error["availability"]["excluded_by"] == ["allowed_providers"]
    assert error["availability"]["constraint"]["field"] == f"provider.{field}"
    assert "no provider is called 'deepinfar" in error["availability"]["constraint"]["detail"]
    embeddings_gateway.configure(lenient=True)
    assert ask(**preferences).status_code == 200


@pytest.mark.parametrize("slug", ["deepinfra", "deepinfra/turbo", "google-vertex/us-east5", "DeepInfra", "nearby"])
def test_a_slug_of_openrouters_is_played(ask, slug):
    assert ask(only=[slug]).json()["provider"] == slug


@pytest.mark.parametrize(
    ("preferences", "excluded_by"),
    [
        ({"max_price": {"prompt": "0.019"}}, "max_price"),
        ({"max_price": {"prompt": 0}}, "max_price"),
        ({"quantizations": ["fp61"]}, "quantization"),
        ({"quantizations": ["fp8", "fp61"]}, "quantization"),
    ],
    ids=str,
)
def test_a_filter_that_leaves_no_provider_is_refused(ask, preferences, excluded_by):
    answer = ask(**preferences)
    assert answer.status_code == 404
    assert answer.json()["error"]["availability"]["excluded_by"] == [excluded_by]


def test_a_filter_that_leaves_a_provider_is_taken(ask):
    assert ask(max_price={"prompt": "0.02"}, quantizations=["fp8", "fp16"]).status_code == 200
    assert ask(max_price={"completion": 0}, quantizations=[], only=[]).status_code == 200


@pytest.mark.parametrize("price", ["nan", "inf", "cheap"])
def test_a_price_that_is_no_number_is_refused(ask, price):
    answer = ask(max_price={"prompt": price})
    assert answer.status_code == 400
    assert answer.json()["error"]["message"] == "provider.max_price: expected an object of prices"


def test_one_provider_computes_in_int8(embeddings_gateway, ask):
    embeddings_gateway.trouble("quantised", provider="nearby", times=None)
    right, other = rows(ask(only=["local"])), rows(ask(only=["nearby"]))
    assert (right == rows(ask())).all()
    cosines = (right * other).sum(axis=1) / np.linalg.norm(right, axis=1) / np.linalg.norm(other, axis=1)
    assert (cosines < 0.99999).all()
    assert (cosines > 0.99).all()
    assert len(np.unique(np.round(np.abs(other[0] / np.abs(other[0]).max() * 127), 3))) <= 128
    assert embeddings_gateway.paid_inputs() == 6


def test_without_a_name_every_provider_computes_in_int8(embeddings_gateway, ask):
    right = rows(ask())
    embeddings_gateway.trouble("quantised")
    assert (rows(ask()) != right).any()
