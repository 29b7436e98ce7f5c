"""The settings of a gateway: at its start, and while it runs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Self, TypedDict

_WIDEST = 8192


class GatewayOptions(TypedDict, total=False):
    """The settings by name, each of which may be left out."""

    models: Mapping[str, int]
    """Models beside those of the profiles, each with its width."""
    lenient: bool
    """Answer to every model id and to every provider slug, and take pictures that cannot be decoded."""
    cap: int | None
    """Most embedding requests at once; more are answered with 429. None: no cap."""
    rate: float | None
    """Most embedding requests a second; more are answered with 429. None: no limit."""
    burst: int | None
    """How many requests `rate` lets through at once. None: as many as in one second, at least one."""
    latency: float
    """Seconds that every embedding request takes on top of the work."""
    faults: float
    """The share of embedding requests that fail, from 0 to 1."""


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_count(value: Any) -> bool:
    return value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 1)


def _is_models(value: Any) -> bool:
    return isinstance(value, Mapping) and all(
        isinstance(model, str) and model and _is_count(width) and width is not None and width <= _WIDEST
        for model, width in value.items()
    )


_CHECKS: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "models": (_is_models, f"widths from 1 to {_WIDEST}, by model id"),
    "lenient": (lambda value: isinstance(value, bool), "true or false"),
    "cap": (_is_count, "a whole number of requests, at least 1, or nothing"),
    "rate": (lambda value: value is None or (_is_number(value) and value > 0), "requests a second above 0, or nothing"),
    "burst": (_is_count, "a whole number of requests, at least 1, or nothing"),
    "latency": (lambda value: _is_number(value) and value >= 0, "seconds, 0 or more"),
    "faults": (lambda value: _is_number(value) and 0 <= value <= 1, "a share from 0 to 1"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of a gateway; see `GatewayOptions` for what each means.

    Raises:
        ValueError: A setting is out of its range.
    """

    models: Mapping[str, int] = field(default_factory=dict)
    lenient: bool = False
    cap: int | None = None
    rate: float | None = None
    burst: int | None = None
    latency: float = 0.0
    faults: float = 0.0

    def __post_init__(self) -> None:
        for name, (fits, takes) in _CHECKS.items():
            if not fits(getattr(self, name)):
                raise ValueError(f"{name} takes {takes}.")

    def changed(self, given: Mapping[str, Any]) -> Self:
        """Return the settings with those that are named set anew. An unknown name is a ValueError."""
        if unknown := sorted(set(given) - set(_CHECKS)):
            raise ValueError(f"There is no setting {unknown[0]!r}; there are {', '.join(_CHECKS)}.")
        return replace(self, **given)

    def to_json(self) -> dict[str, Any]:
        """Return the settings by name."""
        return {setting.name: getattr(self, setting.name) for setting in fields(self)}

    def to_arguments(self) -> list[str]:
        """Return the settings as the command line takes them."""
        arguments = [part for model, width in self.models.items() for part in ("--model", f"{model}:{width}")]
        if self.lenient:
            arguments.append("--lenient")
        if self.cap is not None:
            arguments += ["--cap", str(self.cap)]
        if self.rate is not None:
            arguments += ["--rate", str(self.rate) if self.burst is None else f"{self.rate}:{self.burst}"]
        return [*arguments, "--latency", str(self.latency), "--faults", str(self.faults)]
