"""A job on Dask: one task a partition, one client a process."""

from __future__ import annotations

import uuid
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from openrouter_embeddings import Usage, track_usage

from .columns import embed_table, embedded_schema
from .job import EmbedJob
from .worker import worker_client

if TYPE_CHECKING:
    import pandas as pd


def embed_frame(job: EmbedJob, frame: Any, *, workers: int | None = None) -> Any:
    """Return a Dask DataFrame with two columns more: the embeddings, and why a row has none.

    The embeddings have the pandas type `ArrowDtype` of a fixed-size list of float32, the errors that of a string: so
    `to_parquet` writes these types without being told, also for a partition in which no row has an embedding. pandas and
    Dask read such a file with `dtype_backend="pyarrow"`. Each computation embeds anew: write the result, or `persist` it.

    Args:
        job: What to embed.
        frame: A Dask DataFrame with a column of texts.
        workers: How many processes share the job's limits. None: those of the scheduler that is set now.

    Raises:
        ConfigurationError: The columns do not fit the job, or the width of the embeddings is not known.
    """
    workers = _processes() if workers is None else workers
    job.limit.share(workers)
    return frame.map_partitions(embed_partition, job, workers, meta=_meta(job, frame), align_dataframes=False)


def usage(job: EmbedJob, client: Any) -> Usage:
    """Return what the workers of a distributed scheduler have reported as spent on a job, failed attempts included.

    Each attempt at a partition reports once, when it ends: one that was killed never does, and the scheduler keeps the
    last reports only. So it may be less than what was billed; with a process's death it is.

    Args:
        job: What was embedded.
        client: The `distributed.Client`.
    """
    reports = {report["attempt"]: report["usage"] for _, report in client.get_events(_topic(job))}
    return sum((Usage(**spent) for spent in reports.values()), Usage())


def embed_partition(frame: pd.DataFrame, job: EmbedJob, workers: int) -> pd.DataFrame:
    """Return one partition with its embeddings."""
    import pandas as pd

    texts = pa.table({job.column: pa.array(frame[job.column], from_pandas=True)})
    with track_usage() as tracker:
        try:
            table = embed_table(worker_client(job, workers), job, texts)
        finally:
            _report(job, tracker.total)
    columns = {name: pd.arrays.ArrowExtensionArray(table.column(name)) for name in (job.out, job.error_column)}
    return frame.assign(**columns)


def _meta(job: EmbedJob, frame: Any) -> pd.DataFrame:
    """Return the empty frame that a partition comes out as."""
    import pandas as pd

    empty = frame._meta  # noqa: SLF001  Dask's own word for it, with no public one
    texts = pa.schema([(job.column, pa.string())] if job.column in empty.columns else [])
    names = [name for name in empty.columns if name in {job.out, job.error_column}]
    schema = embedded_schema(job, pa.schema([*texts, *((name, pa.null()) for name in names)]))
    added = {name: pd.Series([], dtype=pd.ArrowDtype(schema.field(name).type)) for name in (job.out, job.error_column)}
    return empty.assign(**added)


def _processes() -> int:
    """Return how many processes the scheduler of the moment runs tasks in."""
    import dask
    from dask.base import get_scheduler
    from dask.system import CPU_COUNT

    get = get_scheduler() or dask.threaded.get
    client: Any = getattr(get, "__self__", None)
    if hasattr(client, "nthreads"):  # a distributed.Client
        return max(1, len(client.nthreads()))
    return dask.config.get("num_workers", None) or CPU_COUNT if get is dask.multiprocessing.get else 1


def _report(job: EmbedJob, spent: Usage) -> None:
    """Tell the scheduler what one attempt at a partition has spent, where there is one to tell."""
    try:
        from distributed import get_worker

        worker = get_worker()
    except (ImportError, ValueError):  # not installed, or another scheduler
        return
    worker.log_event(_topic(job), {"attempt": uuid.uuid4().hex, "usage": asdict(spent)})


def _topic(job: EmbedJob) -> str:
    return f"openrouter-embeddings-{job.digest[:16]}"
