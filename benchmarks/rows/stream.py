"""Row 4: a stream in bounded memory."""

from __future__ import annotations

import catalogue as c
from harness import Bench, Failed
from results_of import Row

MOST_MB = 250
UNEVEN_MB = 25


def endless(bench: Bench) -> Row:
    """A million generated texts through embed_stream."""
    count = 100_000 if bench.quick else 1_000_000
    row = Row(4, f"embed_stream over {count:,} generated texts x 1536")
    row.columns = {
        "vectors": "vectors",
        "wall": "s wall",
        "cpu": "s CPU",
        "most": "MB above start",
        "drift": "MB drift",
    }
    server = bench.server()
    most = drift = None
    why = "embed_stream is not in this release"
    with bench.clients([c.CORE], server) as clients:
        for client in clients:
            server.control(latency=0.02)
            try:
                seen = client.do("stream", count=count)
            except Failed as failed:
                seen = {"error": str(failed)}
            if seen.get("error"):
                why = seen["error"]
                continue
            sizes = [mb for _, mb in seen["sizes"]]
            half = len(sizes) // 2
            most, drift = max(sizes), max(sizes[half:]) - max(sizes[:half])
            row.measured[client.subject.label] = seen | {"most": most, "drift": drift}
    got = row.get(c.CORE.label, "vectors")
    row.claim("vectors that came back, to those asked for", got and got / count, 1.0, at_least=True, why=why)
    row.claim("memory above start", most, MOST_MB, unit="MB", why=why)
    row.claim("second half above the first: flat", drift, UNEVEN_MB, unit="MB", why=why)
    return row
