"""Batches and the way back: nothing is lost or doubled, limits hold, and what is learnt meanwhile holds at once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openrouter_embeddings._flows.batches import Batch, BatchQueue, SizeTest, estimated_tokens, unique
from openrouter_embeddings._flows.learned import BatchLimits, LearnedLimits


def learned(inputs: int = 4, tokens: int = 1000) -> LearnedLimits:
    return LearnedLimits(encoding="base64", initial=BatchLimits(inputs, tokens))


def drained(queue: BatchQueue) -> list[Batch]:
    return list(iter(queue.next, None))


@given(st.lists(st.text(max_size=3), max_size=60))
def test_equal_inputs_are_one_and_find_back_to_each_position(texts: list[str]):
    representatives, index_of_position = unique(texts)
    distinct = [texts[position] for position in representatives]
    assert len(set(distinct)) == len(distinct)
    assert [distinct[index] for index in index_of_position] == texts
    assert representatives == sorted(representatives)


@given(st.lists(st.integers(1, 50), max_size=80), st.integers(1, 10), st.integers(1, 100))
def test_batches_put_together_are_the_members_and_keep_both_limits(sizes, inputs, tokens):
    members = list(range(len(sizes)))
    batches = drained(BatchQueue(members, sizes, learned(inputs, tokens)))
    assert [member for batch in batches for member in batch.members] == members
    for batch in batches:
        assert 1 <= len(batch) <= inputs
        assert batch.tokens == sum(sizes[member] for member in batch.members)
        assert batch.tokens <= tokens or len(batch) == 1
        assert not batch.is_a_try
    assert BatchQueue(members, sizes, learned(inputs, tokens)).is_one_batch() == (
        len(sizes) <= inputs and sum(sizes) <= tokens
    ) or (len(sizes) == 1)


@given(st.integers(2, 300), st.integers(0, 10_000))
def test_halves_hold_everything_once(count: int, tokens: int):
    test = SizeTest(count, tokens, by_tokens=False)
    left, right = Batch(range(count), tokens).halves(test)
    assert [*left.members, *right.members] == list(range(count))
    assert left.tokens + right.tokens == tokens
    assert abs(len(left) - len(right)) <= 1
    assert left.half_of is right.half_of is test


def test_a_part_of_a_half_proves_nothing_about_the_size_of_the_whole():
    half = Batch([1, 2], 10, half_of=SizeTest(4, 20, by_tokens=False))
    assert half.only([1, 2]) is half
    assert half.only([2]) == Batch([2], 5)


def test_tokens_are_estimated_from_bytes():
    assert estimated_tokens("") == 1
    assert estimated_tokens("a" * 300) == 101
    assert estimated_tokens("語" * 100) == 101


def test_what_is_put_back_comes_first_and_in_its_order():
    queue = BatchQueue(range(6), [1] * 6, learned(2))
    first = queue.next()
    queue.put_back(first.halves())
    assert [list(batch.members) for batch in drained(queue)] == [[0], [1], [2, 3], [4, 5]]
    assert not queue


def test_what_does_not_fit_any_more_is_cut_by_what_is_known_now():
    limits = learned(4)
    queue = BatchQueue(range(6), [1] * 6, limits)
    first = queue.next()
    limits.limit_named(2)
    queue.cut_anew(first)
    assert [list(batch.members) for batch in drained(queue)] == [[0, 1], [2, 3], [4, 5]]


def test_inputs_that_are_better_sent_alone_come_last_and_alone():
    queue = BatchQueue((), [1, 500, 1], learned())
    queue.begin([0, 2], alone=[1])
    assert not queue.is_one_batch()
    assert [list(batch.members) for batch in drained(queue)] == [[0, 2], [1]]


def test_a_larger_batch_is_tried_once_at_a_time_after_enough_full_ones():
    limits = learned(8)
    limits.limit_named(2)
    queue = BatchQueue(range(20), [1] * 20, limits)
    for _ in range(64):
        limits.landed(count=2, tokens=2, was_base64=True)
    assert limits._growth.is_due()
    assert [(len(batch), batch.is_a_try) for batch in (queue.next(), queue.next())] == [(4, True), (2, False)]
    limits.try_ended()
    assert [len(batch) for batch in drained(queue)] == [2] * 7


@pytest.mark.parametrize("left", [1, 2])
def test_a_batch_that_is_no_larger_than_what_is_known_is_no_try(left):
    limits = learned(8)
    limits.limit_named(2)
    for _ in range(64):
        limits.landed(count=2, tokens=2, was_base64=True)
    assert limits._growth.is_due()
    queue = BatchQueue(range(left), [1] * left, limits)
    assert queue.next().is_a_try is False
    assert not limits._growth.trying
