"""What a flow may ask for.

A flow is a generator that tells what must happen and yields an effect whenever the world has to do
something: send a request, wait, run flows side by side. A driver performs the effect and sends the
answer back in. So each rule of this library is written once, for threads and for asyncio alike, and
is tested by `flow.send(...)` without a server or a clock.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

from ._limits import Signal
from .errors import EmbeddingError
from .results import Matrix

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer that arrived whole. Header names are lower-case; `at` is wall-clock seconds since the epoch."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    at: float = 0.0


class Broke(Enum):
    """How an exchange can fail without an answer."""

    NOT_CONNECTED = "no connection"
    """DNS, connect, TLS or proxy failure: nothing was sent, so nothing was billed."""
    CUT = "the connection broke"
    """It broke after the request had left: it may have been billed."""
    TIMED_OUT = "no complete answer in time"
    """As above: it may have been billed."""
    TOO_LARGE = "the answer was too large"
    """More bytes than any right answer has; reading stopped there."""
    GARBLED = "the answer could not be decompressed"


@dataclass(frozen=True, slots=True)
class Failure:
    """An exchange without an answer. `detail` names the foreign exception's class, never its text."""

    broke: Broke
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Send(Generic[T]):
    """Send one request when there is room for it. Answered by `Sent` or `NotSent`.

    Attributes:
        build: Called once there is room; gives the body, or None if the request is no longer wanted.
        read: Reads the answer, and tells the limits what it means. Pure.
        patience: Seconds that waiting at a closed gate may take.
        tokens: Estimated size, for the cost that the request may add.
        max_bytes: Most bytes that a right answer can have, decompressed.
    """

    build: Callable[[], bytes | None]
    read: Callable[[Reply | Failure], tuple[T, Signal]]
    patience: float
    tokens: int
    max_bytes: int


@dataclass(frozen=True, slots=True)
class Sent(Generic[T]):
    """The request left.

    Attributes:
        verdict: What `read` made of the answer.
        waited: Seconds that the closed gate held it.
        may_replay: Whether another attempt would not feed an outage.
        chance: A random number in [0, 1), for jitter.
    """

    verdict: T
    waited: float
    may_replay: bool
    chance: float


class Withheld(Enum):
    """Why a request did not leave."""

    STOPPED = "the job was stopped"
    UNWANTED = "the flow changed its mind"
    GATE_CLOSED = "the gate stays closed for longer than the patience left"
    OVERSPENT = "it would pass max_cost"


@dataclass(frozen=True, slots=True)
class NotSent:
    """The request did not leave. `cause` is what closed the gate."""

    why: Withheld
    retry_after: float | None = None
    cause: object = None
    spent: float = 0.0


class Stopped(Exception):
    """The job was stopped by another of its flows."""


@dataclass(frozen=True, slots=True)
class Sleep:
    """Wait. Answered by True, or False if the job was stopped meanwhile."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Fetch:
    """Get a page of the model listing, with the key or without. Answered by a `Reply` or a `Failure`."""

    url: str
    keyed: bool


@dataclass(frozen=True, slots=True)
class Recall:
    """Look up what was paid for earlier. Answered by float32 bytes for each key that is known."""

    keys: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class Remember:
    """Keep what has landed, at once. Answered by None, when it is on the disk or cannot be."""

    items: Mapping[bytes, bytes]


Heard: TypeAlias = "Matrix | EmbeddingError | None"
"""What becomes of an input that another call has in flight: its embedding, why it has none, or None: given up."""


class Flight(Protocol):
    """One call's share in what all calls of a client have in flight. `_drive_flights.Flight` says what each does."""

    def claim(self, names: Sequence[Hashable], /) -> list[Hashable]: ...
    def overtaken(self) -> bool: ...
    def land(self, names: Sequence[Hashable], rows: Matrix, /) -> None: ...
    def release(self, names: Sequence[Hashable], causes: Mapping[Hashable, Heard], /) -> None: ...
    def share(self, name: Hashable, item: Any, most: int, /) -> bool: ...
    def gathered(self) -> list[tuple[Hashable, Any]]: ...


@dataclass(frozen=True, slots=True)
class Follow:
    """Wait until other calls have landed or given up what this one follows. Answered by what was heard by then."""

    flight: Flight
    seconds: float


@dataclass(frozen=True, slots=True)
class Gather(Generic[T]):
    """Run flows side by side. Answered by their results and errors, in order.

    When one fails the others are stopped: what is in flight lands, nothing more is sent.
    """

    flows: Sequence[Flow[T]]


Effect: TypeAlias = Send[Any] | Fetch | Sleep | Recall | Remember | Follow | Gather[Any]
Flow: TypeAlias = Generator[Effect, Any, T]


def send(effect: Send[T]) -> Flow[Sent[T] | NotSent]:
    """Ask for a request: the typed form of `yield`."""
    answer: Sent[T] | NotSent = yield effect
    return answer


def fetch(url: str, *, keyed: bool) -> Flow[Reply | Failure]:
    """Ask for a page."""
    answer: Reply | Failure = yield Fetch(url, keyed)
    return answer


def recall(keys: Sequence[bytes]) -> Flow[Mapping[bytes, bytes]]:
    """Ask the cache."""
    known: Mapping[bytes, bytes] = yield Recall(keys)
    return known


def remember(items: Mapping[bytes, bytes]) -> Flow[None]:
    """Ask the cache to keep."""
    yield Remember(items)


def follow(flight: Flight, seconds: float) -> Flow[Mapping[Hashable, Heard]]:
    """Ask what became of what other calls have in flight."""
    heard: Mapping[Hashable, Heard] = yield Follow(flight, seconds)
    return heard


def sleep(seconds: float) -> Flow[bool]:
    """Ask for a pause: False means that the job was stopped meanwhile."""
    undisturbed: bool = yield Sleep(seconds)
    return undisturbed


def gather(flows: Sequence[Flow[T]]) -> Flow[list[T | BaseException]]:
    """Ask for flows to be run side by side."""
    outcomes: list[T | BaseException] = yield Gather(flows)
    return outcomes
