"""A share of requests that fail, and which ones: the same in every run."""

from __future__ import annotations

import random

import httpx
import pytest

from openrouter_embeddings_gateway import LocalGateway
from openrouter_embeddings_gateway.faults import LATE, Faults

SMALL = "openai/text-embedding-3-small"


def body(text):
    return b'{"model":"%s","input":"%s"}' % (SMALL.encode(), text.encode())


def post(gateway, text):
    headers = {"Authorization": "Bearer k", "Content-Type": "application/json"}
    return httpx.post(
        f"{gateway.base_url}/embeddings", content=body(text), headers=headers, trust_env=False, timeout=30
    )


def named(rule):
    return None if rule is None else (rule.kind, rule.options.get("status"))


def fates(faults, bodies, share):
    return [named(faults.strike(raw, share)) for raw in bodies]


BODIES = [body(f"text {number}") for number in range(2000)]


def test_the_share_is_kept_and_every_kind_comes():
    struck = [fate for fate in fates(Faults(), BODIES, 0.2) if fate]
    assert 330 < len(struck) < 470
    kinds = {("status", 500), ("status", 503), ("status", 429), ("cut", None), ("slow", None)}
    assert set(struck) == kinds
    assert min(struck.count(kind) for kind in kinds) > 40
    assert not any(fates(Faults(), BODIES, 0.0))
    assert all(fates(Faults(), BODIES, 1.0))


def test_a_run_is_repeatable_in_any_order_and_a_retry_has_a_fate_of_its_own():
    order = list(range(len(BODIES)))
    random.Random(5).shuffle(order)
    faults, others = Faults(), Faults()
    first, again = fates(faults, BODIES, 0.3), fates(faults, BODIES, 0.3)
    shuffled = dict(zip(order, fates(others, [BODIES[index] for index in order], 0.3), strict=True))
    assert [shuffled[index] for index in range(len(BODIES))] == first
    assert again != first
    assert 430 < sum(fate is not None for fate in again) < 770


def test_a_higher_share_strikes_whom_a_lower_one_struck():
    low, high = fates(Faults(), BODIES, 0.1), fates(Faults(), BODIES, 0.4)
    assert all(more == less for less, more in zip(low, high, strict=True) if less)


def test_each_fault_over_http_and_the_same_after_a_reset():
    chosen = {}
    for number, fate in enumerate(fates(Faults(), BODIES, 0.5)):
        chosen.setdefault(fate, f"text {number}")
    with LocalGateway(faults=0.5) as gateway:
        for _ in range(2):
            assert post(gateway, chosen[None]).status_code == 200
            assert post(gateway, chosen["status", 500]).status_code == 500
            for status in (503, 429):
                refused = post(gateway, chosen["status", status])
                assert (refused.status_code, refused.headers["Retry-After"]) == (status, "1")
            with pytest.raises(httpx.RemoteProtocolError):
                post(gateway, chosen["cut", None])
            gateway.reset()
        late = post(gateway, chosen["slow", None])
        assert len(late.json()["data"]) == 1
        (request,) = gateway.embedding_requests()
        assert request.ended - request.started >= LATE - 0.05


def test_faults_are_told_at_run_time_and_scripted_trouble_comes_first(embeddings_gateway):
    embeddings_gateway.configure(faults=1)
    embeddings_gateway.trouble("status", status=418)
    assert post(embeddings_gateway, "a").status_code == 418
    embeddings_gateway.configure(faults=0)
    assert post(embeddings_gateway, "a").status_code == 200
