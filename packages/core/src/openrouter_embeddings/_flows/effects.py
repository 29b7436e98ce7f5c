"""What a flow may ask for.

A flow is a generator that tells what must happen and yields an effect whenever something has to be done: send a
request, wait, run flows side by side. A driver performs the effect and sends the answer back in. So each rule of this
library is written once, for threads and for asyncio alike, and is tested without a server or a clock.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Generic, TypeAlias, TypeVar

from openrouter_embeddings._limits import Feedback
from openrouter_embeddings._protocol import Response, TransportFailure
from openrouter_embeddings.cache import Claimed

from .inflight import CallShare, SharedOutcome

T = TypeVar("T")


class CallStopped(Exception):
    """The call was stopped by another of its flows."""


@dataclass(frozen=True, slots=True)
class Send(Generic[T]):
    """Send one request, once there is a permit for it. Answered by `Sent` or `NotSent`.

    Attributes:
        build: Called once there is a permit; gives the body, or None if the request is no longer needed.
        read: Reads the answer to an exchange that had so many seconds, and tells the limiter what it means.
        wait_budget: Seconds that waiting for an open breaker may take.
        timeout: Seconds that the exchange may take.
        tokens: Estimated size, for the cost that the request may add.
        max_bytes: Most bytes that a right answer can have, decompressed.
        keys: What is claimed in the cache before it leaves. Where another process has claimed some of it, or it is stored
            by now, the request does not leave.
        urgent: Whether a person waits for this request: it goes before bulk work.
        start_beside: Called when the request leaves; a flow that it gives is run beside this one, in the same gather.
    """

    build: Callable[[], bytes | None]
    read: Callable[[Response | TransportFailure, float], tuple[T, Feedback]]
    wait_budget: float
    timeout: float
    tokens: int
    max_bytes: int
    keys: Sequence[bytes] = ()
    urgent: bool = False
    start_beside: Callable[[], Flow[None] | None] | None = None


@dataclass(frozen=True, slots=True)
class Sent(Generic[T]):
    """The request left.

    Attributes:
        verdict: What `read` made of the answer.
        waited: Seconds for which the open breaker held it back.
        waits_alone: Whether the breaker stays closed after a refusal, and only this request has to wait.
        may_replay: Whether another attempt would not feed an outage.
        refused_for: Seconds for which the gateway has refused everything, this request included.
        jitter: A random number in [0, 1).
    """

    verdict: T
    waited: float
    waits_alone: bool = False
    may_replay: bool = True
    refused_for: float = 0.0
    jitter: float = 0.0


class NotSentReason(Enum):
    """Why a request did not leave, or why a pause ended early."""

    CALL_STOPPED = "another flow of the call stopped it"
    NO_LONGER_NEEDED = "the flow changed its mind"
    CLAIMED_ELSEWHERE = "another process pays for some of its inputs, or has paid"
    BREAKER_OPEN = "the breaker stays open for longer than the wait budget left"
    OVER_BUDGET = "it would pass max_cost"
    OUT_OF_TIME = "the call's time is over"
    ENDED_BY_OTHERS = "another call met what every request would meet now"


@dataclass(frozen=True, slots=True)
class NotSent:
    """The request did not leave.

    Attributes:
        reason: Why not.
        retry_after: Seconds for which the breaker stays open.
        cause: What opened the breaker, or what another call met.
        spent: USD spent so far, where the budget is the reason.
    """

    reason: NotSentReason
    retry_after: float | None = None
    cause: object = None
    spent: float = 0.0


@dataclass(frozen=True, slots=True)
class Sleep:
    """Wait. Answered by None, or why the pause ended early."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Fetch:
    """Get a page of a listing, with the key or without. Answered by a `Response` or a `TransportFailure`."""

    url: str
    keyed: bool
    timeout: float


@dataclass(frozen=True, slots=True)
class CacheGet:
    """Look up what was paid for earlier. Answered by float32 bytes for each key that is known."""

    keys: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class CachePut:
    """Keep what has landed. Answered by None, when it is on the disk or cannot be.

    Attributes:
        items: float32 bytes by their keys.
        kept: Called then, whether or not anybody waits for it still.
    """

    items: Mapping[bytes, bytes]
    kept: Callable[[], None] | None = None


@dataclass(frozen=True, slots=True)
class CacheClaim:
    """Claim keys for an exchange of so many seconds, and look them up. Answered by a `Claimed`."""

    keys: Sequence[bytes]
    seconds: float


@dataclass(frozen=True, slots=True)
class AwaitShared:
    """Wait until other calls have published or abandoned what this one waits for.

    Answered by their outcomes, or by why the wait ended early.
    """

    share: CallShare
    seconds: float


@dataclass(frozen=True, slots=True)
class Gather(Generic[T]):
    """Run flows side by side, and those that they start beside themselves.

    Answered by results and errors, those of `flows` first. When one fails the others are stopped: what is in flight
    lands, nothing more is sent.
    """

    flows: Sequence[Flow[T]]


Effect: TypeAlias = Send[Any] | Fetch | Sleep | CacheGet | CachePut | CacheClaim | AwaitShared | Gather[Any]
Flow: TypeAlias = Generator[Effect, Any, T]


def send(effect: Send[T]) -> Flow[Sent[T] | NotSent]:
    """Ask for a request: the typed form of `yield`."""
    answer: Sent[T] | NotSent = yield effect
    return answer


def fetch(url: str, *, keyed: bool, timeout: float) -> Flow[Response | TransportFailure]:
    """Ask for a page."""
    answer: Response | TransportFailure = yield Fetch(url, keyed, timeout)
    return answer


def cache_get(keys: Sequence[bytes]) -> Flow[Mapping[bytes, bytes]]:
    """Ask the cache."""
    known: Mapping[bytes, bytes] = yield CacheGet(keys)
    return known


def cache_put(items: Mapping[bytes, bytes], kept: Callable[[], None] | None) -> Flow[None]:
    """Ask the cache to keep."""
    yield CachePut(items, kept)


def cache_claim(keys: Sequence[bytes], seconds: float) -> Flow[Claimed]:
    """Claim keys in the cache, and look them up."""
    claimed: Claimed = yield CacheClaim(keys, seconds)
    return claimed


def await_shared(share: CallShare, seconds: float) -> Flow[Mapping[int, SharedOutcome] | NotSentReason]:
    """Wait for what other calls have in flight, and return what became of it."""
    outcomes: Mapping[int, SharedOutcome] | NotSentReason = yield AwaitShared(share, seconds)
    return outcomes


def sleep(seconds: float) -> Flow[NotSentReason | None]:
    """Ask for a pause. Returns why it ended early, or None."""
    interrupted: NotSentReason | None = yield Sleep(seconds)
    return interrupted


def gather(flows: Sequence[Flow[T]]) -> Flow[list[T | BaseException]]:
    """Ask for flows to be run side by side."""
    outcomes: list[T | BaseException] = yield Gather(flows)
    return outcomes
