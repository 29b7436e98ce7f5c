"""How one request is sent: with a permit of the client's own limiter, then a lease of the user's, then against the clock."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import TypeVar

from openrouter_embeddings._flows import NotSent, NotSentReason, Send, Sent, Waker
from openrouter_embeddings._limits import Feedback, Load, Permit
from openrouter_embeddings.limiter import NO_LEASE, LeaseKind, LeaseOutcome

from .dispatcher import HEARTBEAT, MARGIN
from .leasing import Ask, HeldLease
from .runtime import Runtime
from .steps import Begin, Exchange, StartBeside, Steps, Wait
from .storing import claim
from .waiting import CancelScope

T = TypeVar("T")
W = TypeVar("W", bound=Waker)
_RELEASE_SECONDS = 5.0
"""For so long a limiter is waited for that takes a lease back."""

_FAILED = LeaseOutcome(kind="failed")
_KINDS: Mapping[Load, LeaseKind] = {
    Load.LANDED: "landed",
    Load.REFUSED: "refused",
    Load.UNAVAILABLE: "refused",
}
"""What is told of an answer. Every other one is a failure."""


def send(effect: Send[T], runtime: Runtime, scope: CancelScope, waiter: Callable[[], W]) -> Steps[W, Sent[T] | NotSent]:
    """Send a request with a permit and a lease. One without a lease goes back to the head of the queue."""
    dispatcher, waited, goes_first = runtime.dispatcher, 0.0, False
    while True:
        waiting = dispatcher.acquire(
            scope,
            waiter,
            tokens=effect.tokens,
            wait_budget=effect.wait_budget - waited,
            seconds=effect.timeout,
            urgent=effect.urgent,
            goes_first=goes_first,
        )
        permit, held = yield from _waits(waiting)
        waited, goes_first = waited + held, True
        if isinstance(permit, NotSent):
            return permit
        feedback: Feedback | None = None
        try:
            lease = yield from _lease(effect, permit, runtime, scope, waiter)
            if isinstance(lease, NotSent):
                return lease
            if isinstance(lease, float):
                dispatcher.put_back(permit, lease, urgent=effect.urgent)
                continue
            answer = yield from _released_after(
                lease, _exchange(effect, permit, lease, runtime, scope), runtime, waiter
            )
            if answer is None:
                continue
            if isinstance(answer, NotSent):
                return answer
            verdict, feedback = answer
        finally:
            released = dispatcher.release(permit, feedback)
        return Sent(verdict, waited, *released, jitter=dispatcher.jitter())


def _lease(
    effect: Send[T], permit: Permit, runtime: Runtime, scope: CancelScope, waiter: Callable[[], W]
) -> Steps[W, HeldLease | float | NotSent]:
    """Ask the user's limiter, and wait for its answer as long as the call goes on."""
    if runtime.shared_limiter is None:
        return HeldLease(NO_LEASE)
    ask = Ask(runtime.shared_limiter, effect.tokens)
    try:
        yield Begin(ask)
        while not ask.is_over:
            if (reason := _ended(scope)) is not None:
                return NotSent(reason)
            runtime.dispatcher.renew(permit)
            scope.will_move_within(HEARTBEAT + MARGIN)
            waker = waiter()
            ask.notify(waker)
            scope.register(waker)
            try:
                yield Wait(waker, scope.seconds_left(HEARTBEAT))
            finally:
                scope.unregister(waker)
        return ask.take()
    finally:
        ask.abandon()


def _released_after(lease: HeldLease, steps: Steps[W, T], runtime: Runtime, waiter: Callable[[], W]) -> Steps[W, T]:
    """Do steps with a lease, and release it, whatever happens."""
    try:
        result = yield from steps
    except GeneratorExit:
        lease.give_back()  # nobody goes on with these steps
        raise
    except BaseException:
        yield from _release(lease, runtime, waiter)
        raise
    yield from _release(lease, runtime, waiter)
    return result


def _release(lease: HeldLease, runtime: Runtime, waiter: Callable[[], W]) -> Steps[W, None]:
    """Release a lease before its permit: whoever gets that may ask for the next one."""
    call = lease.release()
    if call is None:
        return
    waker = waiter()
    call.notify(waker)
    try:
        yield Begin(call)
    except RuntimeError:  # the loop does not run any more
        call.run()
    if not call.is_over:
        yield Wait(waker, _RELEASE_SECONDS)
    if call.error is not None:
        runtime.report_lost_lease(call.error)


def _exchange(
    effect: Send[T], permit: Permit, lease: HeldLease, runtime: Runtime, scope: CancelScope
) -> Steps[W, tuple[T, Feedback] | NotSent | None]:
    """Exchange a request for its answer; None: the breaker opened, or the permit was revoked, before it left."""
    if effect.keys and runtime.cache.takes_claims:
        claimed = yield from claim(effect.keys, effect.timeout, runtime, scope)
        if len(claimed.own) < len(effect.keys):
            return NotSent(NotSentReason.CLAIMED_ELSEWHERE)
    if (reason := _ended(scope)) is not None:
        return NotSent(reason)
    if not runtime.dispatcher.leave(permit, effect.timeout):
        return None
    another = effect.start_beside() if effect.start_beside is not None else None
    if another is not None:
        yield StartBeside(another)
    body = effect.build()
    if body is None:
        return NotSent(NotSentReason.NO_LONGER_NEEDED)
    seconds = scope.seconds_left(effect.timeout)
    scope.will_move_within(seconds + MARGIN)
    lease.outcome = _FAILED
    answer = yield Exchange(runtime.url, body, effect.max_bytes, seconds)
    verdict, feedback = effect.read(answer, seconds)
    lease.outcome = _outcome_of(feedback)
    if feedback.ends_calls:
        scope.cancel()  # before the permit is free: no other worker of the call may take it
    return verdict, feedback


def _outcome_of(feedback: Feedback) -> LeaseOutcome:
    kind = _KINDS.get(feedback.load, "failed")
    return LeaseOutcome(kind=kind, tokens=feedback.tokens, cost=feedback.cost, retry_after=feedback.retry_after)


def _ended(scope: CancelScope) -> NotSentReason | None:
    if scope.cancelled:
        return NotSentReason.CALL_STOPPED
    return NotSentReason.OUT_OF_TIME if scope.is_out_of_time else None


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
