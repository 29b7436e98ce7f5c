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
