"""Many tables as one stream: the texts of the next table fill the requests that the last texts of one leave free."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from itertools import groupby
from operator import itemgetter
from typing import cast

import pyarrow as pa

from openrouter_embeddings import Client, StreamBatch

from .columns import EmbeddedRows
from .spec import JobSpec


class _Begun:
    """A table whose texts are being sent."""

    def __init__(self, rows: EmbeddedRows) -> None:
        self.rows = rows
        self.is_read = False
        self.sent = self.settled = 0

    @property
    def is_done(self) -> bool:
        return self.is_read and self.settled == self.sent


def embed_tables(
    client: Client, job: JobSpec, tables: Iterable[pa.Table], *, width: int | None = None
) -> Iterator[pa.Table]:
    """Yield the tables in order, each with its embeddings and errors. See `embed_table`.

    Reads ahead by as many texts as fill twice the client's requests in flight.

    Args:
        client: The client of this process.
        job: What to embed.
        tables: Rows with a column of texts.
        width: Of the embeddings of a table that has none, where nothing else tells it.
    """
    begun: deque[_Begun] = deque()
    dropped = 0

    def texts() -> Iterator[tuple[tuple[int, int], str]]:
        for number, rows in enumerate(tables):
            table = _Begun(EmbeddedRows(job, rows))
            begun.append(table)
            for row, text in table.rows.texts():
                table.sent += 1
                yield (number, row), text
            table.is_read = True

    with closing(cast("Generator[StreamBatch]", client.embed_stream(texts(), input_type="document"))) as batches:
        for batch in batches:
            for number, part in _by_table(batch):
                table = begun[number - dropped]
                table.rows.take(part)
                table.settled += len(part.ids) + len(part.errors)
            while begun and begun[0].is_done:
                yield begun.popleft().rows.with_columns(client.dimensions or width)
                dropped += 1
    for table in begun:
        yield table.rows.with_columns(client.dimensions or width)


def _by_table(batch: StreamBatch) -> Iterator[tuple[int, StreamBatch]]:
    """Yield the parts of a batch, each with its table's number and with rows of that table as ids."""
    first = 0
    for number, ids in groupby(batch.ids, key=itemgetter(0)):
        rows = [row for _, row in ids]
        yield number, StreamBatch(rows, batch.embeddings[first : first + len(rows)], {})
        first += len(rows)
    for (number, row), error in batch.errors.items():
        yield number, StreamBatch([], batch.embeddings[:0], {row: error})
