"""A job on Dask: one task a partition, one client a process."""

from __future__ import annotations

import uuid
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from openrouter_embeddings import Usage, track_usage

from .columns import embed_table, embedded_schema
from .spec import JobSpec
from .worker import worker_client

if TYPE_CHECKING:
    import pandas as pd


def embed_frame(job: JobSpec, frame: Any, *, workers: int | None = None) -> Any:
    """Return a Dask DataFrame with two columns more: the embeddings, and why a row has none.

    The embeddings are numpy arrays of float32 in a column of objects, None where there is none; `parquet_schema` makes them
    lists in a file. Each computation embeds anew: write the result, or `persist` it.

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


def parquet_schema(job: JobSpec, frame: Any) -> pa.Schema:
    """Return what `to_parquet` takes as `schema=`, so that embeddings become lists of float32, of any length as in `job.files`.

    A pandas type of Arrow lists would need no schema, but its name, which pandas writes into the file, is one that pandas
    and Dask cannot read: any other column of such a file would be out of their reach too.

    Args:
        job: What was embedded.
        frame: What `job.dask` gave, and whatever was made of it since. It keeps its index: `write_index=True`.
    """
    empty = frame._meta_nonempty  # noqa: SLF001  as Dask's own writer does
    names = [name or "__null_dask_index__" for name in empty.index.names]
    others = pa.Schema.from_pandas(empty.drop(columns=[job.out]).rename_axis(index=names), preserve_index=True)
    embedding = pa.field(job.out, pa.list_(pa.float32()))
    return others.remove_metadata().insert(list(empty.columns).index(job.out), embedding)


def usage(job: JobSpec, client: Any) -> Usage:
    """Return what the workers of a distributed scheduler have reported as spent on a job, failed attempts included.

    Each attempt at a partition reports once, when it ends: one that was killed never does, and the scheduler keeps the
    last reports only. So it may be less than what was billed; with a process's death it is.

    Args:
        job: What was embedded.
        client: The `distributed.Client`.
    """
    reports = {report["attempt"]: report["usage"] for _, report in client.get_events(_topic(job))}
    return sum((Usage(**spent) for spent in reports.values()), Usage())


def embed_partition(frame: pd.DataFrame, job: JobSpec, workers: int) -> pd.DataFrame:
    """Return one partition with its embeddings."""
    import pandas as pd

    texts = pa.table({job.column: pa.array(frame[job.column], from_pandas=True)})
    with track_usage() as tracker:
        try:
            table = embed_table(worker_client(job, workers), job, texts)
        finally:
            _report(job, tracker.total)
    embeddings = table.column(job.out).to_pandas().set_axis(frame.index)
    errors = pd.arrays.ArrowExtensionArray(table.column(job.error_column))
    return frame.assign(**{job.out: embeddings, job.error_column: errors})


def _meta(job: JobSpec, frame: Any) -> pd.DataFrame:
    """Return the empty frame that a partition comes out as."""
    import pandas as pd

    empty = frame._meta  # noqa: SLF001  Dask's own word for it, with no public one
    texts = [(job.column, pa.string())] if job.column in empty.columns else []
    there = [(name, pa.null()) for name in empty.columns if name in {job.out, job.error_column}]
    embedded_schema(job, pa.schema([*texts, *there]))
    errors = pd.Series([], dtype=pd.ArrowDtype(pa.string()))
    return empty.assign(**{job.out: pd.Series([], dtype=object), job.error_column: errors})


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


def _report(job: JobSpec, spent: Usage) -> None:
    """Tell the scheduler what one attempt at a partition has spent, where there is one to tell."""
    try:
        from distributed import get_worker

        worker = get_worker()
    except (ImportError, ValueError):  # not installed, or another scheduler
        return
    worker.log_event(_topic(job), {"attempt": uuid.uuid4().hex, "usage": asdict(spent)})


def _topic(job: JobSpec) -> str:
    return f"openrouter-embeddings-{job.digest[:16]}"
