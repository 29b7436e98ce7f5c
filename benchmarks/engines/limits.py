"""Print how near workers that share a limiter in Redis come to the ideal: `python benchmarks/engines/limits.py`.

A cap of 16 requests at once, then 20 requests a second, kept by 1, 2, 4 and 8 processes. The time is from the gateway's own
log: from the first request to the last answer.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.engines.on_redis.server import Server
from tests.engines.on_redis.workers import workers

from openrouter_embeddings_gateway import LocalGateway

CAP, LATENCY, CAPPED = 16, 0.3, 800
RATE, PACED = 20.0, 330
THREADS = 16


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2, 4, 8])
    parser.add_argument("--only", choices=["cap", "rate"])
    given = parser.parse_args()
    server = Server(Path(tempfile.mkdtemp()))
    server.start()
    rows = {
        "cap": (CAPPED, CAPPED / CAP * LATENCY, {"cap": CAP}, {"concurrency": CAP}),
        "rate": (PACED, (PACED - RATE) / RATE + LATENCY, {"rate": RATE}, {"per_second": RATE}),
    }
    try:
        for name in [given.only] if given.only else rows:
            requests, ideal, settings, limits = rows[name]
            print(f"{name}: {requests} requests of {LATENCY} s, {settings}; ideal {ideal:.1f} s", flush=True)
            for count in given.workers:
                with LocalGateway.start(latency=LATENCY, **settings) as gateway:
                    measure(gateway, server, count, requests // count, limits, ideal)
    finally:
        server.stop()


def measure(
    gateway: LocalGateway, server: Server, count: int, requests: int, limits: dict[str, float], ideal: float
) -> None:
    server.client().flushall()
    task = {"url": server.url, "gateway": gateway.base_url, "requests": requests, "threads": THREADS}
    with workers(count, **task, limits={"name": "bench", **limits}) as running:
        seen = running.results()
    sent = gateway.embedding_requests()
    seconds = max(request.ended for request in sent) - min(request.started for request in sent)
    refused = sum(result["refused"] for result in seen)
    asked, cpu = (sum(result[what] for result in seen) for what in ("asked", "cpu"))
    print(
        f"  {count} workers: {seconds:5.1f} s = {seconds / ideal:.2f} of the ideal, {refused} refused of {len(sent)},"
        f" most in flight {gateway.max_in_flight()}, {asked / len(sent):.1f} questions a request,"
        f" {cpu:.1f} s CPU in all, the slowest {max(result['seconds'] for result in seen):.1f} s,"
        f" the fastest {min(result['seconds'] for result in seen):.1f} s",
        flush=True,
    )


if __name__ == "__main__":
    main()
