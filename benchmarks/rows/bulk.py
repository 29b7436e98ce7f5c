"""Rows 2, 3 and 5: many texts."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import Any

import catalogue as c
from catalogue import Subject
from harness import Bench, Server, medians
from results_of import Row

LATENCY = 0.1
WIDTH = 1536
FULL = 100_000
_COLUMNS = {
    "wall": "s wall", "cpu": "s CPU", "system": "of it system", "peak_mb": "MB peak", "requests": "requests", "most_in_flight": "in flight",
    "scaled_from": "measured with",
}  # fmt: skip


def fresh_rounds(
    bench: Bench,
    subjects: list[tuple[Subject, int]],
    turns: int,
    settings: dict[str, float],
    *,
    server: Server,
    others: Mapping[str, Server] | None = None,
) -> dict[str, Any]:
    """Let subjects take turns, each turn in a new process, which has all its memory and has learnt nothing.

    Return medians by label. `others` names, by label, whom another server serves.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    for _ in range(turns):
        for subject, count in subjects:
            with bench.clients([subject], (others or {}).get(subject.label, server)) as clients:
                for client in clients:
                    client.do("load", count=count)
                seen = bench.rounds(clients, 1, "documents", settings)
            for label, answer in seen.items():
                found.setdefault(label, []).append(answer)
    return {label: medians(answers) for label, answers in found.items()}


def many_texts(bench: Bench) -> Row:
    """100,000 short texts at 100 ms."""
    row = Row(2, f"{FULL:,} short texts x {WIDTH}, 100 ms a request", dict(_COLUMNS))
    listed = 20_000 if bench.quick else FULL
    arrays = [(one, FULL) for one in (c.IDEAL, c.CORE, c.CORE_ASYNC)]
    lists = [(c.CORE_LIST, FULL), (c.CORE_ASYNC_LIST, FULL), (c.LANGCHAIN, listed)]
    slow = [(c.OPENAI, 10_000), (c.OPENROUTER, 10_000), (c.LLAMA_INDEX, 1000), (c.HAYSTACK, 1000), (c.LITELLM, 1000)]
    server, settings = bench.server(WIDTH), {"latency": LATENCY}
    row.measured = fresh_rounds(bench, arrays, 1 if bench.quick else 5, settings, server=server)
    row.measured |= fresh_rounds(bench, lists, 1 if bench.quick else 3, settings, server=server)
    row.measured |= fresh_rounds(bench, slow, 1 if bench.quick else 2, settings, server=server)
    for subject, count in arrays + lists + slow:
        if (seen := row.measured.get(subject.label)) is not None:
            seen["complete"] = seen["vectors"] == count
            seen["scaled_from"] = f"{count:,}"
            for name in ("wall", "cpu", "system", "requests"):
                seen[name] *= FULL / count
            seen["cpu_each"] = [cpu * FULL / count for cpu in seen["cpu_each"]]
            if count != FULL:
                seen["peak_mb"] = None  # memory is not scaled
    waves = ceil(ceil(FULL / 256) / 16) * LATENCY
    floor = max(waves, row.get(c.IDEAL.label) or 0.0)
    for one in (c.CORE, c.CORE_ASYNC):
        wall = row.get(one.label, "wall")
        row.claim(f"{one.label}: wall to the floor of {floor:.2f} s", wall and wall / floor, 1.5)
        row.ratio(one.label, c.LANGCHAIN.label, 8.0, key="wall", faster=True)
        peak = row.get(one.label, "peak_mb")
        row.claim(
            f"{one.label}: whole process, peak to the vectors' bytes", peak and peak * 1e6 / FULL / WIDTH / 4, 1.3
        )
        grown = row.get(one.label, "grown_mb")
        row.claim(
            f"{one.label}: added by the call, to the vectors' bytes", grown and grown * 1e6 / FULL / WIDTH / 4, 1.3
        )
    for one in (c.CORE_LIST, c.CORE_ASYNC_LIST):
        row.ratio(one.label, c.LANGCHAIN.label, 2.5, key="wall", faster=True)
        row.ratio(one.label, c.LLAMA_INDEX.label, 80.0, key="wall", faster=True)
        row.ratio(one.label, c.HAYSTACK.label, 80.0, key="wall", faster=True)
    row.notes.append(f"Floor: {waves:.1f} s of waves (256 a request, 16 in flight) or the ideal's CPU, the larger.")
    row.notes.append("Wall, CPU and requests of rows measured with fewer texts are scaled up in proportion.")
    return row


def adapters(bench: Bench) -> Row:
    """20,000 texts through the adapters."""
    count = 5000 if bench.quick else 20_000
    row = Row(3, f"{count:,} texts through the adapters, 100 ms a request", dict(_COLUMNS))
    del row.columns["scaled_from"]
    subjects = [(one, count) for one in (c.CORE, c.CORE_LIST, *c.ADAPTERS, c.LLAMA_INDEX_ALONE)]
    turns = 3 if bench.quick else 5
    row.measured = fresh_rounds(bench, subjects, turns, {"latency": LATENCY}, server=bench.server(WIDTH))
    for key in ("cpu", "wall"):
        for one in (c.OUR_LANGCHAIN, c.OUR_HAYSTACK):
            row.ratio(one.label, c.CORE_LIST.label, 1.3, key=key)
        ours, alone, lists = (row.get(one.label, key) for one in (c.OUR_LLAMA_INDEX, c.LLAMA_INDEX_ALONE, c.CORE_LIST))
        beyond = (ours - alone) / lists if ours and alone and lists else None
        what = f"{c.OUR_LLAMA_INDEX.label} to {c.CORE_LIST.label}, without {c.LLAMA_INDEX_ALONE.label} ({key})"
        row.claim(what, beyond, 1.3)
    row.notes.append("LlamaIndex's own part: its events, which go through every number, around embeddings made before.")
    row.notes.append("The lists of the core are its arrays, boxed once by tolist(): the floor of any list.")
    return row


def growth(bench: Bench) -> Row:
    """CPU per vector at three sizes."""
    row = Row(5, "Growth: CPU per vector at 1k, 10k and 100k", {"us": "µs CPU a vector", "cpu": "s CPU"})
    sizes = (1000, 10_000, FULL)
    for subject in (c.CORE, c.CORE_ASYNC):
        cpu = _cpu_by_size(bench, row, subject, sizes)
        spread = max(cpu.values()) / min(cpu.values()) if len(cpu) == len(sizes) else None
        row.claim(f"{subject.label}: largest to smallest", spread, 1.3)
    _cpu_by_size(bench, row, c.CORE_LIST, sizes[:2])
    row.notes.append("1,000 texts are read by 3 threads, 10,000 by 16: they cost a change of threads for each read.")
    row.notes.append("Lists grow with page faults and garbage collection whoever makes them: shown, not claimed.")
    return row


def _cpu_by_size(bench: Bench, row: Row, subject: Subject, sizes: tuple[int, ...]) -> dict[int, float]:
    """Measure one client at these sizes and return its CPU for each vector, in microseconds."""
    server, found = bench.server(), {}
    for count in sizes:
        with bench.clients([subject], server) as clients:
            for client in clients:
                client.do("load", count=count)
                client.do("documents", repeat=1 if count == FULL else 2)
            turns = 1 if bench.quick and count == FULL else 3
            repeat = max(1, 20_000 // count)
            seen = bench.rounds(clients, turns, "documents", {"latency": 0.02}, repeat=repeat)
        for answer in seen.values():
            found[count] = answer["cpu"] / count * 1e6
            row.measured[f"{subject.label}, {count:,}"] = answer | {"us": found[count]}
    return found
