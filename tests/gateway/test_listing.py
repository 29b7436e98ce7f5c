"""The listings of models and endpoints."""

from __future__ import annotations

import httpx
import pytest

from openrouter_embeddings.profiles import PROFILES


@pytest.fixture
def get(embeddings_gateway):
    with httpx.Client(base_url=embeddings_gateway.base_url, trust_env=False) as client:
        yield client.get


def test_the_listing_of_openrouter_has_pages(get):
    everything = get("/embeddings/models").json()
    assert everything["total_count"] == len(everything["data"]) == len(PROFILES)
    assert everything["links"]["next"] is None
    page = get("/embeddings/models", params={"offset": 2, "limit": 3}).json()
    assert page["data"] == everything["data"][2:5]
    assert page["links"]["next"].endswith("?offset=5&limit=3")
    assert get("/embeddings/models", params={"limit": 0}).status_code == 400


def test_the_listing_of_openai_has_the_same_models(get):
    listed = get("/models").json()
    assert listed["object"] == "list"
    assert [entry["id"] for entry in listed["data"]] == [
        entry["id"] for entry in get("/embeddings/models").json()["data"]
    ]
    first = listed["data"][0]
    assert (first["object"], first["id"], first["owned_by"]) == ("model", "openai/text-embedding-3-small", "openai")
    assert isinstance(first["created"], int)
    assert first["architecture"]["output_modalities"] == ["embeddings"]


def test_the_endpoints_of_a_model_are_listed_and_of_no_other(get):
    found = get("/models/openai/text-embedding-3-small/endpoints").json()["data"]
    assert found["endpoints"][0]["tag"] == "local"
    missing = get("/models/some/body/endpoints")
    assert missing.status_code == 404
    assert missing.json()["error"]["message"] == "Model not found"


def test_an_added_model_is_listed_everywhere(embeddings_gateway, get):
    embeddings_gateway.configure(models={"acme/embed-1": 768})
    for path in ("/models", "/embeddings/models"):
        (entry,) = [entry for entry in get(path).json()["data"] if entry["id"] == "acme/embed-1"]
        assert "at 768 dimensions" in entry["description"]
    assert get("/models/acme/embed-1/endpoints").json()["data"]["id"] == "acme/embed-1"
