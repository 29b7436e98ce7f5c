"""How effects are performed: everything but the wait itself, which is all that threads and asyncio do differently.

`perform` runs a flow and yields steps. A driver does a step and sends its result back, or throws what it raised.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

from openrouter_embeddings._flows import (
    CLAIM_MARGIN,
    AwaitShared,
    CacheClaim,
    CacheGet,
    CachePut,
    Effect,
    Fetch,
    Flow,
    Gather,
    NotSent,
    NotSentReason,
    Send,
    Sent,
    SharedOutcome,
    Sleep,
    Waker,
)
from openrouter_embeddings._limits import Feedback
from openrouter_embeddings.cache import Claimed

from .dispatcher import MARGIN
from .runtime import Runtime
from .waiting import CancelScope

T = TypeVar("T")
W = TypeVar("W", bound=Waker)
_MAX_LISTING = 64 * 1024 * 1024
_CACHE_SECONDS = 60.0
"""What a disk may take before the call counts as one that stands still."""
_BEFORE_REQUEST_SECONDS = 3600.0
"""Likewise a limiter of the user's."""


@dataclass(frozen=True, slots=True)
class Wait(Generic[W]):
    """Wait on `waiter` for at most so many seconds."""

    waiter: W
    seconds: float


@dataclass(frozen=True, slots=True)
class Exchange:
    """Exchange a request for its answer."""

    url: str
    body: bytes | None
    max_bytes: int
    seconds: float
    keyed: bool = True


@dataclass(frozen=True, slots=True)
class Block:
    """Do what may block: off the loop, where there is one, and apart from the cache where it is the user's."""

    work: Callable[[], Any]
    is_users: bool = False


@dataclass(frozen=True, slots=True)
class RunBeside:
    """Run flows side by side to their ends, and those that they start; return results and errors."""

    flows: Sequence[Flow[Any]]


@dataclass(frozen=True, slots=True)
class StartBeside:
    """Run one more flow beside this one."""

    flow: Flow[Any]


Step: TypeAlias = Wait[W] | Exchange | Block | RunBeside | StartBeside
Steps: TypeAlias = Generator[Step[W], Any, T]


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
            return (yield from _send(effect, runtime, scope, waiter))
        case Fetch(url, keyed, timeout):
            return (yield Exchange(url, None, _MAX_LISTING, scope.seconds_left(timeout), keyed))
        case CacheGet(keys):
            scope.will_move_within(_CACHE_SECONDS)
            return (yield Block(lambda: runtime.cache.get(keys)))
        case CachePut():
            return (yield from _put(effect, runtime, scope))
        case CacheClaim(keys, seconds):
            return (yield from _claim(keys, seconds, runtime, scope))
        case Sleep(seconds):
            return (yield from _sleep(seconds, scope, waiter))
        case AwaitShared():
            return (yield from _await_shared(effect, scope, waiter))
        case Gather(flows):
            return (yield RunBeside(flows))


def _send(
    effect: Send[T], runtime: Runtime, scope: CancelScope, waiter: Callable[[], W]
) -> Steps[W, Sent[T] | NotSent]:
    if (before_request := runtime.before_request) is not None:
        scope.will_move_within(_BEFORE_REQUEST_SECONDS)
        yield Block(lambda: before_request(effect.tokens), is_users=True)
    waiting = runtime.dispatcher.acquire(
        scope,
        waiter,
        tokens=effect.tokens,
        wait_budget=effect.wait_budget,
        seconds=effect.timeout,
        urgent=effect.urgent,
    )
    permit, waited = yield from _waits(waiting)
    if isinstance(permit, NotSent):
        return permit
    feedback: Feedback | None = None
    try:
        if effect.keys and runtime.cache.takes_claims:
            claimed = yield from _claim(effect.keys, effect.timeout, runtime, scope)
            if len(claimed.own) < len(effect.keys):
                return NotSent(NotSentReason.CLAIMED_ELSEWHERE)
        if scope.cancelled or scope.is_out_of_time:
            return NotSent(NotSentReason.CALL_STOPPED if scope.cancelled else NotSentReason.OUT_OF_TIME)
        another = effect.start_beside() if effect.start_beside is not None else None
        if another is not None:
            yield StartBeside(another)
        body = effect.build()
        if body is None:
            return NotSent(NotSentReason.NO_LONGER_NEEDED)
        seconds = scope.seconds_left(effect.timeout)
        scope.will_move_within(seconds + MARGIN)
        answer = yield Exchange(runtime.url, body, effect.max_bytes, seconds)
        verdict, feedback = effect.read(answer, seconds)
        if feedback.ends_calls:
            scope.cancel()  # before the permit is free: no other worker of the call may take it
    finally:
        released = runtime.dispatcher.release(permit, feedback)
    return Sent(verdict, waited, *released, jitter=runtime.dispatcher.jitter())


def _claim(keys: Sequence[bytes], seconds: float, runtime: Runtime, scope: CancelScope) -> Steps[W, Claimed]:
    """Claim keys for an exchange of so many seconds."""
    scope.will_move_within(_CACHE_SECONDS)
    claimed: Claimed = yield Block(lambda: runtime.claims.claim(keys, seconds + CLAIM_MARGIN, scope))
    return claimed


def _put(effect: CachePut, runtime: Runtime, scope: CancelScope) -> Steps[W, None]:
    def put() -> None:
        try:
            runtime.cache.put(effect.items)
        finally:
            if effect.kept is not None:
                effect.kept()

    scope.will_move_within(_CACHE_SECONDS)
    runtime.claims.forget(effect.items, scope)
    yield Block(put)


def _waits(waiting: Generator[tuple[W, float], None, T]) -> Steps[W, T]:
    """Turn what the dispatcher waits on into steps."""
    try:
        while True:
            try:
                waker, seconds = next(waiting)
            except StopIteration as done:
                result: T = done.value
                return result
            yield Wait(waker, seconds)
    finally:
        waiting.close()


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
