"""What the live checks found: values and tables. Cheap to import: numpy loads with a check."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from itertools import combinations
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
NORMS = 1.05
"""Embeddings of one text may differ in length by this factor: as much as vectors at `AGREEMENT` are apart."""
_ROUNDING = 1e-9
_WIDTH = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that `check_model` looked at.

    Attributes:
        name: What was looked at.
        verdict: `"ok"`, `"differs from the profile"`, `"unknown"` (the profile does not say, or it could not be told),
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
        return all(finding.ok for finding in self.findings)

    def __getitem__(self, name: str) -> Finding:
        """Return the finding of this name, or raise KeyError."""
        return {finding.name: finding for finding in self.findings}[name]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, as JSON has them."""
        return {**asdict(self), "findings": [asdict(finding) for finding in self.findings], "ok": self.ok}

    def __str__(self) -> str:
        """Return a table for a terminal."""
        title = f"{self.model} at {self.gateway}, held against the profile {self.profile!r}"
        rows = [(finding.name, finding.verdict, finding.detail) for finding in self.findings]
        table = _table(("looked at", "verdict", "seen"), *rows)
        return "\n".join([_printable(title), "", *table, "", _bill(self.usage)])


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
        served_by: Who the answers say has served.
        pin_kept: Whether that was this provider. None: the answers give no name, or one that others have, too.
    """

    tag: str
    name: str
    quantization: str | None = None
    error: EmbeddingError | None = None
    dimensions: int | None = None
    norms: tuple[float, float] | None = None
    served_by: tuple[str, ...] = ()
    pin_kept: bool | None = None

    @property
    def ok(self) -> bool:
        """Whether it answered, and no other in its place."""
        return self.error is None and self.pin_kept is not False

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, as JSON has them."""
        error = self.error
        shown = None if error is None else {"class": type(error).__name__, "message": error.message}
        norms = None if self.norms is None else list(self.norms)
        plain = {name: getattr(self, name) for name in ("tag", "name", "quantization", "dimensions", "pin_kept")}
        return {**plain, "ok": self.ok, "error": shown, "norms": norms, "served_by": list(self.served_by)}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ConsistencyCheck:
    """How well the providers of a model agree on the same texts.

    Attributes:
        model: The model's id, as given.
        gateway: The gateway's name.
        texts: How many texts were compared.
        providers: One for each provider asked, in the gateway's order.
        lowest: float64 of shape (providers, providers): the lowest cosine, over the texts, between what two of them
            answered, in the diagonal between the two answers of one, which is its noise. NaN where there is nothing to
            compare: one failed, another answered in its place, or their widths differ.
        mean: Likewise, the mean cosine.
        norm_ratio: How many times as long one's embedding of a text is as another's, at most; None: no two to compare.
        usage: What the check spent.
    """

    model: str
    gateway: str
    texts: int
    providers: tuple[ProviderCheck, ...]
    lowest: Cosines
    mean: Cosines
    norm_ratio: float | None = None
    usage: Usage = field(default_factory=Usage)

    @property
    def failed(self) -> tuple[ProviderCheck, ...]:
        """The providers that did not answer."""
        return tuple(provider for provider in self.providers if provider.error is not None)

    @property
    def verdict(self) -> str:
        """`"agree"`, `"disagree"` or `"unknown"`: of all that answered, in direction and in length."""
        decided = self._decided(AGREEMENT)
        if decided is False or (self.norm_ratio or 1.0) > NORMS:
            return "disagree"
        return "agree" if decided else UNKNOWN

    @property
    def ok(self) -> bool:
        """Whether every provider answered, each for itself, and they agree in direction and in length."""
        return self.verdict == "agree" and not self.failed

    @property
    def worst(self) -> float | None:
        """The lowest cosine between any two providers, or None where no two could be compared."""
        pair = self._worst_pair()
        return None if pair is None else float(self.lowest[pair])

    def agree(self, threshold: float = AGREEMENT) -> bool:
        """Return whether all that answered surely gave embeddings of one width and of at least this cosine.

        One provider alone agrees with itself; where none answered there is no agreement. A provider that failed is in
        `failed` and says nothing here. False also means that it is not known: see `verdict`.
        """
        return self._decided(threshold) is True

    def _decided(self, threshold: float) -> bool | None:
        answered = [index for index, provider in enumerate(self.providers) if provider.error is None]
        compared = [index for index in answered if self.providers[index].ok]
        if len({self.providers[index].dimensions for index in compared}) > 1:
            return False
        pairs = {self._pair_agrees(first, second, threshold) for first, second in combinations(compared, 2)}
        if False in pairs:
            return False
        return True if answered and answered == compared and None not in pairs else None

    def _pair_agrees(self, first: int, second: int, threshold: float) -> bool | None:
        """Return None where the noise may be to blame, or one provider may have served both."""
        cosine = self.lowest[first, second]
        if cosine >= threshold:
            return True if self.providers[first].pin_kept and self.providers[second].pin_kept else None
        # 1 - cosine is half a distance squared, and noise adds its own distance at most (the triangle inequality).
        apart, allowed, *noise = (
            math.sqrt(max(1.0 - float(found), _ROUNDING))
            for found in (cosine, threshold, self.lowest[first, first], self.lowest[second, second])
        )
        return False if all(apart - own > allowed for own in noise) else None

    def _worst_pair(self) -> tuple[int, int] | None:
        pairs = combinations(range(len(self.providers)), 2)
        known = [pair for pair in pairs if not math.isnan(self.lowest[pair])]
        return min(known, key=lambda pair: float(self.lowest[pair]), default=None)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, as JSON has them: None for what could not be compared."""
        names = ("model", "gateway", "texts", "ok", "verdict", "worst", "norm_ratio")
        return {
            **{name: getattr(self, name) for name in names},
            "agree": self.agree(),
            "providers": [provider.to_dict() for provider in self.providers],
            "lowest": _plain(self.lowest),
            "mean": _plain(self.mean),
            "usage": self.usage.to_dict(),
        }

    def __str__(self) -> str:
        """Return a table for a terminal, the verdict, and why some failed."""
        many = f"{len(self.providers)} provider{'s' if len(self.providers) != 1 else ''}, {self.texts} texts"
        head = ("provider", "quantization", "dimensions", "norms", "to itself", "to others", "served by")
        lines = [_printable(f"{self.model} at {self.gateway}: {many}"), ""]
        lines += _table(head, *map(self._row, range(len(self.providers))))
        for provider in self.failed:
            lines += ["", *_wrapped(f"{provider.tag}: {type(provider.error).__name__}: {provider.error}")]
        return "\n".join([*lines, "", *_wrapped(self._sentence()), _bill(self.usage)])

    def _row(self, index: int) -> tuple[str, ...]:
        provider, cosines = self.providers[index], [float(cosine) for cosine in self.lowest[index]]
        own = cosines.pop(index)
        norms = "" if provider.norms is None else f"{provider.norms[0]:.4f} to {provider.norms[1]:.4f}"
        others = min((cosine for cosine in cosines if not math.isnan(cosine)), default=math.nan)
        shown = ["" if math.isnan(cosine) else f"{cosine:.6f}" for cosine in (own, others)]
        served = "failed" if provider.error is not None else ", ".join(provider.served_by)
        return (provider.tag, provider.quantization or "", str(provider.dimensions or ""), norms, *shown, served)

    def _sentence(self) -> str:
        pair, verdict = self._worst_pair(), self.verdict
        names = "" if pair is None else f" ({self.providers[pair[0]].tag}, {self.providers[pair[1]].tag})"
        lowest = "" if pair is None else f"the lowest cosine is {self.lowest[pair]:.6f}{names}."
        instead = [provider.tag for provider in self.providers if provider.pin_kept is False]
        if verdict == "disagree":
            widths = {provider.dimensions for provider in self.providers if provider.ok}
            if self._decided(AGREEMENT) is False:
                return f"They do not agree: {lowest if len(widths) == 1 else 'their widths differ.'}"
            return f"They do not agree: one's embeddings are {self.norm_ratio:.2f} times as long as another's; {lowest}"
        if verdict == UNKNOWN and instead:
            return f"Unknown: another provider answered in place of {', '.join(instead)}."
        if pair is None:
            return "Nothing to compare: fewer than two providers answered."
        if verdict == UNKNOWN and self.lowest[pair] < AGREEMENT:
            return f"Unknown: equal requests to one provider differ too much to tell; {lowest}"
        if verdict == UNKNOWN:
            return f"Unknown: no answer says which of them served, so it may be one for all; {lowest}"
        return f"They agree: {lowest}"


def _plain(cosines: Cosines) -> list[list[float | None]]:
    return [[None if math.isnan(cosine) else float(cosine) for cosine in row] for row in cosines]


def _bill(usage: Usage) -> str:
    return f"{usage.requests} requests, {usage.total_tokens} tokens, {usage.cost:.6f} USD"


def _printable(text: str) -> str:
    """Return text that moves no cursor and rings no bell: names and messages come from outside."""
    return "".join(char if char.isprintable() else "?" for char in text)


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(_printable(text), _WIDTH, subsequent_indent="  ")


def _table(*rows: Sequence[str]) -> list[str]:
    """Return lines in columns; the last column is wrapped where a line would grow too long."""
    clean = [[_printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) + 2 for column in zip(*clean, strict=True)][:-1]
    lines = list[str]()
    for *cells, last in clean:
        start = "".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        room = max(_WIDTH, len(start) + 20)
        lines += textwrap.wrap(last, room, initial_indent=start, subsequent_indent=" " * len(start)) or [start.rstrip()]
    return lines
