"""What a folder of results belongs to: one job, written into it at the first run and compared with at each further one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from openrouter_embeddings import ConfigurationError

from .folder import Folder
from .parts import Part, Source, parts_of, rows_in
from .spec import JobSpec

_FILE = "_job.json"
_OF_THE_NUMBERS = (
    "dimensions", "profile", "document_input_type", "document_prefix", "normalize", "on_empty", "on_too_long",
    "dimensions_fallback", "extra_body",
)  # fmt: skip
"""Options that change what stands in the rows. Limits, budgets, keys and caches may differ from run to run."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a folder belongs to.

    Attributes:
        facts: What changes the numbers, the columns or the parts.
        sizes: Bytes of each source.
        rows: Rows of each source.
    """

    facts: Mapping[str, Any]
    sizes: Mapping[str, int]
    rows: Mapping[str, int]

    @property
    def part_rows(self) -> int:
        """Rows of a part."""
        return int(self.facts["part_rows"])

    def parts(self, sources: Mapping[str, Source] | None = None) -> Iterator[Part]:
        """Yield the parts: of these sources, or of all that were ever named, for their names alone."""
        found = {name: Source(name, size) for name, size in self.sizes.items()} if sources is None else sources
        return parts_of(found, self.rows, self.part_rows)


def read_plan(folder: Folder) -> Plan | None:
    """Return what a folder belongs to, or None."""
    if not folder.has(_FILE):
        return None
    found = json.loads(folder.read(_FILE))
    return Plan(found["facts"], found["sizes"], found["rows"])


def settled_plan(folder: Folder, job: JobSpec, system: Any, sources: Mapping[str, Source], part_rows: int) -> Plan:
    """Return the plan of a folder, with these sources in it, and write it down.

    Args:
        folder: Where the results go.
        job: What to embed.
        system: Where the sources are.
        sources: What to read.
        part_rows: Rows of a part.

    Raises:
        ConfigurationError: The folder belongs to another job, or a source has changed since it was planned.
    """
    facts = json.loads(json.dumps(_facts(job, part_rows)))
    before = read_plan(folder) or Plan(facts, {}, {})
    _refuse_another(facts, before.facts)
    changed = [name for name, source in sources.items() if before.sizes.get(name, source.size) != source.size]
    if changed:
        raise ConfigurationError(
            f"{changed[0]!r} has changed since this folder was begun: its parts would not fit together. Choose another target."
        )
    new = [name for name in sources if name not in before.sizes]
    plan = Plan(
        facts,
        {**before.sizes, **{name: sources[name].size for name in new}},
        {**before.rows, **{name: rows_in(system, sources[name].path) for name in new}},
    )
    if new:
        folder.write_json(_FILE, {"facts": plan.facts, "sizes": plan.sizes, "rows": plan.rows})
    return plan


def _facts(job: JobSpec, part_rows: int) -> dict[str, Any]:
    quantizations = (job.options.get("provider") or {}).get("quantizations")
    facts = {
        "model": job.model,
        "address": job.address,
        "column": job.column,
        "out": job.out,
        "part_rows": part_rows,
    }
    facts |= {name: _value(job.options[name]) for name in _OF_THE_NUMBERS if name in job.options}
    return facts | ({"quantizations": list(quantizations)} if quantizations else {})


def _value(value: Any) -> Any:
    if isinstance(value, str | int | float | None):
        return value
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def _refuse_another(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> None:
    differ = [name for name in sorted({*ours, *theirs}) if ours.get(name) != theirs.get(name)]
    if differ:
        words = ", ".join(f"{name} ({theirs.get(name)!r} there, {ours.get(name)!r} here)" for name in differ)
        raise ConfigurationError(f"The target belongs to another job: {words}. Choose another target.")
