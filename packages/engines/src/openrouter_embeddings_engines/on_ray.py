"""A job on Ray Data: a pool of actors, each with one client of its process."""

from __future__ import annotations

import asyncio
from typing import Any, Literal

import pyarrow as pa

from openrouter_embeddings import ConfigurationError

from .columns import embed_table
from .ray_limiter import leased_limiter, start_desk
from .spec import JobSpec
from .worker import worker_client

_NUM_CPUS = 0.01
"""Of an actor: it waits, mostly. Logical CPUs that actors hold are lost to what else the pipeline runs, for as long as it
runs: with as many actors as CPUs a `repartition` after them would stand still."""
_CALLS = 2
"""Tasks that an actor runs side by side, so that the end of one block leaves nothing idle."""


def embed_dataset(
    job: JobSpec,
    dataset: Any,
    *,
    workers: int = 8,
    limiter: Literal["actor"] | None = None,
    batch_rows: int = 1024,
    num_cpus: float = _NUM_CPUS,
    **ray_options: Any,
) -> Any:
    """Return a Ray dataset with two columns more: the embeddings, and why a row has none.

    The rows go through a pool of actors, in Arrow tables. Their order is Ray's business: ids and embeddings always match;
    `DataContext.execution_options.preserve_order` keeps the order at the cost of waiting for the slowest. What a killed
    worker had done of its blocks is done again: with a cache, only what was in flight, or had just landed, is paid again.
    Each execution embeds anew: write the result, or `materialize()` it.

    Args:
        job: What to embed.
        dataset: A Ray dataset with a column of texts. It needs at least as many blocks as there are workers.
        workers: Actors, each with a process of its own.
        limiter: None: `job.limit.at` keeps the limits, else each worker has its share of them, and of `max_cost` for as long
            as it lives. `"actor"`: a named actor leases them out by the second, so that all of the limit is used where some
            workers have little to do, and kept where there are more workers than `concurrency`; if it dies, shares hold
            until it is back.
        batch_rows: Rows of one table. An actor holds up to eight of them, with their embeddings.
        num_cpus: Logical CPUs that an actor holds while the pipeline runs.
        **ray_options: Anything else that `map_batches` takes.

    Raises:
        ConfigurationError: An option cannot be right. Columns that do not fit end the execution, before any request.
    """
    from ray.data import ActorPoolStrategy

    job.limit.share(workers)
    if limiter not in {None, "actor"}:
        raise ConfigurationError(f"limiter takes None or 'actor', not {limiter!r}. For Redis, Limit(at='redis://...').")
    if limiter is not None and job.limit.at is not None:
        raise ConfigurationError("Limit(at=...) and limiter='actor' do the same. Give one of them.")
    return dataset.map_batches(
        EmbedRows,
        fn_constructor_args=(job, workers, None if limiter is None else start_desk(job, workers)),
        batch_format="pyarrow",
        batch_size=batch_rows,
        compute=ActorPoolStrategy(size=workers, max_concurrent_calls_per_actor=_CALLS),
        num_cpus=num_cpus,
        udf_modifying_row_count=False,
        **ray_options,
    )


class EmbedRows:
    """What one Ray actor does: it embeds tables, several at a time.

    Args:
        job: What to embed.
        workers: How many actors there are.
        desk: The actor that leases out the limits, if one does.
    """

    def __init__(self, job: JobSpec, workers: int, desk: Any = None) -> None:
        self._limiter = None if desk is None else leased_limiter(job, workers, desk)
        self._job = job
        self._client = worker_client(job, workers, limiter=self._limiter)

    async def __call__(self, table: pa.Table) -> pa.Table:
        """Return the rows with their embeddings."""
        # Ray blocks the loop that calls us for as long as nobody takes its results: requests in flight on it would time out
        # after they were paid for. Threads go on, and cost no more.
        return await asyncio.to_thread(embed_table, self._client, self._job, table)

    def __del__(self) -> None:
        """Stop asking for leases: Ray lets go of this object before it ends the process."""
        limiter = getattr(self, "_limiter", None)
        if limiter is not None:
            limiter.close()
