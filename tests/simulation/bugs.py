"""Bugs to be planted: each is a small mistake that somebody could make, and the laws must find it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from unittest import mock

from openrouter_embeddings._flows import delivery, embedding, isolate
from openrouter_embeddings._flows.attempts import AttemptBudget
from openrouter_embeddings._flows.call import EmbedCall
from openrouter_embeddings._flows.inflight import CallShare
from openrouter_embeddings._flows.learned import LearnedLimits
from openrouter_embeddings._limits.breaker import CircuitBreaker
from openrouter_embeddings._limits.limiter import TrafficLimiter
from openrouter_embeddings._limits.pacer import Pacer
from openrouter_embeddings._protocol import Remedy, answers
from openrouter_embeddings._runtime import Runtime, dispatcher, leasing, storing
from openrouter_embeddings._runtime.claims import Claims
from openrouter_embeddings._runtime.waiting import CancelScope
from openrouter_embeddings.cache import Claimed, GuardedCache
from openrouter_embeddings.limiter import NO_LEASE

Plant = Callable[[], AbstractContextManager[Any]]


def _replaced(owner: Any, name: str, replacement: Any) -> Plant:
    return lambda: mock.patch.object(owner, name, replacement, create=not hasattr(owner, name))


def _wrapped(owner: Any, name: str, wrap: Callable[[Any], Any]) -> Plant:
    return lambda: mock.patch.object(owner, name, wrap(getattr(owner, name)))


def _serve_one(original: Any) -> Any:
    """Wake nobody but the first of those that were served."""
    return lambda self, now: original(self, now)[:1]


def _keep_permit_of_the_cancelled(original: Any) -> Any:
    def release(self: Any, permit: Any, feedback: Any) -> Any:
        if feedback is None:
            return dispatcher.Released(False, True, 0.0)
        return original(self, permit, feedback)

    return release


def _forget_one_waiting_call(original: Any) -> Any:
    def close(self: Any, name: Any) -> Any:
        return list(original(self, name))[1:]

    return close


def _never_abandon(original: Any) -> Any:
    return lambda self, members, causes: None


def _ignore_index(original: Any) -> Any:
    return lambda data: [row.embedding for row in data]


def _replay_without_end(original: Any) -> Any:
    def after(self: Any, diagnosis: Any, sent: Any, *, reached: bool) -> Any:
        self.replays_left += diagnosis.remedy is Remedy.REPLAY
        return original(self, diagnosis, sent, reached=reached)

    return after


@contextmanager
def _blame_the_last() -> Iterator[None]:
    """Blame the one suspect that is left, without sending it alone."""

    def search(call: Any, suspects: Any, diagnosis: Any) -> Any:
        found = isolate._Search(diagnosis)
        while len(suspects) > 1:
            left, right = suspects.halves()
            verdict = yield from delivery.send_until_settled(call, left)
            if verdict is None:
                suspects = right
            else:
                suspects = left
                found.aside = [*right.members, *found.aside]
        found.culprit = suspects.members[0]
        return found

    with mock.patch.object(isolate, "_search", search):
        yield


def _learn_at_once(original: Any) -> Any:
    """Take a refused size for the limit, and never try more again."""

    def split(call: Any, batch: Any, diagnosis: Any) -> Any:
        call.learned.size_refused(count=len(batch), tokens=batch.tokens, by_tokens=False)
        return original(call, batch, diagnosis)

    return split


def _believe_any_time(original: Any) -> Any:
    def opened(self: Any, now: float, retry_after: Any, *, cause: Any, first: bool, jitter: float) -> float:
        self.open_until = max(self.open_until or 0.0, now + (retry_after or 1.0))
        self.opened_by = cause
        return retry_after or 1.0

    return opened


def _late_by_a_batch(original: Any) -> Any:
    """Hand what landed to the calls that wait for it with the rows in the wrong order."""
    return lambda self, members, rows, **how: original(self, members, rows[::-1], **how)


def _double_publish(original: Any) -> Any:
    """Claim what another call has in flight."""
    return lambda self, members: list(members)


def _an_outage_costs_a_row(original: Any) -> Any:
    """Return no cause where rows may fail, whatever they failed by."""
    return lambda self: None if self.settings.on_error == "null" else original(self)


def _claim_everything(original: Any) -> Any:
    """Take what another process has claimed."""

    def claim(self: Any, keys: Any, seconds: float) -> Claimed:
        return Claimed(frozenset(keys), original(self, keys, seconds).known)

    return claim


def _claim_without_a_look(original: Any) -> Any:
    """Claim what another process has just stored and given up."""

    def claim(self: Any, keys: Any, seconds: float) -> Claimed:
        claimed = original(self, keys, seconds)
        return Claimed(claimed.own | claimed.known.keys(), {})

    return claim


def _abandon_what_is_being_written(original: Any) -> Any:
    """Give up what has landed and is not in the cache yet."""

    def abandon(self: Any, members: Any, causes: Any) -> None:
        original(self, members, causes)
        self.kept(members)

    return abandon


def _release_whatever(original: Any) -> Any:
    """Give up what another call of the client has claimed since."""

    def release(self: Any, scope: Any) -> None:
        keys = list(scope.claimed)
        original(self, scope)
        self._cache.unclaim(keys)

    return release


def _keep_lease_of_the_cancelled(original: Any) -> Any:
    """Release what was answered alone."""
    return lambda self: original(self) if self.outcome.kind in {"landed", "refused"} else None


BUGS: dict[str, Plant] = {
    "a wake-up is lost": _wrapped(dispatcher.Dispatcher, "_serve", _serve_one),
    "a cancelled request keeps its permit": _wrapped(dispatcher.Dispatcher, "release", _keep_permit_of_the_cancelled),
    "a waiting call is never told": _wrapped(CallShare, "_close", _forget_one_waiting_call),
    "a claim is not given up": _wrapped(CallShare, "abandon", _never_abandon),
    "claims are ignored": _wrapped(CallShare, "claim", _double_publish),
    "rows go to the wrong waiting calls": _wrapped(CallShare, "publish", _late_by_a_batch),
    "index is ignored": _wrapped(answers, "_in_order", _ignore_index),
    "replays have no end": _wrapped(AttemptBudget, "after", _replay_without_end),
    "the last suspect is blamed unsent": lambda: _blame_the_last(),
    "a size is learnt from one refusal": _wrapped(embedding, "_split", _learn_at_once),
    "growth is forgotten": _replaced(LearnedLimits, "_try_is_due", lambda self: False),
    "any Retry-After is believed": _wrapped(CircuitBreaker, "open", _believe_any_time),
    "a half-open breaker lets everybody through": _replaced(
        CircuitBreaker, "probing", property(lambda self: False, lambda self, value: None)
    ),
    "the concurrency limit is one too high": _wrapped(
        TrafficLimiter, "limit", lambda original: lambda self, now: original(self, now) + 1
    ),
    "the pace is never forgotten": _replaced(Pacer, "_shorten", lambda self, factor: None),
    "a deadline is ignored": _replaced(CancelScope, "seconds_left", lambda self, most: most),
    "claims of other processes are ignored": _wrapped(GuardedCache, "claim", _claim_everything),
    "what is claimed is not looked up": _wrapped(GuardedCache, "claim", _claim_without_a_look),
    "claims in the cache are not given up": _replaced(Runtime, "end_call", lambda self, scope, *, wait: None),
    "what is being written is given up": _wrapped(CallShare, "abandon", _abandon_what_is_being_written),
    "a claim of another call is given up": _wrapped(Claims, "release", _release_whatever),
    "claims are too short": _replaced(storing, "CLAIM_MARGIN", -60.0),
    "cached rows are not looked at again": _replaced(CallShare, "has_newer_results", lambda self: False),
    "an outage costs a row": _wrapped(EmbedCall, "cause_to_raise", _an_outage_costs_a_row),
    "a lease is kept when its request fails or is cancelled": _wrapped(
        leasing.HeldLease, "release", _keep_lease_of_the_cancelled
    ),
    "a lease that comes too late is kept": _replaced(leasing.Ask, "_give_back", lambda self: None),
    "a request that is told to wait leaves": _replaced(
        leasing, "_checked", lambda answer, loop: leasing.HeldLease(answer if leasing._is_lease(answer) else NO_LEASE)
    ),
    "a failure is forgotten": _replaced(EmbedCall, "fail", lambda self, members, error: None),
}
