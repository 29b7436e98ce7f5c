"""A job on Spark: rows go through Python as Arrow batches, and each Python worker has one client."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa

from openrouter_embeddings import ConfigurationError

from .columns import EmbeddedRows
from .spec import JobSpec
from .tables import embed_tables
from .worker import worker_client


def embed_frame(job: JobSpec, frame: Any, *, workers: int | None = None) -> Any:
    """Return the rows with their embeddings, an array of floats, and why a row has none. Spark's plans stay lazy.

    Each task that runs has its part of `job.limit`: one of so many as run at once.

    Args:
        job: What to embed.
        frame: A Spark DataFrame with a column of strings.
        workers: How many tasks run at once. None: as many as Spark has cores for; Spark Connect does not tell.

    Raises:
        ConfigurationError: The columns do not fit the job, or nobody knows how many tasks run at once.
    """
    from pyspark.sql.pandas.types import to_arrow_schema
    from pyspark.sql.types import ArrayType, FloatType, StringType, StructField, StructType

    EmbeddedRows(job, to_arrow_schema(frame.schema, timezone="UTC").empty_table())
    shares = _tasks_at_once(frame) if workers is None else workers
    job.limit.share(shares)
    if shares > job.limit.concurrency and job.limit.at is None:
        warnings.warn(
            f"{shares} tasks at once have at least one request in flight each, {job.limit.concurrency} are allowed."
            f" coalesce({job.limit.concurrency}) before, or let Limit(at=...) keep one limit for all.",
            RuntimeWarning,
            stacklevel=3,
        )
    schema = StructType(
        [
            *frame.schema.fields,
            StructField(job.out, ArrayType(FloatType(), containsNull=False)),
            StructField(job.error_column, StringType()),
        ]
    )

    def embed(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        yield from _embed_batches(job, shares, batches)

    return frame.mapInArrow(embed, schema)


def _embed_batches(job: JobSpec, shares: int, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    tables = (pa.Table.from_batches([batch]) for batch in batches)
    # An array has no width: where no row has an embedding, any will do.
    for table in embed_tables(worker_client(job, shares), job, tables, width=1):
        index = table.schema.get_field_index(job.out)
        array = table.column(index).cast(pa.list_(pa.float32()))
        yield from table.set_column(index, pa.field(job.out, array.type), array).combine_chunks().to_batches()


def _tasks_at_once(frame: Any) -> int:
    from pyspark.errors import PySparkException

    try:
        context = frame.sparkSession.sparkContext
    except PySparkException:
        raise ConfigurationError(
            "Spark Connect does not tell how many tasks run at once. Pass workers=, the cores of all executors."
        ) from None
    per_task = int(context.getConf().get("spark.task.cpus", "1"))
    return max(1, int(context.defaultParallelism) // per_task)
