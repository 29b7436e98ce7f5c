"""How many requests are let in at once and in a second, and how long each takes."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from openrouter_embeddings_gateway import LocalGateway
from openrouter_embeddings_gateway.errors import Refused
from openrouter_embeddings_gateway.settings import Settings
from openrouter_embeddings_gateway.traffic import Traffic

SMALL = "openai/text-embedding-3-small"


def post(gateway, text="a", key="k"):
    headers = {"Authorization": f"Bearer {key}"}
    body = {"model": SMALL, "input": text}
    return httpx.post(f"{gateway.base_url}/embeddings", json=body, headers=headers, trust_env=False, timeout=30)


def wait_until(condition):
    ends = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < ends, "never came true"
        time.sleep(0.01)


def refused_after(traffic):
    with pytest.raises(Refused) as caught:
        traffic.enter()
    assert caught.value.status == 429
    return int(caught.value.headers["Retry-After"])


def test_requests_beyond_the_cap_are_refused_at_once(embeddings_gateway):
    # Long enough that the third comes while the first two are under way, however slow the machine.
    embeddings_gateway.configure(cap=2, latency=3)
    with ThreadPoolExecutor(2) as threads:
        held = [threads.submit(post, embeddings_gateway) for _ in range(2)]
        wait_until(lambda: embeddings_gateway.usage()["in_flight"] == 2)
        refused = post(embeddings_gateway)
        assert [answer.result().status_code for answer in held] == [200, 200]
    assert refused.status_code == 429
    assert refused.headers["Retry-After"] == "1"
    error = refused.json()["error"]
    assert (error["code"], error["metadata"]["error_type"]) == (429, "rate_limit_exceeded")
    assert error["message"] == "Rate limit exceeded: at most 2 requests at once"
    embeddings_gateway.configure(latency=0)
    assert [post(embeddings_gateway).status_code for _ in range(3)] == [200, 200, 200]


def test_whoever_fails_inside_leaves_the_cap_too(embeddings_gateway):
    embeddings_gateway.configure(cap=1)
    for kind in ("cut", "reset", "nan", "html"):
        embeddings_gateway.trouble(kind)
        try:
            post(embeddings_gateway)
        except httpx.TransportError:
            wait_until(lambda: not embeddings_gateway.usage()["in_flight"])
    embeddings_gateway.trouble("status", status=500)
    assert [post(embeddings_gateway).status_code for _ in range(2)] == [500, 200]


def test_a_reset_lifts_a_cap_that_requests_still_fill(embeddings_gateway):
    embeddings_gateway.configure(cap=1, latency=3)
    with ThreadPoolExecutor(1) as threads:
        held = threads.submit(post, embeddings_gateway)
        wait_until(lambda: embeddings_gateway.usage()["in_flight"] == 1)
        embeddings_gateway.reset()
        embeddings_gateway.configure(cap=1)
        assert post(embeddings_gateway).status_code == 200
        assert held.result().status_code == 200
    assert post(embeddings_gateway).status_code == 200
    assert embeddings_gateway.usage()["in_flight"] == 0


def test_requests_beyond_the_rate_are_refused_with_the_time_to_wait(embeddings_gateway):
    embeddings_gateway.configure(rate=0.05, burst=2)
    answers = [post(embeddings_gateway) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert 1 <= int(answers[2].headers["Retry-After"]) <= 20
    assert "at most 0.05 requests a second" in answers[2].json()["error"]["message"]


def test_limits_and_latency_are_told_at_the_start():
    with LocalGateway(cap=7, rate=0.05, burst=1, latency=0.2) as gateway:
        held = gateway.settings()
        assert (held["cap"], held["rate"], held["burst"], held["latency"]) == (7, 0.05, 1, 0.2)
        assert [post(gateway).status_code for _ in range(2)] == [200, 429]
        first, _ = gateway.embedding_requests()
        assert first.ended - first.started >= 0.19


def test_a_key_that_is_refused_and_a_body_that_is_wrong_take_no_token(embeddings_gateway):
    embeddings_gateway.configure(rate=0.05, burst=1)
    assert [post(embeddings_gateway, key="expired").status_code, post(embeddings_gateway, "").status_code] == [401, 400]
    assert post(embeddings_gateway).status_code == 200


def test_a_bucket_fills_with_time_and_no_further_than_its_burst():
    now = 100.0
    traffic = Traffic(Settings(rate=2, burst=3), clock=lambda: now)
    for _ in range(3):
        traffic.enter()
    assert refused_after(traffic) == 1
    now += 0.5
    traffic.enter()
    assert refused_after(traffic) == 1
    now += 1000
    for _ in range(3):
        traffic.enter()
    assert refused_after(traffic) == 1


@pytest.mark.parametrize(("rate", "burst"), [(0.3, 1), (1, 1), (5.5, 5)])
def test_a_burst_that_is_not_told_is_a_seconds_worth(rate, burst):
    traffic = Traffic(Settings(rate=rate), clock=lambda: 0.0)
    for _ in range(burst):
        traffic.enter()
    assert refused_after(traffic) >= 1


def test_a_request_that_the_cap_refuses_takes_no_token():
    traffic = Traffic(Settings(cap=1, rate=1, burst=2), clock=lambda: 0.0)
    traffic.enter()
    assert refused_after(traffic) == 1
    traffic.leave()
    traffic.enter()
