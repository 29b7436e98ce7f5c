"""What the live checks find: whether a model does what its profile says, and whether its providers agree.

Both results are frozen, print as a plain-text table, and give plain values for JSON by `to_dict`. Neither holds an
input text or a key.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from openrouter_embeddings.errors import EmbeddingError
from openrouter_embeddings.usage import Usage

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


Cosines: TypeAlias = "npt.NDArray[np.float64]"


OK = "ok"


DIFFERS = "differs from the profile"


UNKNOWN = "unknown"


FAILED = "failed: "


AGREEMENT = 0.999


_WIDTH = 100


_COLUMNS = 8
"""Most cosines side by side."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that `check_model` looked at.

    Attributes:
        name: What was looked at.
        verdict: `"ok"`, `"differs from the profile"`, `"unknown"` (the profile does not say, or it could not be seen),
            or `"failed: "` and the class of the error.
        detail: What was seen, in words and numbers.
    """

    name: str
    verdict: str
    detail: str

    @property
    def ok(self) -> bool:
        """Whether nothing speaks against it: what is unknown does not."""
        return self.verdict in {OK, UNKNOWN}


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCheck:
    """What a model did when it was tried, held against its profile.

    Attributes:
        model: The model's id, as given.
        gateway: The gateway's name.
        profile: The family whose profile it was held against; `"unknown"` where there is none.
        findings: One for each thing looked at. Where the model does not answer there is one only.
        usage: What the check spent.
    """

    model: str
    gateway: str
    profile: str
    findings: tuple[Finding, ...]
    usage: Usage = field(default_factory=Usage)

    @property
    def ok(self) -> bool:
        """Whether nothing failed and nothing differs from the profile."""
        return all(one.ok for one in self.findings)

    def __getitem__(self, name: str) -> Finding:
        """Return the finding of this name, or raise KeyError."""
        for one in self.findings:
            if one.name == name:
                return one
        raise KeyError(name)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, as JSON has them."""
        return {
            "model": self.model,
            "gateway": self.gateway,
            "profile": self.profile,
            "ok": self.ok,
            "findings": [{"name": one.name, "verdict": one.verdict, "detail": one.detail} for one in self.findings],
            "usage": self.usage.to_dict(),
        }

    def __str__(self) -> str:
        """Return a table for a terminal."""
        title = f"{self.model} at {self.gateway}, held against the profile {self.profile!r}"
        rows = [(one.name, one.verdict, one.detail) for one in self.findings]
        return "\n".join(
            [_printable(title), "", *_table(("looked at", "verdict", "seen"), rows), "", _bill(self.usage)]
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ProviderCheck:
    """What one provider answered to the probe texts.

    Attributes:
        tag: The provider's slug, as `provider.only` takes it.
        name: Its name, as listed.
        quantization: As listed, or None.
        error: Why it has no embeddings, or None.
        dimensions: Width of its embeddings, or None.
        norms: Shortest and longest of its embeddings as served, or None.
        served_by: Who the answer says has served: where that is another, the pin was not kept.
    """

    tag: str
    name: str
    quantization: str | None = None
    error: EmbeddingError | None = None
    dimensions: int | None = None
    norms: tuple[float, float] | None = None
    served_by: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether it answered."""
        return self.error is None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, as JSON has them."""
        error = self.error
        return {
            "tag": self.tag,
            "name": self.name,
            "quantization": self.quantization,
            "ok": self.ok,
            "error": None if error is None else {"class": type(error).__name__, "message": error.message},
            "dimensions": self.dimensions,
            "norms": None if self.norms is None else list(self.norms),
            "served_by": list(self.served_by),
        }


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ConsistencyCheck:
    """How well the providers of a model agree on the same texts.

    Attributes:
        model: The model's id, as given.
        gateway: The gateway's name.
        texts: How many texts were compared.
        providers: One for each provider asked, in the gateway's order.
        lowest: float64 of shape (providers, providers): the lowest cosine, over the texts, between what two of them
            answered; NaN where there is none to compare: one failed, or their widths differ.
        mean: Likewise, the mean cosine.
        usage: What the check spent.
    """

    model: str
    gateway: str
    texts: int
    providers: tuple[ProviderCheck, ...]
    lowest: Cosines
    mean: Cosines
    usage: Usage = field(default_factory=Usage)

    @property
    def failed(self) -> tuple[ProviderCheck, ...]:
        """The providers that did not answer."""
        return tuple(one for one in self.providers if not one.ok)

    @property
    def ok(self) -> bool:
        """Whether every provider answered, and they agree."""
        return not self.failed and self.agree()

    @property
    def worst(self) -> float | None:
        """The lowest cosine between any two providers, or None where no two could be compared."""
        pair = self._worst_pair()
        return None if pair is None else float(self.lowest[pair])

    def agree(self, threshold: float = AGREEMENT) -> bool:
        """Return whether all that answered gave embeddings of one width and of at least this cosine.

        One provider alone agrees with itself; where none answered there is no agreement. A provider that failed is in
        `failed` and says nothing here.
        """
        widths = {one.dimensions for one in self.providers if one.ok}
        return len(widths) == 1 and (self.worst is None or self.worst >= threshold)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, as JSON has them: None for what could not be compared."""
        return {
            "model": self.model,
            "gateway": self.gateway,
            "texts": self.texts,
            "ok": self.ok,
            "agree": self.agree(),
            "worst": self.worst,
            "providers": [one.to_dict() for one in self.providers],
            "lowest": _plain(self.lowest),
            "mean": _plain(self.mean),
            "usage": self.usage.to_dict(),
        }

    def __str__(self) -> str:
        """Return tables for a terminal: the providers, how they agree, and why some failed."""
        many = f"{len(self.providers)} provider{'s' if len(self.providers) != 1 else ''}, {self.texts} texts"
        head = ("", "provider", "quantization", "dimensions", "norms", "served by")
        rows = [_row(number, one) for number, one in enumerate(self.providers, 1)]
        lines = [_printable(f"{self.model} at {self.gateway}: {many}"), "", *_table(head, rows)]
        if self.worst is not None:
            lines += ["", "Lowest cosine of one text between two providers:", *self._pairs()]
        for one in self.failed:
            why = _printable(f"{one.tag}: {type(one.error).__name__}: {one.error}")
            lines += ["", *textwrap.wrap(why, _WIDTH, subsequent_indent="  ")]
        return "\n".join([*lines, "", self._verdict(), _bill(self.usage)])

    def _pairs(self) -> list[str]:
        """Return the lowest cosines; where there are many providers, some columns below the others."""
        lines, count = list[str](), len(self.providers)
        for start in range(0, count, _COLUMNS):
            columns = range(start, min(start + _COLUMNS, count))
            rows = [(str(at + 1), *(_cosine(self.lowest[at, to]) for to in columns)) for at in range(count)]
            lines += [""] * (start > 0) + _table(("", *(str(to + 1) for to in columns)), rows)
        return lines

    def _verdict(self) -> str:
        pair = self._worst_pair()
        if len({one.dimensions for one in self.providers if one.ok}) > 1:
            return "They do not agree: their widths differ."
        if pair is None:
            return "Nothing to compare: fewer than two providers answered."
        what = "They agree" if self.agree() else "They do not agree"
        first, second = (self.providers[at].tag for at in pair)
        return _printable(f"{what}: the lowest cosine is {self.lowest[pair]:.6f} ({first}, {second}).")

    def _worst_pair(self) -> tuple[int, int] | None:
        pairs = [(a, b) for a in range(len(self.lowest)) for b in range(a) if not math.isnan(self.lowest[a, b])]
        return min(((b, a) for a, b in pairs), key=lambda pair: float(self.lowest[pair]), default=None)


def _row(number: int, one: ProviderCheck) -> tuple[str, ...]:
    norms = "" if one.norms is None else f"{one.norms[0]:.4f} to {one.norms[1]:.4f}"
    served = ", ".join(one.served_by) if one.ok else "failed"
    return (str(number), one.tag, one.quantization or "", str(one.dimensions or ""), norms, served)


def _plain(cosines: Cosines) -> list[list[float | None]]:
    return [[None if math.isnan(one) else float(one) for one in row] for row in cosines]


def _cosine(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.6f}"


def _bill(usage: Usage) -> str:
    return f"{usage.requests} requests, {usage.total_tokens} tokens, {usage.cost:.6f} USD"


def _printable(text: str) -> str:
    """Return text that moves no cursor and rings no bell: names and messages come from outside."""
    return "".join(char if char.isprintable() else "?" for char in text)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return lines in columns; the last column is wrapped where a line would grow too long."""
    clean = [[_printable(cell) for cell in row] for row in (head, *rows)]
    widths = [max(map(len, column)) for column in zip(*clean, strict=True)]
    left = sum(widths[:-1]) + 2 * len(widths[:-1])
    widths[-1] = min(widths[-1], max(_WIDTH - left, 30))
    clean.insert(1, ["-" * width for width in widths])
    lines = []
    for *cells, last in clean:
        start = "".join(cell.ljust(width + 2) for cell, width in zip(cells, widths, strict=False))
        first, *more = textwrap.wrap(last, widths[-1]) or [""]
        lines += [(start + first).rstrip(), *(" " * left + one for one in more)]
    return lines
