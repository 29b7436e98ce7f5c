"""What was spent: tokens, dollars, requests. Usage adds up."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, fields
from typing import Any, Generic, ParamSpec, TypeVar

from ._fork import Lock

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

    @property
    def total(self) -> Usage:
        """The sum so far."""
        return self._total

    def add(self, usage: Usage) -> None:
        """Add to the sum."""
        with self._lock:
            self._total += usage

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


@contextmanager
def track_usage() -> Iterator[UsageTracker]:
    """Count what every call of any client spends that begins inside the block.

    Calls are counted when they end, failed ones too. Blocks nest: the outer one counts what the inner one does. The
    context carries the block into asyncio tasks, `asyncio.to_thread` and the executors of the frameworks that copy it;
    `UsageTracker.run` carries it into other threads. A call in another process is not counted.

    Yields:
        The tracker. It can be read during the block and after it.
    """
    tracker = UsageTracker()
    _active.set((*_active.get(), tracker))
    try:
        yield tracker
    finally:
        # Not a reset to what was before: a fixture or a generator may leave its block in another context.
        _active.set(tuple(active for active in _active.get() if active is not tracker))


def count_usage(usage: Usage) -> None:
    """Add to the tracker of each block that the running call began in."""
    for tracker in _active.get():
        tracker.add(usage)
