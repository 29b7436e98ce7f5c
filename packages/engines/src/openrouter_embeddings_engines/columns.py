"""One Arrow table in, the same table out with its embeddings: the unit of work of every engine."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pyarrow as pa

from openrouter_embeddings import AsyncClient, Client, ConfigurationError, EmbeddingError, InputError, StreamBatch

from .spec import JobSpec

if TYPE_CHECKING:
    from numpy.typing import NDArray


def embed_table(client: Client, job: JobSpec, table: pa.Table) -> pa.Table:
    """Return a table with two columns more: the embeddings, and why a row has none.

    The embeddings are fixed-size lists of float32, null where there is none. Rows keep their order. A text that is null
    or empty is not sent; it counts as one that cannot be embedded, save with `on_empty="zero"`, or `"null"`: no reason then.

    Args:
        client: The client of this process, as `worker_client` gives it.
        job: What to embed.
        table: Rows with a column of texts.

    Raises:
        ConfigurationError: The column is missing or holds no strings, a column of results is there already, or no
            embedding has come and the width is not known.
        EmbeddingError: No more can be embedded, or with `on_error="raise"` a row cannot.
    """
    rows = EmbeddedRows(job, table)
    stream = client.embed_stream(rows.texts(), input_type="document")
    with closing(cast("Generator[StreamBatch]", stream)) as batches:
        for batch in batches:
            rows.take(batch)
    return rows.with_columns(client.dimensions)


async def aembed_table(client: AsyncClient, job: JobSpec, table: pa.Table) -> pa.Table:
    """Return a table with two columns more, on the running loop. See `embed_table`."""
    rows = EmbeddedRows(job, table)
    stream = client.embed_stream(rows.texts(), input_type="document")
    try:
        async for batch in stream:
            rows.take(batch)
    finally:
        await cast("Any", stream).aclose()
    return rows.with_columns(client.dimensions)


def embedded_schema(job: JobSpec, schema: pa.Schema) -> pa.Schema:
    """Return the schema that `embed_table` gives for a table of a schema, without embedding anything.

    Raises:
        ConfigurationError: As `embed_table`, or the width of the embeddings is not known before the first.
    """
    _check_columns(job, schema)
    if job.dimensions is None:
        raise ConfigurationError(f"The width of {job.model!r} is not known. Pass dimensions=, or profile=.")
    return _with_fields(job, schema, job.dimensions)


def for_parquet(job: JobSpec, table: pa.Table) -> pa.Table:
    """Return an embedded table with lists of any length in place of lists of a fixed size.

    Before pyarrow 26 a Parquet file with a null among lists of a fixed size can be read by nobody, and hardly be written
    (apache/arrow issue 35692). `column.cast(pa.list_(pa.float32(), width))` makes them of a fixed size again.
    """
    column = table.column(job.out).combine_chunks()
    there = column.is_valid().to_numpy(zero_copy_only=False)
    ends = np.cumsum(there) * column.type.list_size
    offsets = pa.array(np.concatenate([[0], ends]), pa.int32())  # what does not fit is an error
    lists = pa.ListArray.from_arrays(offsets, column.flatten(), mask=pa.array(~there))
    return table.set_column(table.schema.get_field_index(job.out), job.out, lists)


class EmbeddedRows:
    """What has come of the rows of one table. An embedding that never came is null, in whatever order they came.

    Args:
        job: What to embed.
        table: The rows.

    Raises:
        ConfigurationError: The columns do not fit the job.
    """

    def __init__(self, job: JobSpec, table: pa.Table) -> None:
        _check_columns(job, table.schema)
        self._job = job
        self._table = table
        self._errors: list[str | None] = [None] * table.num_rows
        self._has = np.zeros(table.num_rows, dtype=np.bool_)
        self._embeddings: NDArray[np.float32] | None = None

    @property
    def failed(self) -> int:
        """How many rows have an error."""
        return len(self._errors) - self._errors.count(None)

    def texts(self) -> Iterator[tuple[int, str]]:
        """Yield the texts to send, each with its row. A row without a text is settled at once, unless it gets zeros."""
        on_empty = self._job.options.get("on_empty", "error")
        for row, text in enumerate(_strings(self._table.column(self._job.column))):
            if text or on_empty == "zero":
                yield row, text or ""
            elif on_empty == "error":
                what = "null" if text is None else "empty"
                self._fail(row, InputError(f"The text is {what}."))

    def take(self, batch: StreamBatch) -> None:
        """Take what a stream hands out."""
        for row, error in batch.errors.items():
            self._fail(row, error)
        if len(batch.ids):
            if self._embeddings is None:
                self._embeddings = np.zeros((len(self._errors), batch.embeddings.shape[1]), dtype=np.float32)
            self._embeddings[batch.ids] = batch.embeddings
            self._has[batch.ids] = True

    def with_columns(self, width: int | None) -> pa.Table:
        """Return the table with its embeddings and errors, of this width where no embedding has come."""
        if self._embeddings is None:
            if width is None:
                raise ConfigurationError("No row has an embedding and the width is not known. Pass dimensions=.")
            self._embeddings = np.zeros((len(self._errors), width), dtype=np.float32)
        width = self._embeddings.shape[1]
        has_none = None if self._has.all() else pa.array(~self._has)
        values = pa.array(self._embeddings.reshape(-1))
        embeddings = pa.FixedSizeListArray.from_arrays(values, type=_list_type(width), mask=has_none)
        added = [embeddings, pa.array(self._errors, pa.string())]
        schema = _with_fields(self._job, self._table.schema, width)
        return pa.Table.from_arrays([*self._table.columns, *added], schema=schema)

    def _fail(self, row: int, error: EmbeddingError) -> None:
        if self._job.on_error == "raise":
            raise error.reworded(f"Row {row} of the table: {error.message}", positions=[row])
        self._errors[row] = f"{type(error).__name__}: {error.message}"


def _strings(column: Any) -> Iterable[str | None]:
    for chunk in column.chunks:
        yield from chunk.to_pylist()


def _list_type(width: int) -> pa.DataType:
    return pa.list_(pa.float32(), width)


def _with_fields(job: JobSpec, schema: pa.Schema, width: int) -> pa.Schema:
    return schema.append(pa.field(job.out, _list_type(width))).append(pa.field(job.error_column, pa.string()))


def _check_columns(job: JobSpec, schema: pa.Schema) -> None:
    if schema.names.count(job.column) != 1:
        there = ", ".join(map(repr, schema.names[:20]))
        raise ConfigurationError(f"There is no one column {job.column!r}. The columns are {there or 'none'}.")
    for name in (job.out, job.error_column):
        if name in schema.names:
            raise ConfigurationError(f"There is a column {name!r} already. Choose another out=.")
    kind = schema.field(job.column).type
    text = kind.value_type if pa.types.is_dictionary(kind) else kind
    is_text = pa.types.is_string(text) or pa.types.is_large_string(text) or pa.types.is_string_view(text)
    if not is_text and not pa.types.is_null(text):
        raise ConfigurationError(f"Column {job.column!r} holds {kind}, not strings.")
