"""How often one batch may be tried, and how long it may wait: arithmetic on what was answered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from openrouter_embeddings._limits import back_off
from openrouter_embeddings._protocol import Diagnosis, Remedy
from openrouter_embeddings.errors import ConnectionFailedError, RateLimitError

from .effects import Sent
from .settings import CallSettings

UNREACHED_SECONDS = 10.0
"""For so long an address that has never answered is waited for: long enough for a restart, short for a wrong port."""


@dataclass(slots=True)
class AttemptBudget:
    """What one batch has left of waiting, retries and replays.

    An outage is waited out once for all calls of a client: a batch that meets one that has lasted for longer than its
    wait budget is tried once.

    Attributes:
        wait_budget: Seconds that an outage is waited out.
        wait_left: Seconds that the batch may still wait.
        retries_left: Attempts after failures that are not waits.
        replays_left: Attempts after one that may have been billed.
        waits_are_retries: Whether waits use up retries, too, save those after a 429: a person waits for the answer.
    """

    wait_budget: float
    wait_left: float
    retries_left: int
    replays_left: int
    waits_are_retries: bool = False
    _failures_in_row: int = 0

    @classmethod
    def of(cls, settings: CallSettings) -> AttemptBudget:
        """Return the budget of a batch before its first attempt."""
        budget = settings.wait_budget
        return cls(budget, budget, settings.max_retries, settings.max_replays, settings.urgent)

    def after(self, diagnosis: Diagnosis, sent: Sent[Any], *, reached: bool) -> float | None:
        """Return how many seconds to pause before the next attempt, or None: it is not worth another.

        Args:
            diagnosis: What came of the last attempt.
            sent: How it left.
            reached: Whether the gateway has ever answered this client.
        """
        self.wait_left -= sent.waited
        waits, asked = diagnosis.remedy is Remedy.WAIT, diagnosis.retry_after or 0.0
        if not waits and not sent.may_replay:
            return None
        if not waits or (self.waits_are_retries and diagnosis.kind is not RateLimitError):
            self.retries_left -= 1
        self.replays_left -= diagnosis.remedy is Remedy.REPLAY
        if waits and not reached and diagnosis.kind is ConnectionFailedError:
            self.wait_budget = min(self.wait_budget, UNREACHED_SECONDS)
            self.wait_left = min(self.wait_left, UNREACHED_SECONDS)
        over = waits and sent.refused_for > self.wait_budget
        if over or self.retries_left < 0 or self.replays_left < 0 or asked > self.wait_left:
            return None
        if waits and not sent.waits_alone:
            return 0.0 if self.wait_left > 0.0 else None  # the breaker holds it back
        pause = max(back_off(self._failures_in_row, sent.jitter), asked)
        self._failures_in_row += 1
        self.wait_left -= pause
        return pause if self.wait_left > 0.0 else None
