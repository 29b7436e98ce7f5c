"""What was asked and paid for: in total, and for each model."""

from __future__ import annotations

import httpx
import pytest

SMALL, LARGE = "openai/text-embedding-3-small", "openai/text-embedding-3-large"


@pytest.fixture
def ask(embeddings_gateway):
    with httpx.Client(
        base_url=embeddings_gateway.base_url, headers={"Authorization": "Bearer k"}, trust_env=False
    ) as client:

        def post(texts, model=SMALL, headers=None, **fields):
            return client.post("/embeddings", json={"model": model, "input": texts, **fields}, headers=headers)

        yield post


def test_nothing_was_used_yet(embeddings_gateway):
    assert embeddings_gateway.usage() == {
        "requests": 0,
        "refused": 0,
        "paid_inputs": 0,
        "tokens": 0,
        "cost": 0.0,
        "in_flight": 0,
        "max_in_flight": 0,
        "models": {},
    }


def test_usage_is_the_sum_of_what_the_answers_say(embeddings_gateway, ask):
    answers = [ask(["a cat", "a dog"]), ask("three words here"), ask(["x"] * 5, model=LARGE)]
    said = [answer.json()["usage"] for answer in answers]
    used = embeddings_gateway.usage()
    assert (used["requests"], used["refused"], used["paid_inputs"]) == (3, 0, 8)
    assert used["tokens"] == sum(usage["total_tokens"] for usage in said)
    assert used["cost"] == pytest.approx(sum(usage["cost"] for usage in said))
    assert (used["in_flight"], used["max_in_flight"]) == (0, 1)
    assert used["models"][LARGE] == {
        "requests": 1,
        "refused": 0,
        "paid_inputs": 5,
        "tokens": said[2]["total_tokens"],
        "cost": pytest.approx(said[2]["cost"]),
        "in_flight": 0,
        "max_in_flight": 1,
    }
    assert sum(model["paid_inputs"] for model in used["models"].values()) == embeddings_gateway.paid_inputs()


def test_what_is_refused_is_counted_and_not_paid(embeddings_gateway, ask):
    embeddings_gateway.trouble("status", status=429)
    embeddings_gateway.trouble("error_in_200")
    ask("a"), ask("a"), ask("a", model="no/model"), ask("a", dimensions=0), ask("a")
    used = embeddings_gateway.usage()
    assert (used["requests"], used["refused"], used["paid_inputs"]) == (5, 3, 1)
    assert (used["models"][SMALL]["requests"], used["models"][SMALL]["refused"]) == (3, 1)
    assert (used["models"]["no/model"]["refused"], used["models"]["no/model"]["cost"]) == (1, 0)


def test_an_answer_from_the_response_cache_costs_nothing(embeddings_gateway, ask):
    for _ in range(3):
        ask("a", headers={"X-OpenRouter-Cache": "true"})
    used = embeddings_gateway.usage()
    assert (used["requests"], used["paid_inputs"]) == (3, 1)


def test_listings_are_not_embedding_requests(embeddings_gateway):
    httpx.get(f"{embeddings_gateway.base_url}/models", trust_env=False)
    assert embeddings_gateway.usage()["requests"] == 0
    assert embeddings_gateway.stats()["requests"] == 1


def test_a_reset_forgets_the_usage(embeddings_gateway, ask):
    ask("a")
    embeddings_gateway.reset()
    assert embeddings_gateway.usage()["requests"] == 0
