"""When a difference counts: beside what equal requests show, provider by provider."""

from __future__ import annotations

import numpy as np
import pytest

from openrouter_embeddings.checks.compare import Comparison, Sample, compare, noise_of

WIDTH = 64
HONOURED, IGNORED, UNCLEAR = frozenset({True}), frozenset({False}), frozenset()


def sample(*turns: float, provider: str | None = "A") -> Sample:
    """Return the embedding of one text, turned: each number is 1 less the cosine to the first direction alone."""
    row = np.zeros(WIDTH)
    row[0] = 1.0
    for axis, turn in enumerate(turns, 1):
        row[axis] = (2.0 * turn) ** 0.5
    return Sample(provider, {"text": row.astype(np.float32)})


def noisy(count: int, noise: float, *turns: float, provider: str | None = "A") -> list[Sample]:
    """Return answers to equal requests: every two of them `noise` apart."""
    return [
        sample(*turns, *(noise / 2 if axis == index else 0.0 for axis in range(len(turns), 20)), provider=provider)
        for index in range(len(turns), len(turns) + count)
    ]


@pytest.mark.parametrize(
    ("noise", "difference", "verdict"),
    [
        (0.0, 0.0, IGNORED),
        (0.0, 5e-5, IGNORED),
        (0.0, 5e-4, UNCLEAR),
        (0.0, 2e-3, HONOURED),
        (1e-3, 0.0, IGNORED),
        (1e-3, 2e-3, UNCLEAR),
        (1e-3, 0.01, HONOURED),
        (0.01, 0.0, UNCLEAR),
        (0.01, 0.02, UNCLEAR),
        (0.01, 0.1, HONOURED),
    ],
)
def test_a_difference_counts_if_it_is_far_larger_than_between_equal_requests(noise, difference, verdict):
    plain, marked = noisy(3, noise, 0.0), noisy(3, noise, difference)
    marked = [Sample(one.provider, {"text": np.roll(one.rows["text"], 0)}) for one in marked]
    assert compare(plain, marked, noise_of([plain, marked])).differs == verdict


def test_without_equal_requests_nothing_is_told():
    found = compare([sample()], [sample(0.1)], noise_of([[sample()], [sample(0.1)]]))
    assert found.differs == UNCLEAR
    assert str(found).endswith("no equal requests")


def test_answers_are_compared_within_one_provider():
    plain = [*noisy(2, 0.0), *noisy(2, 0.0, 0.03, provider="B")]
    same = [sample(), sample(0.03, provider="B")]
    assert compare(plain, same, noise_of([plain])).differs == IGNORED
    in_part = [sample(0.0, 0.1), sample(0.03, provider="B")]
    assert compare(plain, in_part, noise_of([plain])).differs == {True, False}
    apart = compare(noisy(3, 0.0), noisy(3, 0.0, 0.1, provider="B"), noise_of([plain]))
    assert apart == Comparison(frozenset(), None, None)
    assert str(apart) == "no provider answered both"


def test_other_providers_are_no_noise_where_they_are_named():
    plain = [sample(), sample(), sample(0.2, provider="B")]
    found = compare(plain, [sample(0.0, 0.01), sample(0.0, 0.01)], noise_of([plain]))
    assert found.differs == HONOURED
    assert found.equal == 0.0


@pytest.mark.parametrize(("count", "verdict"), [(2, UNCLEAR), (3, UNCLEAR), (4, HONOURED)])
def test_answers_that_name_nobody_must_be_many_to_show_a_difference(count, verdict):
    plain, marked = noisy(count, 0.0, provider=None), noisy(3, 0.0, 0.1, provider=None)
    assert compare(plain, marked, noise_of([plain, marked])).differs == verdict


def test_answers_that_name_nobody_and_fall_apart_show_none():
    plain = [sample(provider=None), sample(0.03, provider=None)] * 3
    marked = noisy(4, 0.0, 0.0, 0.05, provider=None)
    assert compare(plain, marked, noise_of([plain, marked])).differs == UNCLEAR
    # But an answer that is quite the same is the same, whoever gave it.
    assert compare(plain, [*marked, sample(0.03, provider=None)], noise_of([plain])).differs == IGNORED


def test_no_two_providers_are_as_far_apart_as_two_texts():
    plain, other = noisy(2, 0.0, provider=None), [sample(1.0, provider=None)]
    assert compare(plain, other, noise_of([plain])).differs == HONOURED


def test_texts_of_one_request_differ_whoever_serves():
    plain = [sample(provider=None), sample(0.03, provider=None), sample(provider=None)]
    marked = [sample(0.0, 0.01, provider=None), sample(0.03, 0.01, provider=None), sample(0.0, 0.01, provider=None)]
    noise = noise_of([plain])
    assert compare(plain, marked, noise, paired=True).differs == HONOURED
    assert compare(plain, plain, noise, paired=True).differs == IGNORED
    assert compare(plain, marked, noise).differs == UNCLEAR


def test_most_of_the_texts_decide():
    def rows(*differences: float) -> Sample:
        return Sample("A", {str(index): sample(gap).rows["text"] for index, gap in enumerate(differences)})

    plain = [rows(0.0, 0.0, 0.0)] * 2
    assert compare(plain, [rows(0.1, 0.0, 0.0)] * 2, noise_of([plain])).differs == IGNORED
    assert compare(plain, [rows(0.1, 0.1, 0.0)] * 2, noise_of([plain])).differs == HONOURED


def test_other_widths_are_as_different_as_can_be():
    narrow = sample().cut(8)
    assert noise_of([[sample(), narrow]]) == {"A": [1.0]}
    assert noise_of([[sample().cut(8), narrow]]) == {"A": [0.0]}
