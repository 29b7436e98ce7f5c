"""What was asked of the gateway and paid for: in total, and for each model."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(slots=True)
class Totals:
    """Sums over requests."""

    requests: int = 0
    refused: int = 0
    """Requests answered with an error status."""
    paid_inputs: int = 0
    """Inputs answered as they should be."""
    tokens: int = 0
    """Tokens of the inputs paid for."""
    cost: float = 0.0
    """USD for the inputs paid for."""
    in_flight: int = 0
    max_in_flight: int = 0

    def begin(self) -> None:
        """Count a request as it comes in."""
        self.requests += 1
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)

    def end(self, status: int | None) -> None:
        """Count how a request ended; None where no status was sent."""
        self.in_flight -= 1
        self.refused += status is not None and status >= 400

    def pay(self, inputs: int, tokens: int, cost: float) -> None:
        """Count what a request is charged for."""
        self.paid_inputs += inputs
        self.tokens += tokens
        self.cost += cost


@dataclass(slots=True)
class Usage:
    """The totals of the embedding requests since the start or the last reset."""

    total: Totals = field(default_factory=Totals)
    models: dict[str, Totals] = field(default_factory=dict)
    """By the id that was asked for. A request whose body cannot be read counts in the total alone."""

    def of(self, model: str) -> Totals:
        """Return the totals of one model."""
        return self.models.setdefault(model, Totals())

    def to_json(self) -> dict[str, Any]:
        """Return everything, as the control endpoint tells it."""
        return {**asdict(self.total), "models": {model: asdict(totals) for model, totals in self.models.items()}}
