"""Workers in processes of their own, under one limit in Redis: what the gateway sees of them."""

from __future__ import annotations

import time

import pytest

from openrouter_embeddings_engines.redis_limiter import RedisLease, RedisLimiter

from .workers import workers

pytestmark = pytest.mark.slow

CAP, RATE, LATENCY = 16, 20.0, 0.1


@pytest.fixture
def task(redis_server, embeddings_gateway):
    """What a worker is told, but for its limits."""
    return {"url": redis_server.url, "gateway": embeddings_gateway.base_url, "requests": 40, "threads": 8}


def until_paid(gateway, inputs):
    """Wait until so many inputs have been paid for."""
    while gateway.paid_inputs() < inputs:
        time.sleep(0.01)


def texts(gateway):
    """The texts that were paid for."""
    return [request.body["input"][0] for request in gateway.embedding_requests() if request.status == 200]


@pytest.mark.parametrize(
    ("settings", "limits"),
    [
        ({"cap": CAP}, {"concurrency": CAP}),
        ({"rate": RATE}, {"per_second": RATE}),
        ({"cap": CAP, "rate": RATE}, {"concurrency": CAP, "per_second": RATE}),
    ],
    ids=["cap", "rate", "both"],
)
def test_eight_workers_keep_a_limit_without_refusals(task, embeddings_gateway, settings, limits):
    embeddings_gateway.configure(latency=LATENCY, **settings)
    count = 15 if "rate" in settings else 40
    with workers(8, **{**task, "requests": count}, limits={"name": "job", **limits}) as running:
        seen = running.results()
    assert sum(result["landed"] for result in seen) == 8 * count
    assert embeddings_gateway.usage()["refused"] <= 0.01 * 8 * count
    assert embeddings_gateway.max_in_flight() <= CAP


@pytest.mark.parametrize("comes_back", [True, False], ids=["for a while", "for good"])
def test_a_server_killed_in_the_middle_causes_no_flood_and_loses_nothing(
    task, redis_server, embeddings_gateway, comes_back
):
    embeddings_gateway.configure(latency=LATENCY, cap=CAP)
    with workers(8, **task, limits={"name": "job", "concurrency": CAP}) as running:
        until_paid(embeddings_gateway, 80)
        redis_server.stop()
        until_paid(embeddings_gateway, 160)
        if comes_back:
            redis_server.start()
        seen = running.results()
    assert sorted(texts(embeddings_gateway)) == sorted(f"worker {number} {n}" for number in range(8) for n in range(40))
    assert embeddings_gateway.usage()["refused"] <= 3
    assert all(len(result["warned"]) == 1 for result in seen)


def test_the_permits_of_a_killed_worker_come_back(task, redis_server, embeddings_gateway):
    embeddings_gateway.configure(latency=LATENCY, cap=CAP)
    limits = {"name": "job", "concurrency": CAP, "lease_seconds": 2.0}
    with workers(2, **task, limits=limits) as running:
        until_paid(embeddings_gateway, 16)
        running.kill(0)
        (seen,) = running.results()
    assert seen["landed"] == task["requests"]
    limiter = RedisLimiter(redis_server.url, **limits)
    leases = []
    while len(leases) < CAP:  # for as long as the killed one's last
        if isinstance(answer := limiter.acquire(1, 10), RedisLease):
            leases.append(answer)
    limiter.close()


def test_a_budget_over_four_workers_is_passed_by_the_requests_in_flight_at_most(task, embeddings_gateway):
    embeddings_gateway.configure(latency=0.01)
    limits = {"name": "job", "concurrency": CAP}
    with workers(1, **{**task, "requests": 1}, limits=limits) as running:
        running.results()
    price = embeddings_gateway.usage()["cost"]
    embeddings_gateway.reset()
    with workers(4, **task, limits={**limits, "name": "dear", "max_cost": 50.5 * price}) as running:
        seen = running.results()
    assert all(result["over"] for result in seen)
    spent = embeddings_gateway.usage()["cost"] / price
    assert 50 - CAP <= spent <= 50.5 + CAP
