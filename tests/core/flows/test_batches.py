"""Batches and the way back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from openrouter_embeddings._flows.batches import Batch, batches, estimated_tokens, halves, unique


@given(st.lists(st.text(max_size=3), max_size=60))
def test_equal_inputs_are_one_and_find_back_to_each_position(texts: list[str]):
    firsts, places = unique(texts)
    distinct = [texts[at] for at in firsts]
    assert len(set(distinct)) == len(distinct)
    assert [distinct[place] for place in places] == texts
    assert firsts == sorted(firsts)


@given(st.lists(st.integers(1, 50), max_size=80), st.integers(1, 10), st.integers(1, 100))
def test_batches_put_back_together_are_the_members_and_keep_both_limits(sizes, inputs, tokens):
    members = list(range(100, 100 + len(sizes)))
    planned = list(batches(sizes, members, inputs=inputs, tokens=tokens))
    assert [one for batch in planned for one in batch.members] == members
    for batch in planned:
        assert 1 <= len(batch) <= inputs
        assert batch.tokens == sum(sizes[one - 100] for one in batch.members)
        assert batch.tokens <= tokens or len(batch) == 1


@given(st.integers(2, 300), st.integers(0, 10_000))
def test_halves_hold_everything_once(count: int, tokens: int):
    left, right = halves(Batch(range(count), tokens))
    assert [*left.members, *right.members] == list(range(count))
    assert left.tokens + right.tokens == tokens
    assert abs(len(left) - len(right)) <= 1


def test_tokens_are_estimated_from_bytes():
    assert estimated_tokens("") == 1
    assert estimated_tokens("a" * 300) == 101
    assert estimated_tokens("語" * 100) == 101
