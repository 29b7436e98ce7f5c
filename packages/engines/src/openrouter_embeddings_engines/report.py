"""What a job over files has come to: read from its ledger, whatever was killed and started again in between."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter

from openrouter_embeddings import Usage

from .ledger import Attempt


@dataclass(frozen=True, slots=True, kw_only=True)
class PartReport:
    """What one part has come to, over all attempts at it.

    Attributes:
        name: Of the part.
        committed: Whether it is done.
        attempts: How often it was begun.
        usage: What all attempts have spent.
        embedded: Rows that have an embedding.
        failed: Rows that have an error instead.
        unanswered: Requests in flight when an attempt was killed: at most so many. What they cost is not in `usage`.
    """

    name: str
    committed: bool
    attempts: int
    usage: Usage
    embedded: int
    failed: int
    unanswered: int


@dataclass(frozen=True, slots=True, kw_only=True)
class JobReport:
    """What a job over files has come to. `print` shows it.

    Every answer that a run has seen is in `usage`, to the token, killed runs included. What a run that was killed had in
    flight, and a request whose answer never arrived (each `usage.replays` follows one), may have been billed besides.

    Attributes:
        parts: Those that were begun, by name.
        open_parts: How many parts are not done, those not begun included.
        unanswered: Requests in flight, now or when a run was killed: at most so many.
        dearest: USD of the dearest request.
    """

    parts: Mapping[str, PartReport]
    open_parts: int
    unanswered: int
    dearest: float

    @property
    def usage(self) -> Usage:
        """What all attempts at all parts have spent."""
        return sum((part.usage for part in self.parts.values()), Usage())

    @property
    def cost_at_most(self) -> float:
        """USD, with what killed runs had in flight at the price of the dearest request: about the most that was billed."""
        return self.usage.cost + self.unanswered * self.dearest

    @property
    def embedded(self) -> int:
        """Rows that have an embedding, in parts that are done."""
        return sum(part.embedded for part in self.parts.values())

    @property
    def failed(self) -> int:
        """Rows that have an error instead."""
        return sum(part.failed for part in self.parts.values())

    def __str__(self) -> str:
        usage, done = self.usage, sum(part.committed for part in self.parts.values())
        lines = [
            f"{done:,} of {done + self.open_parts:,} parts: {self.embedded:,} embeddings, {self.failed:,} rows without one.",
            f"{usage.total_tokens:,} tokens, {usage.cost:.6f} USD, {usage.cached:,} from the cache.",
            f"{usage.requests:,} requests, of which {usage.retries:,} retries and {usage.replays:,} replays.",
        ]
        if self.unanswered:
            lines.append(
                f"At most {self.unanswered:,} requests are in flight, or were when a run was killed: they may be billed besides."
            )
        return "\n".join(lines)


def report_on(attempts: Iterable[Attempt], committed: Iterable[str], open_parts: int) -> JobReport:
    """Return what a job has come to.

    Args:
        attempts: Every one, by part and in order.
        committed: The names of the parts that are done.
        open_parts: How many are not.
    """
    known, done = list(attempts), set(committed)
    parts = {name: _part(name, list(group), name in done) for name, group in groupby(known, key=attrgetter("part"))}
    runs: dict[str, list[Attempt]] = {}
    for attempt in known:
        runs.setdefault(attempt.run, []).append(attempt)
    unanswered = sum(
        min(sum(attempt.unanswered for attempt in run), max(attempt.concurrency for attempt in run))
        for run in runs.values()
    )
    dearest = max((attempt.dearest for attempt in known), default=0.0)
    return JobReport(parts=parts, open_parts=open_parts, unanswered=unanswered, dearest=dearest)


def _part(name: str, attempts: list[Attempt], committed: bool) -> PartReport:
    last = attempts[-1]  # the one that committed the part: a part that is done is never begun again
    return PartReport(
        name=name,
        committed=committed,
        attempts=len(attempts),
        usage=sum((attempt.usage for attempt in attempts), Usage()),
        embedded=last.embedded if committed else 0,
        failed=last.failed if committed else 0,
        unanswered=sum(attempt.unanswered for attempt in attempts),
    )
