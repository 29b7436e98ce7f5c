"""What was spent: tokens, dollars, requests. Usage adds up."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any


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
        shared: Inputs answered by an equal one that another call had in flight, unpaid.
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
        return Usage(**{one.name: getattr(self, one.name) + getattr(other, one.name) for one in fields(Usage)})

    def __radd__(self, other: int) -> Usage:
        """Let `sum(usages)` start from its 0."""
        return self if other == 0 else NotImplemented

    def to_dict(self) -> dict[str, Any]:
        """Return the plain mapping that framework metadata carries."""
        return {one.name: getattr(self, one.name) for one in fields(Usage)}
