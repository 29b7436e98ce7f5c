"""How effects are performed: everything but the wait itself, which is all that threads and asyncio do differently.

`perform` runs a flow and yields steps. A driver does a step and sends its result back, or throws what it raised.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from openrouter_embeddings._flows import (
    AwaitShared,
    CacheClaim,
    CacheGet,
    CachePut,
    Effect,
    Fetch,
    Flow,
    Gather,
    NotSentReason,
    Send,
    SharedOutcome,
    Sleep,
    Waker,
)

from . import storing
from .dispatcher import MARGIN
from .runtime import Runtime
from .sending import send
from .steps import Exchange, RunBeside, Steps, Wait
from .waiting import CancelScope

T = TypeVar("T")
W = TypeVar("W", bound=Waker)
_MAX_LISTING = 64 * 1024 * 1024


def perform(flow: Flow[T], runtime: Runtime, scope: CancelScope, waiter: Callable[[], W]) -> Steps[W, T]:
    """Run a flow to its end, and yield what its driver has to do for it.

    Args:
        flow: What to run.
        runtime: What it acts on.
        scope: Of its call.
        waiter: Makes what the driver's threads or tasks wait on.
    """
    answer: Any = None
    raised: Exception | None = None
    try:
        while True:
            try:
                effect = flow.send(answer) if raised is None else flow.throw(raised)
            except StopIteration as done:
                result: T = done.value
                return result
            answer = raised = None
            try:
                answer = yield from _performed(effect, runtime, scope, waiter)
            except Exception as error:  # noqa: BLE001  the flow's to handle, or to let through
                raised = error
    finally:
        flow.close()


def _performed(effect: Effect, runtime: Runtime, scope: CancelScope, waiter: Callable[[], W]) -> Steps[W, Any]:
    match effect:
        case Send():
            return (yield from send(effect, runtime, scope, waiter))
        case Fetch(url, keyed, timeout):
            return (yield Exchange(url, None, _MAX_LISTING, scope.seconds_left(timeout), keyed))
        case CacheGet(keys):
            return (yield from storing.get(keys, runtime, scope))
        case CachePut():
            return (yield from storing.put(effect, runtime, scope))
        case CacheClaim(keys, seconds):
            return (yield from storing.claim(keys, seconds, runtime, scope))
        case Sleep(seconds):
            return (yield from _sleep(seconds, scope, waiter))
        case AwaitShared():
            return (yield from _await_shared(effect, scope, waiter))
        case Gather(flows):
            return (yield RunBeside(flows))


def _sleep(seconds: float, scope: CancelScope, waiter: Callable[[], W]) -> Steps[W, NotSentReason | None]:
    enough = scope.seconds_left(seconds) >= seconds
    scope.will_move_within(seconds + MARGIN)
    waker = waiter()
    scope.register(waker)
    try:
        yield Wait(waker, scope.seconds_left(seconds))
    finally:
        scope.unregister(waker)
    if scope.cancelled:
        return NotSentReason.CALL_STOPPED
    return None if enough else NotSentReason.OUT_OF_TIME


def _await_shared(
    effect: AwaitShared, scope: CancelScope, waiter: Callable[[], W]
) -> Steps[W, Mapping[int, SharedOutcome] | NotSentReason]:
    """Wait until other calls have resolved what this one waits for, or stand still, or the time is over."""
    share, left = effect.share, scope.seconds_left(effect.seconds)
    waker = waiter()
    scope.register(waker)
    share.notify_when_resolved(waker)
    try:
        while left > 0.0 and not scope.cancelled:
            seconds = min(left, share.seconds_until_stall() + 0.01)
            yield Wait(waker, seconds)
            left -= seconds
            if share.give_up_on_stalled():
                break
    finally:
        scope.unregister(waker)
    if scope.cancelled or (scope.is_out_of_time and share.is_waiting_for_others):
        return NotSentReason.CALL_STOPPED if scope.cancelled else NotSentReason.OUT_OF_TIME
    return share.outcomes()
