"""What holds a request back: the gateway, or our own pace."""

from __future__ import annotations

import pytest

from openrouter_embeddings._limits import Wait


@pytest.mark.parametrize(
    ("wait", "by_the_gateway"),
    [(Wait(5.0), True), (Wait(0.0), True), (Wait(5.0, paced=True), False), (Wait(), False)],
)
def test_only_a_time_that_is_not_our_own_pace_is_a_refusal(wait: Wait, by_the_gateway: bool):
    assert wait.refused is by_the_gateway
