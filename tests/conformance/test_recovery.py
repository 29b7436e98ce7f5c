"""Law 6, whichever batch it was that failed: the next run pays for exactly the rest."""

from __future__ import annotations

import numpy as np
import pytest

from openrouter_embeddings import EmbeddingError

TEXTS = [f"sentence number {number}" for number in range(40)]
THOUSAND = [f"sentence number {number}" for number in range(1000)]
TROUBLES = [{"status": 401}, {"status": 500}, {"kind": "reset"}, {"kind": "html"}, {"kind": "missing"}]


class Bill:
    """What the gateway was paid for: inputs answered with 200, over all its resets."""

    def __init__(self, gateway):
        self._gateway = gateway
        self.paid = 0

    def fail_after(self, count, kind="status", **trouble):
        """Answer so many requests, then none: with 402, unless told otherwise."""
        known = {"status": 402} if kind == "status" else {}
        self._gateway.trouble(kind, after=count, times=None, **known | trouble)

    def heal(self):
        """End all trouble; return the inputs paid since the last time."""
        since = self._gateway.paid_inputs()
        self.paid += since
        self._gateway.reset()
        return since


@pytest.fixture
def bill(gateway):
    return Bill(gateway)


@pytest.fixture
def run(make, tmp_path):
    """Embed texts with a new object each time, one request at a time: the k-th batch is the k-th request."""
    path = str(tmp_path / "embeddings.sqlite")
    known = {"dimensions": 16, "batch_size": 5, "max_concurrency": 1, "cache": path}
    return lambda texts, **options: make(**known | options).embed_documents(texts)


@pytest.mark.parametrize("landed", range(8))
def test_the_second_run_pays_exactly_the_rest(run, bill, landed):
    """Whichever of eight batches fails, what landed before it is in the cache.

    Troubleshooting: more inputs paid mean that a call keeps what landed only when it ends well.
    """
    bill.fail_after(landed)
    with pytest.raises(EmbeddingError):
        run(TEXTS)
    assert bill.heal() == 5 * landed
    second = run(TEXTS)
    assert bill.heal() == len(TEXTS) - 5 * landed
    np.testing.assert_array_equal(run(TEXTS), second)
    assert bill.heal() == 0
    np.testing.assert_array_equal(run(TEXTS, cache=None, batch_size=40), second)


@pytest.mark.parametrize("landed", range(10))
def test_a_thousand_texts_are_paid_a_thousand_times(run, bill, landed):
    """The same with batches of a hundred.

    Troubleshooting: see above.
    """
    bill.fail_after(landed)
    with pytest.raises(EmbeddingError):
        run(THOUSAND, batch_size=100)
    bill.heal()
    assert len(run(THOUSAND, batch_size=100)) == 1000
    bill.heal()
    assert bill.paid == 1000


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda trouble: str(*trouble.values()))
def test_each_text_is_paid_once_whatever_the_trouble_was(run, bill, trouble):
    """A refused key, an outage, a broken connection, a broken answer.

    Troubleshooting: more inputs paid mean that this kind of error throws away what landed before it.
    """
    bill.fail_after(3, **trouble)
    with pytest.raises(EmbeddingError):
        run(TEXTS)
    bill.heal()
    run(TEXTS)
    bill.heal()
    assert bill.paid == len(TEXTS)


def test_what_was_answered_beside_a_failure_is_kept(run, bill):
    """With many requests at once, those that are answered after the first refusal count too.

    Troubleshooting: more inputs paid mean that a batch in flight is dropped when another fails.
    """
    bill.fail_after(5)
    with pytest.raises(EmbeddingError):
        run(TEXTS, max_concurrency=4)
    assert bill.heal() == 25
    run(TEXTS, max_concurrency=4)
    bill.heal()
    assert bill.paid == len(TEXTS)


@pytest.mark.parametrize("landed", [1, 4, 9])
def test_what_landed_is_handed_back_as_the_error_says(make, gateway, bill, landed):
    """Without a cache, `resume=` pays for the rest only, in the way that the error names for its framework.

    Troubleshooting: the core's own sentence in an adapter's error is advice that its users cannot follow.
    """
    subject = make(dimensions=16, batch_size=100, max_concurrency=1)
    bill.fail_after(landed)
    with pytest.raises(EmbeddingError) as caught:
        subject.embed_documents(THOUSAND)
    assert subject.resume_advice in str(caught.value)
    assert str(caught.value).count("resume=error.partial") <= 1
    assert len(caught.value.partial.positions_done) == bill.heal() == 100 * landed
    resumed = subject.resume(THOUSAND, caught.value.partial)
    bill.heal()
    assert bill.paid == 1000
    np.testing.assert_allclose(resumed, subject.embed_documents(THOUSAND), atol=1e-6)


def test_nothing_is_said_about_a_rest_where_nothing_landed(make, bill):
    """The first batch failed: there is nothing to hand back.

    Troubleshooting: advice about `.partial` that holds nothing leads nowhere.
    """
    subject = make()
    bill.fail_after(0)
    with pytest.raises(EmbeddingError) as caught:
        subject.embed_documents(TEXTS)
    assert "landed" not in str(caught.value)
    assert subject.resume_advice not in str(caught.value)
