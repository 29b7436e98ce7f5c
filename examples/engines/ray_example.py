"""A job on Ray Data, on this machine: two actors, one limit, one bad row.

Run `python examples/engines/ray_example.py`, with `openrouter-embeddings[ray]`. With OPENROUTER_API_KEY set it embeds through
OpenRouter; without, through the local gateway, which it starts by itself.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import Any

import ray

from openrouter_embeddings_engines import EmbedJob, Limit

TEXTS = ["Copy a whole directory tree.", "", "Turn a string into a date.", "Choose a random element of a list."]


def main() -> None:
    """Embed, and show what came out."""
    with ExitStack() as stack:
        where: dict[str, Any] = {}
        if not os.environ.get("OPENROUTER_API_KEY"):
            from openrouter_embeddings_gateway import LocalGateway

            where = {"base_url": stack.enter_context(LocalGateway()).base_url}
            os.environ["OPENROUTER_API_KEY"] = "local"  # Ray's workers look for it in their environment

        ray.init(num_cpus=2, include_dashboard=False, object_store_memory=200_000_000, log_to_driver=False)
        stack.callback(ray.shutdown)
        job = EmbedJob("qwen/qwen3-embedding-8b", dimensions=1024, limit=Limit(concurrency=16), max_cost=1, **where)
        rows = ray.data.from_items([{"id": number, "text": text} for number, text in enumerate(TEXTS)])
        for row in job.ray(rows.repartition(2), workers=2).take_all():
            embedding = row["embedding"]
            print(row["id"], row["embedding_error"] or f"{len(embedding)} numbers")


if __name__ == "__main__":
    main()
