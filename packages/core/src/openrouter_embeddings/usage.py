"""What was spent: tokens, dollars, requests. Usage adds up."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, fields
from threading import get_ident
from typing import Any, Generic, ParamSpec, Self, TypeVar

from ._fork import Lock
from ._warn import warn

N = TypeVar("N", int, float)
P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """A sum over batches, retries and splits.

    Attributes:
        prompt_tokens: Tokens of the inputs, as the gateway counted them.
        total_tokens: Tokens billed, as the gateway counted them.
        cost: USD, as the gateway reported it; 0.0 where it reports none.
        requests: HTTP requests that left this machine, refused ones and retries included.
        retries: How many of those requests were second or later attempts.
        replays: How many of those retries followed an attempt that may have been billed.
        server_cached: Requests that the gateway answered from its own cache, unpaid.
        cached: Inputs answered from the cache, unpaid.
        shared: Inputs answered by an equal one that another call had in flight; not paid for.
        deduplicated: Inputs equal to another one of the same call, sent once.
    """

    prompt_tokens: int = 0
    total_tokens: int = 0
    cost: float = 0.0
    requests: int = 0
    retries: int = 0
    replays: int = 0
    server_cached: int = 0
    cached: int = 0
    shared: int = 0
    deduplicated: int = 0

    def __add__(self, other: Usage) -> Usage:
        """Return the field-by-field sum."""
        if not isinstance(other, Usage):
            return NotImplemented
        # Written out: this runs several times a query, and `fields` would cost more than all the rest of it.
        return Usage(
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            total_tokens=self.total_tokens + other.total_tokens,
            cost=self.cost + other.cost,
            requests=self.requests + other.requests,
            retries=self.retries + other.retries,
            replays=self.replays + other.replays,
            server_cached=self.server_cached + other.server_cached,
            cached=self.cached + other.cached,
            shared=self.shared + other.shared,
            deduplicated=self.deduplicated + other.deduplicated,
        )

    def __radd__(self, other: int) -> Usage:
        """Let `sum(usages)` start from its 0."""
        return self if other == 0 else NotImplemented

    def to_dict(self) -> dict[str, Any]:
        """Return the plain mapping that framework metadata carries."""
        return {field.name: getattr(self, field.name) for field in fields(Usage)}


class _Total(Generic[N]):
    """One field of a tracker's total, to be read on the tracker itself."""

    def __set_name__(self, owner: type[UsageTracker], name: str) -> None:
        self._name = name

    def __get__(self, tracker: UsageTracker, owner: type[UsageTracker]) -> N:
        value: N = getattr(tracker.total, self._name)
        return value


class UsageWarning(UserWarning):
    """A `track_usage` block has counted nothing, and may not have seen the calls of its threads."""


class UsageTracker:
    """What the calls that began in a `track_usage` block have spent so far. Its fields are those of `Usage`."""

    prompt_tokens = _Total[int]()
    total_tokens = _Total[int]()
    cost = _Total[float]()
    requests = _Total[int]()
    retries = _Total[int]()
    replays = _Total[int]()
    server_cached = _Total[int]()
    cached = _Total[int]()
    shared = _Total[int]()
    deduplicated = _Total[int]()

    def __init__(self) -> None:
        self._lock = Lock()
        self._total = Usage()
        self._around = _active.get()
        self._thread = get_ident()
        self._missed = False

    @property
    def total(self) -> Usage:
        """The sum so far."""
        return self._total

    def add(self, usage: Usage) -> None:
        """Add to the sum."""
        with self._lock:
            self._total += usage

    @contextmanager
    def counting(self) -> Iterator[Self]:
        """Count what every call spends that begins inside the block, as `track_usage` does, and warn of nothing."""
        _active.set((*_active.get(), self))
        try:
            yield self
        finally:
            # Not a reset to what was before: a fixture or a generator may leave its block in another context.
            _active.set(tuple(active for active in _active.get() if active is not self))

    def _miss(self) -> None:
        """Note that a call in another thread belongs to no block."""
        self._missed = self._missed or get_ident() != self._thread

    def _warn_if_blind(self) -> None:
        """Say once in this process that calls were made beside a block that has counted nothing."""
        if self._missed and self._total == Usage() and not _warned:
            _warned.append(True)
            warn(_BLIND, UsageWarning)

    def run(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function so that what it spends is counted here, in whichever thread that is.

        A plain `threading.Thread` or `ThreadPoolExecutor` does not know in which block it was started:
        `pool.submit(usage.run, client.embed_documents, texts)` tells it.
        """
        before = _active.get()
        token = _active.set(tuple(dict.fromkeys((*before, *self._around, self))))
        try:
            return function(*args, **kwargs)
        finally:
            _active.reset(token)

    def __repr__(self) -> str:
        return f"UsageTracker({self.total!r})"


_active: ContextVar[tuple[UsageTracker, ...]] = ContextVar("openrouter_embeddings_usage", default=())
"""The trackers of the blocks that the running code is in. A task, and a thread given the context, inherit them."""
_open: set[UsageTracker] = set()
"""The trackers of all `track_usage` blocks that are not over."""
_warned: list[bool] = []
_BLIND = (
    "A track_usage block has counted nothing, while other threads made calls that belong to no block. A plain thread or "
    "ThreadPoolExecutor does not know the block it was started in: "
    "with track_usage() as usage, write pool.submit(usage.run, function, ...)."
)


@contextmanager
def track_usage() -> Iterator[UsageTracker]:
    """Count what every call of any client spends that begins inside the block.

    Calls are counted when they end, failed ones too. Blocks nest: the outer one counts what the inner one does. The
    context carries the block into asyncio tasks, `asyncio.to_thread` and the executors of the frameworks that copy it;
    `UsageTracker.run` carries it into other threads. A call in another process is not counted.

    A block that ends with nothing counted, while other threads made calls that belong to no block, gives a
    `UsageWarning`, once in a process.

    Yields:
        The tracker. It can be read during the block and after it.
    """
    tracker = UsageTracker()
    _open.add(tracker)
    try:
        with tracker.counting():
            yield tracker
    finally:
        _open.discard(tracker)
    tracker._warn_if_blind()  # noqa: SLF001 - our own class


def count_usage(usage: Usage) -> None:
    """Add to the tracker of each block that the running call began in."""
    trackers = _active.get()
    for tracker in trackers:
        tracker.add(usage)
    if _open and _open.isdisjoint(trackers):
        for tracker in tuple(_open):
            tracker._miss()  # noqa: SLF001 - our own class
