"""The core client of an embedder whose options can be assigned at any time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from openrouter_embeddings import Client, Usage
from openrouter_embeddings.client import one_per_process

from ._options import WORDS


@dataclass(frozen=True)
class BuiltClient:
    """A core client, what it was made of, and what those before it have spent: one value, as threads share it."""

    options: dict[str, Any]
    most_texts: int
    client: Client
    spent_before: Usage

    @classmethod
    def of(cls, options: dict[str, Any], most_texts: int, before: Self | None) -> Self:
        """Return `before`, or where something has been assigned since, a new one with what is left of the budget."""
        if before is not None and (before.options, before.most_texts) == (options, most_texts):
            return before
        spent = Usage() if before is None else before.usage
        return cls(options, most_texts, _client(options, most_texts, spent), spent)

    @property
    def usage(self) -> Usage:
        """What this client and those before it have spent, in this process."""
        return self.client.usage + self.spent_before

    def in_this_process(self) -> BuiltClient:
        """Return it as it comes out of a pickle: with the client that others of the same options use here."""
        return BuiltClient(self.options, self.most_texts, one_per_process(self.client), Usage())


def _client(options: dict[str, Any], most_texts: int, spent: Usage) -> Client:
    WORDS.check_values(options)
    client = Client(**options)
    narrower: dict[str, Any] = {}
    if most_texts < client.learned.limits().inputs:
        narrower["batch_size"] = most_texts
    if client.options.max_cost is not None and spent.cost:
        narrower["max_cost"] = max(0.0, client.options.max_cost - spent.cost)
    return Client(**{**options, **narrower}) if narrower else client
