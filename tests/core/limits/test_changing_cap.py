"""A gateway whose cap on requests at once changes, in virtual time: the limiter follows within ten seconds each way."""

from __future__ import annotations

import heapq
import itertools
import random

import pytest

from openrouter_embeddings._limits import Feedback, Load, TrafficLimiter, Wait

PHASE, LATENCY, WINDOW, SOONEST = 30.0, 0.1, 2.0, 10.0
CAPS = (20, 5, 20)
ON_THE_WAY = (0.0005, 0.02)  # seconds until a request arrives: they overtake each other


def times_of_answers(seed):
    """Send as fast as the limiter lets us; return when requests landed."""
    dice, limiter = random.Random(seed), TrafficLimiter(maximum=64)
    order, inside, landed = itertools.count(), 0, []
    events = [(0.0, next(order), "look", None)]
    while events:
        now, _, what, permit = heapq.heappop(events)
        if now >= PHASE * len(CAPS):
            break
        if what == "arrives" and inside >= CAPS[int(now // PHASE)]:
            feedback = Feedback(Load.REFUSED, retry_after=1.0)
            limiter.release(permit, feedback, now=now, jitter=dice.random())
        elif what == "arrives":
            inside += 1
            heapq.heappush(events, (now + LATENCY, next(order), "lands", permit))
        elif what == "lands":
            inside -= 1
            landed.append(now)
            limiter.release(permit, Feedback(Load.LANDED), now=now, jitter=dice.random())
        while not isinstance(sent := limiter.acquire(now, 1, seconds=60.0), Wait):
            heapq.heappush(events, (now + dice.uniform(*ON_THE_WAY), next(order), "arrives", sent))
        if sent.until is not None and sent.until > now:
            heapq.heappush(events, (sent.until, next(order), "look", None))
    return landed


def seconds_to_follow(landed, phase):
    """Return after how many seconds of a phase two seconds bring 80 % of what its cap allows."""
    start, enough = PHASE * phase, 0.8 * CAPS[phase] / LATENCY * WINDOW
    times = [moment - start for moment in landed if start + LATENCY <= moment < start + PHASE]
    windows = (
        moment for moment in (LATENCY, *times) if sum(moment <= time < moment + WINDOW for time in times) >= enough
    )
    return next(windows, PHASE)


@pytest.mark.parametrize("seed", range(10))
def test_a_cap_that_is_lowered_and_raised_again_is_followed_within_ten_seconds(seed):
    landed = times_of_answers(seed)
    assert [seconds_to_follow(landed, phase) <= SOONEST for phase in range(len(CAPS))] == [True, True, True]
