"""What several Ray workers make of one limit: time to the ideal, and refusals, with shares and with the limiter actor.

    python benchmarks/engines/ray_limits.py --workers 1 2 4 8

The local gateway refuses what passes the limit. Every request takes half a second. The time is that from the first request
to the last answer: starting actors is Ray's.
"""

from __future__ import annotations

import argparse
import os
from typing import Any

import pyarrow as pa
import ray

from openrouter_embeddings_engines import EmbedJob, Limit
from openrouter_embeddings_gateway import LocalGateway

LATENCY = 0.5
TEXTS_A_REQUEST = 10
BLOCKS = 32
LIMITS: dict[str, tuple[Limit, dict[str, Any], int, float]] = {
    "cap of 16": (Limit(concurrency=16), {"cap": 16}, 480, 480 * LATENCY / 16),
    "20 a second": (Limit(concurrency=64, per_second=20), {"rate": 20.0}, 320, 319 / 20 + LATENCY),
}


def run(named: str, workers: int, limiter: str) -> str:
    """Embed once and return a row of the table."""
    limit, options, requests, ideal = LIMITS[named]
    rows = requests * TEXTS_A_REQUEST // BLOCKS
    with LocalGateway(latency=LATENCY, **options) as gateway:
        job = EmbedJob(
            "openai/text-embedding-3-small",
            base_url=gateway.base_url,
            dimensions=8,
            batch_size=TEXTS_A_REQUEST,
            limit=limit,
        )
        texts = [[f"text {block} {row}" for row in range(rows)] for block in range(BLOCKS)]
        dataset = ray.data.from_arrow([pa.table({"text": block}) for block in texts])
        job.ray(
            dataset, workers=workers, limiter=None if limiter == "shares" else limiter, batch_rows=rows
        ).materialize()
        usage = gateway.usage()
        seen = gateway.embedding_requests()
        seconds = max(request.ended or 0.0 for request in seen) - min(request.started for request in seen)
    return (
        f"{named:12} {limiter:7} {workers:7} {seconds:8.1f} {seconds / ideal:9.2f} {usage['refused']:9}"
        f" {usage['requests']:9} {usage['max_in_flight']:10} {usage['paid_inputs'] - requests * TEXTS_A_REQUEST:6}"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--limiters", nargs="+", default=["shares", "actor"])
    parser.add_argument("--limits", nargs="+", choices=LIMITS, default=list(LIMITS))
    chosen = parser.parse_args()
    os.environ["OPENROUTER_API_KEY"] = "local"
    ray.init(num_cpus=2, include_dashboard=False, object_store_memory=300_000_000, log_to_driver=False)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.wait_for_min_actors_s = 600  # all workers are there before the first request
    print("limit        by      workers  seconds  to ideal  refusals  requests  in flight  twice")
    for named in chosen.limits:
        for workers in chosen.workers:
            for limiter in chosen.limiters:
                print(run(named, workers, limiter), flush=True)
    ray.shutdown()


if __name__ == "__main__":
    main()
