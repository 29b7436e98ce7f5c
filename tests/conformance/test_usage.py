"""Law 8, for a block of code: `track_usage` counts what is called inside, in every framework and in both colours."""

from __future__ import annotations

import pytest

from openrouter_embeddings import InsufficientCreditsError, track_usage


def test_a_block_counts_queries_and_documents(make, texts):
    """And nothing that was called before it.

    Troubleshooting: zero means that a thread or task of the framework was started without the context.
    """
    subject = make()
    subject.embed_documents(texts[:1])
    before = subject.usage
    with track_usage() as usage:
        subject.embed_documents(texts[:5])
        subject.embed_query(texts[0])
    assert before + usage.total == subject.usage
    assert (usage.requests, usage.total_tokens > 0, usage.cost > 0) == (2, True, True)


def test_what_a_failed_call_has_spent_is_counted(make, gateway, texts):
    """It was paid for.

    Troubleshooting: too little means that a call is counted only when it comes back.
    """
    gateway.trouble("status", status=402, after=2, times=None)
    subject = make(batch_size=4, max_concurrency=1)
    with track_usage() as usage, pytest.raises(InsufficientCreditsError) as caught:
        subject.embed_documents(texts)
    assert usage.total == subject.usage == caught.value.partial.usage
    assert (usage.requests, usage.total_tokens > 0) == (3, True)
