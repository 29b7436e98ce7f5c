"""A job on Ray Data: a pool of actors, each with one client of its process."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from .columns import aembed_table
from .job import EmbedJob
from .worker import worker_client


class EmbedRows:
    """What one Ray actor does: embed tables, several at a time."""

    def __init__(self, job: EmbedJob, workers: int) -> None:
        self._job = job
        self._client = worker_client(job, workers).as_async()

    async def __call__(self, table: pa.Table) -> pa.Table:
        """Return the rows with their embeddings."""
        return await aembed_table(self._client, self._job, table)


def embed_dataset(job: EmbedJob, dataset: Any, *, workers: int = 8, rows: int = 1024, num_cpus: float = 0.01, **options: Any) -> Any:
    """Return the rows with their embeddings."""
    from ray.data import ActorPoolStrategy

    return dataset.map_batches(
        EmbedRows,
        fn_constructor_args=(job, workers),
        batch_format="pyarrow",
        batch_size=rows,
        compute=ActorPoolStrategy(size=workers, max_concurrent_calls_per_actor=2),
        num_cpus=num_cpus,
        udf_modifying_row_count=False,
        **options,
    )
