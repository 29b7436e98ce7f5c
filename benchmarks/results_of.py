"""What a row claims and what was measured; as text, JSON and markdown."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median
from typing import Any


@dataclass
class Claim:
    """One thing that must show: a number and its bound. A number of None could not be had, and fails."""

    what: str
    value: float | None
    bound: float
    at_least: bool = False
    unit: str = "x"
    why: str = ""

    @property
    def passed(self) -> bool:
        """Whether it shows."""
        if self.value is None:
            return False
        return self.value >= self.bound if self.at_least else self.value <= self.bound

    @property
    def verdict(self) -> str:
        """In a word."""
        return "absent" if self.value is None else "pass" if self.passed else "FAIL"

    @property
    def goal(self) -> str:
        """In figures."""
        return f"{'≥' if self.at_least else '≤'} {figure(self.bound)} {self.unit}".strip()

    @property
    def measured(self) -> str:
        """In figures."""
        return f"{figure(self.value)} {self.unit}".strip() if self.value is not None else self.why or "-"


@dataclass
class Row:
    """One row: a heading, a table of what was measured, and the claims on it."""

    number: int
    title: str
    columns: dict[str, str] = field(default_factory=dict)
    """Key in a measurement, and its heading."""
    measured: dict[str, dict[str, Any]] = field(default_factory=dict)
    claims: list[Claim] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def get(self, label: str, key: str = "cpu") -> float | None:
        """Return one measured number, or None if that client is absent."""
        value = self.measured.get(label, {}).get(key)
        return None if value is None else float(value)

    def paired(self, one: str, other: str) -> float | None:
        """Return the median of the quotients of each turn's CPU: a machine that is slower for a while is so for both."""
        mine, theirs = (self.measured.get(label, {}).get("cpu_each") or [] for label in (one, other))
        if len(mine) != len(theirs) or not all((*mine, *theirs)):
            return _quotient(self.get(one), self.get(other))
        return median([a / b for a, b in zip(mine, theirs, strict=True)]) if mine else None

    def claim(self, what: str, value: float | None, bound: float, **more: Any) -> None:
        """Add a claim."""
        self.claims.append(Claim(what, value, bound, **more))

    def ratio(self, one: str, other: str, bound: float, *, key: str = "cpu", faster: bool = False) -> None:
        """Claim how one client stands to another; `faster` turns the question round: so many times faster."""
        value = self.paired(one, other) if key == "cpu" else _quotient(self.get(one, key), self.get(other, key))
        value = 1 / value if value and faster else value
        what = f"{one} {'faster than' if faster else 'to'} {other} ({key})"
        self.claim(what, value, bound, at_least=faster)


def _quotient(a: float | None, b: float | None) -> float | None:
    return a / b if a and b else None


def figure(value: object) -> str:
    """Return a number with three digits that matter."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return "-" if value is None else str(value)
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) >= 0.01 else f"{value:.2g}"


def table(row: Row) -> list[str]:
    """Return the measurements as markdown lines."""
    if not row.measured:
        return []
    keys = list(row.columns)
    lines = ["| client | " + " | ".join(row.columns.values()) + " |", "|---|" + "---:|" * len(keys)]
    for label, seen in row.measured.items():
        lines.append(f"| {label} | " + " | ".join(figure(seen.get(key)) for key in keys) + " |")
    return lines


def markdown(row: Row) -> str:
    """Return the whole row as markdown."""
    lines = [f"### {row.number}. {row.title}", "", *table(row), ""]
    lines += ["| must show | goal | measured | |", "|---|---|---|---|"]
    lines += [f"| {one.what} | {one.goal} | {one.measured} | {one.verdict} |" for one in row.claims]
    lines += ["", *row.notes]
    return "\n".join(lines).rstrip() + "\n"


def as_json(row: Row) -> dict[str, Any]:
    """Return the whole row as plain data."""
    claims = [
        {
            "what": c.what,
            "goal": c.bound,
            "at_least": c.at_least,
            "measured": c.value,
            "unit": c.unit,
            "verdict": c.verdict,
        }
        for c in row.claims
    ]
    return {"row": row.number, "title": row.title, "measured": row.measured, "claims": claims, "notes": row.notes}
