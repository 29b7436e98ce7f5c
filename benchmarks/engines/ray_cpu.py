"""CPU per text and wall time of a Ray actor that runs a job, beside one that runs a hand-written aiohttp and orjson client.

    python benchmarks/engines/ray_cpu.py --texts 50000

Both take Arrow tables and give them back with a column of embeddings. Each runs twice; the first run warms up.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import time
from typing import Any

import aiohttp
import numpy as np
import orjson
import pyarrow as pa
import ray

from openrouter_embeddings_engines import EmbedJob, Limit
from openrouter_embeddings_engines.on_ray import EmbedRows
from openrouter_embeddings_gateway import LocalGateway

MODEL, WIDTH, TEXTS_A_REQUEST, CONCURRENCY = "openai/text-embedding-3-small", 1536, 100, 8


class ByHand:
    """As much as a short script does: no retries, no checks but the index."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._slots = asyncio.Semaphore(CONCURRENCY)
        self._session: aiohttp.ClientSession | None = None

    async def __call__(self, table: pa.Table) -> pa.Table:
        """Return the table with its embeddings."""
        self._session = self._session or aiohttp.ClientSession()
        texts = table.column("text").to_pylist()
        rows = np.empty((len(texts), WIDTH), dtype=np.float32)
        firsts = range(0, len(texts), TEXTS_A_REQUEST)
        await asyncio.gather(*(self._embed(texts[first : first + TEXTS_A_REQUEST], rows[first:]) for first in firsts))
        return table.append_column("embedding", pa.FixedSizeListArray.from_arrays(pa.array(rows.reshape(-1)), WIDTH))

    async def _embed(self, texts: list[str], rows: Any) -> None:
        import base64

        body = {"model": MODEL, "input": texts, "dimensions": WIDTH, "encoding_format": "base64"}
        headers = {"Authorization": f"Bearer {os.environ['OPENROUTER_API_KEY']}", "Content-Type": "application/json"}
        assert self._session is not None
        async with self._slots, self._session.post(self._url, data=orjson.dumps(body), headers=headers) as answer:
            answer.raise_for_status()
            content = await answer.read()
        for entry in orjson.loads(content)["data"]:
            rows[entry["index"]] = np.frombuffer(base64.b64decode(entry["embedding"]), dtype=np.float32)


class Measured:
    """An actor that measures its own process."""

    def __init__(self, make: Any) -> None:
        self._embed = make()

    async def run(self, tables: list[pa.Table]) -> tuple[float, float]:
        """Embed tables, four at a time as Ray Data does, and return the seconds of CPU and of the clock."""
        slots = asyncio.Semaphore(4)

        async def embed(table: pa.Table) -> int:
            async with slots:
                return int((await self._embed(table)).num_rows)

        cpu, clock = time.process_time(), time.perf_counter()
        done = await asyncio.gather(*(embed(table) for table in tables))
        assert sum(done) == sum(table.num_rows for table in tables)
        return time.process_time() - cpu, time.perf_counter() - clock


def main() -> None:
    """Print what each takes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, default=50_000)
    parser.add_argument("--latency", type=float, default=0.0)
    chosen = parser.parse_args()
    os.environ["OPENROUTER_API_KEY"] = "local"
    ray.init(num_cpus=2, include_dashboard=False, object_store_memory=300_000_000, log_to_driver=True)
    tables = [
        pa.table({"text": [f"text {row}" for row in range(first, min(first + 1000, chosen.texts))]})
        for first in range(0, chosen.texts, 1000)
    ]
    with LocalGateway(latency=chosen.latency) as gateway:
        limit = Limit(concurrency=CONCURRENCY)
        url, batch = gateway.base_url, TEXTS_A_REQUEST
        job = EmbedJob(MODEL, base_url=url, dimensions=WIDTH, batch_size=batch, limit=limit)
        actor = ray.remote(num_cpus=0)(Measured)
        clients = {
            "aiohttp and orjson by hand": actor.remote(lambda: ByHand(f"{url}/embeddings")),
            "job": actor.remote(lambda: EmbedRows(job, 1)),
        }
        measured: dict[str, tuple[float, float]] = {}
        for name in [*clients, *clients, *clients]:
            cpu, clock = ray.get(clients[name].run.remote(tables))
            best = measured.get(name, (float("inf"), float("inf")))
            measured[name] = min(cpu, best[0]), min(clock, best[1])
            print(f"{name:28} {cpu / chosen.texts * 1e6:6.1f} us of CPU a text, {clock:6.1f} s", flush=True)
    (floor_cpu, floor_clock), (cpu, clock) = measured.values()
    print(f"job to by hand, best of three: CPU {cpu / floor_cpu:.2f}, clock {clock / floor_clock:.2f}")
    ray.shutdown()


if __name__ == "__main__":
    main()
