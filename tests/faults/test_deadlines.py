"""`timeout` is the whole time of an exchange: nothing that trickles, hangs or is told to wait takes longer."""

from __future__ import annotations

import time

import pytest

from openrouter_embeddings import RateLimitError, TimedOutError

from .calls import COLOURS, KEY, NO_RETRIES, assert_ours, assert_right, embed_in_turn
from .wire_faults import LATE

TIMEOUT = 1.0
MARGIN = 0.5
"""What the requirement grants beyond the timeout."""

both_colours = pytest.mark.parametrize("colour", COLOURS)


def timed(colour, server, before, **given):
    """Make a call that is right, do something, and return how the next one ends and after how long."""
    marks: list[float] = []

    def step():
        before()
        marks.append(time.perf_counter())

    options = {"base_url": server.url, "api_key": KEY, "timeout": TIMEOUT} | given
    first, second = embed_in_turn(colour, [step, lambda: marks.append(time.perf_counter())], **options)[:2]
    assert_right(first)
    return second, marks[1] - marks[0]


@both_colours
@pytest.mark.parametrize("fault", LATE, ids=lambda fault: fault.name)
def test_what_is_late_ends_in_time(server, fault, colour):
    outcome, seconds = timed(colour, server, lambda: server.strike(fault, times=1), **NO_RETRIES)
    assert_ours(outcome, TimedOutError)
    assert TIMEOUT - 0.05 <= seconds <= TIMEOUT + MARGIN


def refused(colour, gateway, calls=1, **trouble):
    """Let the gateway refuse every request; return how calls of little patience end, and after how many seconds."""
    gateway.trouble("status", status=429, times=None, **trouble)
    options = {"model": "openai/text-embedding-3-small", "base_url": gateway.base_url, "api_key": KEY}
    started = time.perf_counter()
    outcomes = embed_in_turn(colour, [lambda: None] * (calls - 1), **options, timeout=TIMEOUT, retry_timeout=TIMEOUT)
    return outcomes, time.perf_counter() - started


@both_colours
def test_a_breaker_that_stays_open_for_longer_than_the_patience_is_an_error_at_once(embeddings_gateway, colour):
    """Neither the call that opened it nor the next one waits for what it will not live to see."""
    outcomes, seconds = refused(colour, embeddings_gateway, calls=2, retry_after=60)
    assert seconds <= TIMEOUT + MARGIN
    for outcome in outcomes:
        assert_ours(outcome, RateLimitError)
    assert len(embeddings_gateway.embedding_requests()) == 1


@both_colours
def test_an_absurd_time_is_not_believed_by_the_next_call(embeddings_gateway, colour):
    """More than a day is a mistake: the client goes on asking."""
    outcomes, seconds = refused(colour, embeddings_gateway, calls=2, retry_after=1_000_000_000)
    assert seconds <= 2 * TIMEOUT + MARGIN
    for outcome in outcomes:
        assert_ours(outcome, RateLimitError)
    assert len(embeddings_gateway.embedding_requests()) > 1


@both_colours
def test_retries_never_outlive_the_patience(embeddings_gateway, colour):
    (outcome,), seconds = refused(colour, embeddings_gateway)
    assert seconds <= TIMEOUT + MARGIN
    assert_ours(outcome, RateLimitError)
