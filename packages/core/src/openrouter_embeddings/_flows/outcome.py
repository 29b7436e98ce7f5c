"""What a call came to: what it spent, its providers, and the error that names what happened, where, and the way out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from openrouter_embeddings._protocol import BatchResult, Diagnosis, ErrorBody, redacted
from openrouter_embeddings.errors import EmbeddingError
from openrouter_embeddings.inputs import named_positions
from openrouter_embeddings.usage import Usage

from .settings import CallSettings


class Outcome:
    """The account of one call. Its workers add to it from several threads.

    Args:
        settings: Of the call.
        count: Told each bit of usage at once, for the client's totals: a call may never come to its end.
    """

    def __init__(self, settings: CallSettings, count: Callable[[Usage], None] | None = None) -> None:
        self.shortened: list[int] = []
        """Texts that were too long, cut or averaged."""
        self.generation_ids: list[str] = []
        self._settings = settings
        self._count = count
        self._spent: list[Usage] = []
        self._models: list[str] = []
        self._providers: dict[str, None] = {}

    @property
    def model(self) -> str:
        """The model that the gateway says it served, or the one asked for."""
        return self._models[0] if self._models else self._settings.model

    @property
    def providers(self) -> tuple[str, ...]:
        """Who served the call, in order of first appearance."""
        return tuple(self._providers)

    @property
    def usage(self) -> Usage:
        """What the call has spent so far."""
        return sum(list(self._spent)) or Usage()

    def spend(self, usage: Usage) -> None:
        """Add to what was spent."""
        self._spent.append(usage)
        if self._count is not None:
            self._count(usage)

    def record(self, result: BatchResult) -> None:
        """Note what an answer says of itself."""
        self.spend(result.usage)
        if result.provider:
            self._providers[result.provider] = None
        if result.generation_id:
            self.generation_ids.append(result.generation_id)
        if result.model:
            self._models.append(result.model)

    def add_account_of(self, inner: Outcome) -> None:
        """Add the providers and the usage of a call within this one; its usage was counted there already."""
        self._spent.append(inner.usage)
        self._providers |= inner._providers
        self.generation_ids += inner.generation_ids
        self._models += inner._models

    def error(
        self, diagnosis: Diagnosis, inputs: Sequence[Any], positions: Sequence[int], *, total: int, attempts: int
    ) -> EmbeddingError:
        """Return the error for inputs that stand at some of the caller's `total` positions."""
        body = diagnosis.error_body
        quoted = redacted(body.message, inputs) if body else ""
        named = named_positions(positions).lower() if positions else "an input of another call, none"
        tries = f", {attempts} attempts" if attempts > 1 else ""
        where = f"at {self._settings.gateway}: model {self._settings.model!r}, {named} of {total}{tries}"
        quote = f" It says: {quoted!r}." if quoted else ""
        return diagnosis.kind(
            f"{diagnosis.summary}{_status(body)} {where}.{quote} {diagnosis.advice}",
            status=body.status if body else None,
            code=body.code if body else None,
            error_type=(body.error_type or body.availability) if body else None,
            provider=body.provider if body else None,
            generation_id=body.generation_id if body else None,
            retry_after=diagnosis.retry_after,
            retryable=body.retryable if body else None,
            model=self._settings.model,
            positions=positions,
        )


def _status(body: ErrorBody | None) -> str:
    if body is None:
        return ""
    return f" ({body.status} inside a 200)" if body.in_200 else f" ({body.status})"
