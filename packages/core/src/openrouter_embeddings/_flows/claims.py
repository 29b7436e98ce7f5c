"""Claims in the cache: what other processes pay for is left out of a batch, looked for at the end, and sent if need be.

A request claims its inputs when it leaves, for as long as it may take: so nothing is claimed that only waits, and a
process that is killed holds nobody up for longer than its requests might have taken.
"""

from __future__ import annotations

from collections.abc import Sequence

from .batches import Batch
from .call import EmbedCall
from .effects import Flow, NotSentReason, cache_claim, sleep

CLAIM_MARGIN = 10.0
"""Seconds for which a claim lasts beyond its exchange, so that what landed can be written down."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0


def keys_to_claim(call: EmbedCall, batch: Batch) -> list[bytes]:
    """Return what a request claims in the cache. A single query waits for no other process, and claims nothing."""
    if call.keys is None or call.settings.urgent:
        return []
    return [call.keys[member] for member in batch.members if member not in call.elsewhere.unclaimable]


def set_aside(call: EmbedCall, batch: Batch) -> Flow[Batch]:
    """Return the part of a batch that is ours to send. The rest is taken from the cache, or waited for at the end."""
    left = [member for member in batch.members if not call.rows.filled[member] and member not in call.failures]
    return batch.only((yield from _claim(call, left)))


def await_elsewhere(call: EmbedCall) -> Flow[list[int] | NotSentReason]:
    """Wait until other processes have stored what they pay for, and return what they have left to us.

    What is not to be had in the time that a batch may take, after which a claim would have expired, is sent without one.
    """
    settings, elsewhere, pause = call.settings, call.elsewhere, _FIRST_PAUSE
    left = settings.wait_budget + settings.timeout + settings.timeout + CLAIM_MARGIN
    while elsewhere.now:
        interrupted = yield from sleep(pause)
        if interrupted is not None:
            return interrupted
        left -= pause
        own = yield from _claim(call, sorted(elsewhere.now))
        if own:
            return own
        if left <= 0.0:
            own = sorted(elsewhere.now)
            elsewhere.unclaimable.update(own)
            elsewhere.now.clear()
            return own
        pause = min(2.0 * pause, _LONGEST_PAUSE)
    return []


def leave(call: EmbedCall) -> None:
    """Wait for nothing any more, and let other calls send what was left to us: the call is over."""
    if call.share is not None:
        if call.elsewhere.ever:
            call.share.abandon(sorted(call.elsewhere.ever), {})
        call.share.leave()


def _claim(call: EmbedCall, members: Sequence[int]) -> Flow[list[int]]:
    """Return the inputs that are ours to send now; take those that are stored, and note those that others pay for."""
    assert call.keys is not None
    keys, elsewhere = call.keys, call.elsewhere
    claimed = yield from cache_claim([keys[member] for member in members], call.settings.timeout)
    call.take_cached(members, claimed.known)
    left = [member for member in members if not call.rows.filled[member]]
    elsewhere.unclaimable.update(member for member in left if keys[member] in claimed.known)
    own = [member for member in left if keys[member] in claimed.own or member in elsewhere.unclaimable]
    others = set(left).difference(own)
    elsewhere.now.difference_update(members)
    elsewhere.now.update(others)
    elsewhere.ever.update(others)
    return own
