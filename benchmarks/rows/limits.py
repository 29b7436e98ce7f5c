"""Row 6: a server that refuses."""

from __future__ import annotations

import catalogue as c
from catalogue import Subject
from harness import Bench
from results_of import Row

from .bulk import fresh_rounds

DIMENSIONS = 256  # it is about waiting: decoding should not hide it
BATCH = 64
CAP = 20
LATENCY = 0.1
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
    seen = fresh_rounds(bench, texts, turns, settings, width=DIMENSIONS)
    for subject, count in texts:
        if (answer := seen.get(subject.label)) is not None:
            answer["lost"] = count - answer["vectors"]
            answer["refused_share"] = answer["refused"] * BATCH / count
    row.measured |= seen
