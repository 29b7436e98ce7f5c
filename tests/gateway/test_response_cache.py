"""The response cache: asked for by header, and what was worked for is never charged twice."""

from __future__ import annotations

import httpx
import pytest
from starlette.requests import Request

from openrouter_embeddings_gateway.errors import Refused
from openrouter_embeddings_gateway.response_cache import CacheRequest, ResponseCache, cache_request

SMALL = "openai/text-embedding-3-small"
CACHE = {"X-OpenRouter-Cache": "true"}


@pytest.fixture
def gateway(embeddings_gateway):
    return embeddings_gateway


@pytest.fixture
def ask(gateway):
    """Post three texts, with the cache unless told otherwise."""
    with httpx.Client(base_url=gateway.base_url, timeout=5, trust_env=False) as client:

        def post(headers=CACHE, *, key="k", timeout=5.0, **fields):
            body = {"model": SMALL, "input": ["alpha", "beta", "gamma"], **fields}
            sent = {"Authorization": f"Bearer {key}", **headers}
            return client.post("/embeddings", json=body, headers=sent, timeout=timeout)

        yield post


def statuses(*answers):
    return [answer.headers.get("X-OpenRouter-Cache-Status") for answer in answers]


def test_the_second_answer_is_the_first_one_and_free(gateway, ask):
    first, second = ask(), ask()
    assert statuses(first, second) == ["MISS", "HIT"]
    assert second.json()["data"] == first.json()["data"]
    assert second.json()["id"] == first.json()["id"]
    used = second.json()["usage"]
    assert (used["prompt_tokens"], used["total_tokens"], used["cost"]) == (0, 0, 0)
    assert first.json()["usage"]["cost"] > 0
    assert first.headers["X-OpenRouter-Cache-TTL"] == second.headers["X-OpenRouter-Cache-TTL"] == "300"
    assert int(second.headers["X-OpenRouter-Cache-Age"]) >= 0
    assert second.headers["X-OpenRouter-Cache-Source-Id"] == first.headers["X-Generation-Id"]
    assert second.headers["X-Generation-Id"] != first.headers["X-Generation-Id"]
    assert [(one.paid, one.server_cached) for one in gateway.embedding_requests()] == [(3, False), (0, True)]
    assert gateway.paid_inputs() == 3


def test_who_does_not_ask_gets_no_cache(ask):
    plain = {"X-OpenRouter-Cache": "false"}
    assert statuses(ask({}), ask(plain), ask()) == [None, None, "MISS"]
    assert ask({}).json()["usage"]["cost"] > 0


def test_another_key_or_another_body_is_another_answer(ask):
    assert statuses(ask(), ask(key="another"), ask(user="u"), ask()) == ["MISS", "MISS", "MISS", "HIT"]


def test_an_answer_is_dropped_on_request_and_by_a_reset(gateway, ask):
    assert statuses(ask(), ask({**CACHE, "X-OpenRouter-Cache-Clear": "true"}), ask()) == ["MISS", "MISS", "HIT"]
    gateway.reset()
    assert statuses(ask()) == ["MISS"]


@pytest.mark.parametrize(
    "seconds", ["0", "86401", "9" * 5000, "-1", "1.5", "soon", ""], ids=lambda seconds: seconds[:9] or "empty"
)
def test_a_time_out_of_range_is_refused(ask, seconds):
    answer = ask({**CACHE, "X-OpenRouter-Cache-TTL": seconds})
    assert answer.status_code == 400
    assert answer.json()["error"]["message"] == "X-OpenRouter-Cache-TTL: expected whole seconds from 1 to 86400"


@pytest.mark.parametrize(
    ("kind", "options"),
    [("cut", {}), ("reset", {"worked": True}), ("slow", {"seconds": 30}), ("drip", {"seconds": 30})],
    ids=["cut", "reset", "slow", "drip"],
)
def test_what_was_worked_for_and_never_arrived_is_not_charged_again(gateway, ask, kind, options):
    gateway.trouble(kind, **options)
    with pytest.raises(httpx.TransportError):
        ask(timeout=0.5)
    replay = ask()
    assert statuses(replay) == ["HIT"]
    assert len(replay.json()["data"]) == 3
    assert [one.paid for one in gateway.embedding_requests()] == [3, 0]


def test_nothing_is_kept_of_a_request_that_was_not_worked_for(gateway, ask):
    gateway.trouble("reset")
    with pytest.raises(httpx.TransportError):
        ask()
    gateway.trouble("status", status=503)
    assert ask().status_code == 503
    gateway.trouble("nan")
    assert ask().status_code == 200
    assert statuses(ask()) == ["MISS"]
    assert [one.paid for one in gateway.embedding_requests()] == [0, 0, 0, 3]


def test_a_hit_meets_no_trouble(gateway, ask):
    ask()
    gateway.trouble("status", status=500)
    assert ask().status_code == 200
    assert ask({}).status_code == 500


def test_an_answer_is_kept_for_its_time_and_no_longer():
    now = 100.0
    answers = ResponseCache(clock=lambda: now)
    wish = CacheRequest(b"name", 10, afresh=False)
    answers.keep(wish, b"{}", "gen-1")
    now = 109.9
    kept = answers.find(wish)
    assert kept is not None
    assert answers.hit(kept)["X-OpenRouter-Cache-Age"] == "9"
    now = 110.0
    assert answers.find(wish) is None


def test_the_oldest_answers_make_room():
    answers = ResponseCache(clock=lambda: 0.0)
    wishes = [CacheRequest(bytes([at]), 10, afresh=False) for at in range(3)]
    for wish in wishes:
        answers.keep(wish, bytes(30 << 20), "gen")
    assert [answers.find(wish) is None for wish in wishes] == [True, False, False]


def test_the_key_and_the_body_cannot_be_shifted_into_each_other():
    def named(key, raw):
        headers = [(b"authorization", b"Bearer " + key), (b"x-openrouter-cache", b"true")]
        wish = cache_request(Request({"type": "http", "path": "/p", "headers": headers, "server": ("h", 80)}), raw)
        assert wish is not None
        return wish.name

    assert named(b"ab", b"c") != named(b"a", b"bc")


def test_a_wish_with_a_wrong_time_is_refused_before_any_work():
    headers = [(b"x-openrouter-cache", b"true"), (b"x-openrouter-cache-ttl", "²".encode("latin-1"))]
    with pytest.raises(Refused):
        cache_request(Request({"type": "http", "path": "/p", "headers": headers, "server": ("h", 80)}), b"")
