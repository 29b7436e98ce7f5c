"""Single queries that are made at the same time share requests.

The first query opens a group and waits a moment; those that come meanwhile join it. Then the first embeds them all in
one call, and hands each its embedding. Where it cannot, each sends its own query.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from openrouter_embeddings._flows import (
    CallShare,
    EmbedCall,
    Flow,
    InFlightRegistry,
    SharedOutcome,
    await_shared,
    embed,
    sleep,
)
from openrouter_embeddings._fork import ForkAware, Lock
from openrouter_embeddings.errors import EmbeddingError
from openrouter_embeddings.results import EmbeddingResult
from openrouter_embeddings.usage import Usage

COALESCING_WINDOW = 0.003
"""Seconds for which a query waits for others."""
_MARGIN = 5.0


@dataclass(slots=True, eq=False)
class _Group:
    """Queries that travel together. The first of them is the leader's."""

    share: CallShare
    texts: list[str] = field(default_factory=list)
    model: str = ""


class QueryBatcher(ForkAware):
    """The open group of one client, if there is one.

    Args:
        registry: What the client's calls have in flight.
    """

    def __init__(self, registry: InFlightRegistry) -> None:
        self._registry = registry
        self._lock = Lock()
        self._open: _Group | None = None
        super().__init__()

    def after_fork(self) -> None:
        """Forget the parent's group."""
        self._open = None

    def embed(
        self, text: str, *, most: int, seconds: float, together: Callable[[list[str]], EmbedCall]
    ) -> Flow[EmbeddingResult]:
        """Embed a query with others, or alone where that fails.

        Args:
            text: The query.
            most: How many queries a request may hold.
            seconds: What a request may take.
            together: Makes the call that embeds some queries.
        """
        with self._lock:
            group, leads = self._open, False
            if group is None or len(group.texts) >= most:
                texts: list[str] = []
                group, leads = _Group(self._registry.join(object(), texts), texts), True
                self._open = group
            group.texts.append(text)
            group.share.claim([len(group.texts) - 1])
            own = None if leads else group.share.follower(len(group.texts) - 1)
        if own is None:
            return (yield from self._lead(group, seconds, together))
        outcomes = yield from await_shared(own, seconds + _MARGIN)
        outcome = outcomes.get(0) if isinstance(outcomes, Mapping) else None
        return (yield from self._taken(group, own, outcome, text, together))

    def _lead(self, group: _Group, seconds: float, together: Callable[[list[str]], EmbedCall]) -> Flow[EmbeddingResult]:
        group.share.will_move_within(COALESCING_WINDOW + _MARGIN)
        try:
            yield from sleep(COALESCING_WINDOW)
            self._close(group)
            group.share.will_move_within(seconds + _MARGIN)
            call = together(list(group.texts))
            try:
                result = yield from embed(call)
            except EmbeddingError as error:
                return _own_part(group, call, error)
            group.model = result.model
            landed = np.flatnonzero(~result.missing).tolist()
            group.share.publish(landed, result.embeddings[landed], shortened=result.shortened)
            return _of_first(call, result)
        finally:
            self._close(group)
            group.share.abandon(range(len(group.texts)), {})

    def _taken(
        self,
        group: _Group,
        own: CallShare,
        outcome: SharedOutcome,
        text: str,
        together: Callable[[list[str]], EmbedCall],
    ) -> Flow[EmbeddingResult]:
        """Return what the leader has landed for a query, or send it after all."""
        call = together([text])
        if outcome is None:
            return (yield from embed(call))
        if isinstance(outcome, EmbeddingError):
            raise outcome.reworded(f"The request that this query shared has failed: {outcome.message}", positions=[0])
        call.outcome.spend(Usage(shared=1))
        return EmbeddingResult(
            embeddings=outcome[None, :],
            model=group.model,
            usage=Usage(shared=1),
            shortened=tuple(sorted(own.shortened)),
        )

    def _close(self, group: _Group) -> None:
        with self._lock:
            if self._open is group:
                self._open = None


def _own_part(group: _Group, call: EmbedCall, error: EmbeddingError) -> EmbeddingResult:
    """Hand out what has landed and why the rest has not; return the leader's own embedding, or raise its error."""
    partial = error.partial
    if partial is None:
        raise error
    group.model = partial.model
    done = list(partial.positions_done)
    group.share.publish(done, partial.embeddings[done], shortened=partial.shortened)
    group.share.abandon(list(partial.positions_failed), dict(partial.positions_failed))
    if 0 in partial.positions_failed:
        cause = partial.positions_failed[0]
        raise cause.reworded(cause.message, positions=[0])
    outcome = call.outcome
    return EmbeddingResult(
        embeddings=partial.embeddings[:1],
        model=partial.model,
        usage=outcome.usage,
        providers=outcome.providers,
        shortened=tuple(position for position in partial.shortened if position == 0),
    )


def _of_first(call: EmbedCall, result: EmbeddingResult) -> EmbeddingResult:
    shortened = tuple(position for position in result.shortened if position == 0)
    return EmbeddingResult(
        embeddings=result.embeddings[:1].copy(),
        model=result.model,
        usage=call.outcome.usage,
        providers=result.providers,
        generation_ids=result.generation_ids,
        shortened=shortened,
        errors={
            place: error.reworded(error.message, positions=[0]) for place, error in result.errors.items() if place == 0
        },
        missing_positions=result.missing_positions[:1] if 0 in result.missing_positions else (),
    )
