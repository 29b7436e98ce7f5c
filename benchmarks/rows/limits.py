"""Rows 6 and 10: a server that refuses."""

from __future__ import annotations

import time
from bisect import bisect_left
from itertools import pairwise
from statistics import median

import catalogue as c
from catalogue import Subject
from harness import Bench, Client
from results_of import Row

from .bulk import fresh_rounds

DIMENSIONS = 256  # it is about waiting: decoding should not hide it
BATCH = 64
CAP = 20
LATENCY = 0.1
PHASE = 30.0
CAPS = (CAP, 5, CAP)
SMALL_BATCH = 8
WINDOW = 2.0
NEAR = 0.8
SOONEST = 10.0
_COLUMNS = {
    "wall": "s wall", "vectors": "vectors", "requests": "requests", "refused": "429s", "refused_share": "429s a batch",
    "error": "error",
}  # fmt: skip


def refusals(bench: Bench) -> Row:
    """At most 20 at once, then two a second."""
    row = Row(6, "Under limits: 20 at once, and 2 requests a second (429 with Retry-After: 1)", dict(_COLUMNS))
    ours = {"batch_size": BATCH, "max_concurrency": 64}
    wide = {"batch": BATCH, "dimensions": DIMENSIONS}
    capped = [
        (c.IDEAL.but("cap 20: ideal that knows it", workers=CAP, **wide), 800),
        (c.CORE.but("cap 20: ours", **ours), 800),
        (c.CORE_ASYNC.but("cap 20: ours async", **ours), 800),
        (c.OPENAI_ASYNC.but("cap 20: openai SDK, async, all at once", batch=BATCH), 800),
        (c.LLAMA_INDEX_ASYNC.but("cap 20: LlamaIndex async, default", embed_batch_size=BATCH), 800),
    ]
    _under(bench, row, capped, {"latency": LATENCY, "cap": CAP}, 1 if bench.quick else 3)
    batches = 20 if bench.quick else 40
    slow = [
        (c.IDEAL.but("2/s: ideal that knows it", rate=2.0, burst=2, **wide), batches),
        (c.CORE.but("2/s: ours", **ours), batches),
        (c.CORE_ASYNC.but("2/s: ours async", **ours), batches),
        (c.OPENAI_ASYNC.but("2/s: openai SDK, async, all at once", batch=BATCH), batches),
        (c.LLAMA_INDEX_ASYNC.but("2/s: LlamaIndex async, default", embed_batch_size=BATCH), batches),
    ]
    _under(bench, row, slow, {"latency": LATENCY, "rate": 2, "burst": 2}, 1)
    for kind in ("cap 20", "2/s"):
        for who in (f"{kind}: ours", f"{kind}: ours async"):
            row.ratio(who, f"{kind}: ideal that knows it", 1.5, key="wall")
            row.claim(f"{who}: vectors lost", row.get(who, "lost"), 0, unit="")
            for peer in (f"{kind}: openai SDK, async, all at once", f"{kind}: LlamaIndex async, default"):
                row.ratio(who, peer, 0.1, key="refused_share")
    row.notes.append(
        f"{DIMENSIONS} dimensions, {BATCH} texts a request, 800 batches under the cap, {batches} under 2/s."
    )
    row.notes.append("Each client is a new process that has not met the limit before.")
    row.notes.append("A peer that gave up early stopped collecting 429s; its error is in the table.")
    return row


def _under(bench: Bench, row: Row, subjects: list[tuple[Subject, int]], settings: dict[str, float], turns: int) -> None:
    texts = [(subject, batches * BATCH) for subject, batches in subjects]
    seen = fresh_rounds(bench, texts, turns, settings, server=bench.server(DIMENSIONS))
    for subject, count in texts:
        if (answer := seen.get(subject.label)) is not None:
            answer["lost"] = count - answer["vectors"]
            answer["refused_share"] = answer["refused"] * BATCH / count
    row.measured |= seen


def changing_cap(bench: Bench) -> Row:
    """At most 20 at once, then 5, then 20 again, in one run."""
    row = Row(10, "A cap that changes in one run: 20 at once, then 5, then 20 again (429 with Retry-After: 1)")
    row.columns = {
        "seconds": "s until 80 %", "longest": "longest", "share": "share of the ideal", "later": "share of it later",
        "refused": "429s", "rounds": "runs",
    }  # fmt: skip
    options = {"batch_size": SMALL_BATCH, "max_concurrency": 64}
    server = bench.server(DIMENSIONS)
    for subject in (c.CORE.but("ours", **options), c.CORE_ASYNC.but("ours async", **options)):
        runs: dict[str, list[dict[str, float]]] = {}
        for _ in range(1 if bench.quick else 3):
            with bench.clients([subject], server) as clients:
                for client in clients:
                    for change, seen in _through_changes(client).items():
                        runs.setdefault(change, []).append(seen)
        for change, found in runs.items():
            middle = {name: median(seen[name] for seen in found) for name in found[0]}
            longest = max(seen["seconds"] for seen in found)
            row.measured[f"{subject.label}, {change}"] = middle | {"longest": longest, "rounds": len(found)}
        for before, after in pairwise(CAPS):
            label = f"{subject.label}, {before} to {after}"
            row.claim(f"{label}: time to 80 % of the new ideal", row.get(label, "seconds"), SOONEST, unit="s")
    row.notes.append(
        f"The ideal is the cap's requests every {LATENCY * 1e3:.0f} ms. The time ends where the next {WINDOW:.0f} s bring"
        f" {NEAR:.0%} of it; {PHASE:.0f} s stand for never. Shares are of all the {PHASE:.0f} s of a cap, and of their"
        " second half."
    )
    return row


def _through_changes(client: Client) -> dict[str, dict[str, float]]:
    """Let a client work through the caps, and return for each how it went; the work itself is cut off."""
    server = client.server
    requests = sum(CAPS) / LATENCY * PHASE
    client.do("load", count=round(requests * 1.1) * SMALL_BATCH)
    server.control(latency=LATENCY, cap=CAPS[0])
    client.begin("documents")
    began = []
    for cap in CAPS:
        began.append(server.change(cap=cap))
        time.sleep(PHASE)
    times = server.times()
    changes = (f"new to {CAPS[0]}", *(f"{before} to {after}" for before, after in pairwise(CAPS)))
    return {
        change: _phase(times, start, ideal=cap / LATENCY)
        for change, start, cap in zip(changes, began, CAPS, strict=True)
    }


def _phase(times: dict[str, list[float]], start: float, *, ideal: float) -> dict[str, float]:
    """Return how one cap went; what was sent before it still lands for as long as a request takes."""
    landed = [moment - start for moment in times["landed"] if start + LATENCY <= moment < start + PHASE]
    half = PHASE / 2
    return {
        "seconds": _seconds_until(landed, NEAR * ideal * WINDOW),
        "share": len(landed) / (ideal * PHASE),
        "later": sum(moment >= half for moment in landed) / (ideal * half),
        "refused": float(sum(start <= moment < start + PHASE for moment in times["refused"])),
    }


def _seconds_until(landed: list[float], enough: float) -> float:
    """Return the first moment from which on so many land within the window."""
    for moment in (LATENCY, *landed):
        if bisect_left(landed, moment + WINDOW) - bisect_left(landed, moment) >= enough:
            return moment
    return PHASE
