"""What a driver does for the flows that it runs. The wait itself is all that threads and asyncio do differently."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

from openrouter_embeddings._flows import Flow, Waker

from .leasing import LimiterCall

T = TypeVar("T")
W = TypeVar("W", bound=Waker)


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
    """Do what may block: off the loop, where there is one."""

    work: Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Begin:
    """Begin a call of the user's limiter, on the loop where there is one, and go on."""

    call: LimiterCall


@dataclass(frozen=True, slots=True)
class RunBeside:
    """Run flows side by side to their ends, and those that they start; return results and errors."""

    flows: Sequence[Flow[Any]]


@dataclass(frozen=True, slots=True)
class StartBeside:
    """Run one more flow beside this one."""

    flow: Flow[Any]


Step: TypeAlias = Wait[W] | Exchange | Block | Begin | RunBeside | StartBeside
Steps: TypeAlias = Generator[Step[W], Any, T]
