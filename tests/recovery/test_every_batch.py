"""Whichever batch fails, the next run pays for exactly the rest."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from openrouter_embeddings import AsyncClient, Client, EmbeddingError

TEXTS = [f"sentence number {one}" for one in range(40)]
THOUSAND = [f"sentence number {one}" for one in range(1000)]
TROUBLES = [{"status": 401}, {"status": 500}, {"kind": "reset"}, {"kind": "html"}, {"kind": "missing"}]


@pytest.mark.parametrize("k", range(8))
def test_the_second_run_pays_exactly_the_rest(run, bill, options, k):
    bill.fail_at(k)
    with pytest.raises(EmbeddingError):
        run(TEXTS, **options)
    assert bill.heal() == 5 * k
    second = run(TEXTS, **options)
    assert bill.heal() == len(TEXTS) - 5 * k
    assert run(TEXTS, **options) == second
    assert bill.heal() == 0
    np.testing.assert_array_equal(second, run(TEXTS, **options | {"cache": None, "batch_size": 40}))


@pytest.mark.parametrize("k", range(10))
def test_a_thousand_texts_are_paid_a_thousand_times(run, bill, options, k):
    bill.fail_at(k)
    with pytest.raises(EmbeddingError):
        run(THOUSAND, **options | {"batch_size": 100})
    bill.heal()
    assert len(run(THOUSAND, **options | {"batch_size": 100})) == 1000
    bill.heal()
    assert bill.paid == 1000


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda one: str(*one.values()))
def test_whatever_the_trouble_was(run, bill, options, trouble):
    bill.fail_at(3, **trouble)
    with pytest.raises(EmbeddingError):
        run(TEXTS, **options)
    bill.heal()
    run(TEXTS, **options)
    bill.heal()
    assert bill.paid == len(TEXTS)


def test_with_many_requests_at_once_what_was_answered_is_kept(run, bill, options):
    bill.fail_at(5)
    with pytest.raises(EmbeddingError):
        run(TEXTS, **options | {"max_concurrency": 4})
    assert bill.heal() == 25
    run(TEXTS, **options | {"max_concurrency": 4})
    bill.heal()
    assert bill.paid == len(TEXTS)


@pytest.mark.parametrize("colour", ["sync", "async"])
@pytest.mark.parametrize("k", range(10))
def test_the_core_resumes_from_the_error_without_a_cache(bill, options, colour, k):
    known = options | {"cache": None, "batch_size": 100}

    def embed(**more):
        if colour == "sync":
            return Client(**known).embed(THOUSAND, input_type="document", **more)
        return asyncio.run(AsyncClient(**known).embed(THOUSAND, input_type="document", **more))

    bill.fail_at(k)
    with pytest.raises(EmbeddingError) as caught:
        embed()
    assert len(caught.value.partial.positions_done) == bill.heal() == 100 * k
    resumed = embed(resume=caught.value.partial)
    bill.heal()
    assert bill.paid == 1000
    np.testing.assert_allclose(resumed.embeddings, embed().embeddings, atol=1e-6)
