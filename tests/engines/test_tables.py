"""Many tables as one stream."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from openrouter_embeddings import AuthenticationError, ConfigurationError, InputError
from openrouter_embeddings_engines import EmbedJob, embed_table, worker_client
from openrouter_embeddings_engines.tables import embed_tables


def tables_of(*sizes: int) -> list[pa.Table]:
    """Return tables of so many texts, all different."""
    texts = iter(f"text {number}" for number in range(sum(sizes)))
    return [pa.table({"text": pa.array([next(texts) for _ in range(size)], pa.string())}) for size in sizes]


def test_each_table_is_what_it_would_be_alone(job_for: Any) -> None:
    job = job_for(batch_size=7)
    client = worker_client(job)
    tables = tables_of(3, 0, 20, 1, 0, 9, 0)
    done = list(embed_tables(client, job, tables))
    assert [table.num_rows for table in done] == [3, 0, 20, 1, 0, 9, 0]
    assert all(found.equals(embed_table(client, job, table)) for found, table in zip(done, tables, strict=True))


def test_a_request_takes_texts_of_more_than_one_table(job_for: Any, embeddings_gateway: Any) -> None:
    job = job_for(batch_size=50)
    list(embed_tables(worker_client(job), job, tables_of(*[10] * 20)))
    assert [request.inputs for request in embeddings_gateway.embedding_requests()] == [50] * 4


def test_a_bad_row_keeps_its_place_and_its_table(job_for: Any, embeddings_gateway: Any) -> None:
    embeddings_gateway.trouble("refuse_text", contains="BAD", times=None)
    job = job_for()
    tables = [pa.table({"text": ["a", "BAD 1", None]}), pa.table({"text": ["BAD 2"]}), pa.table({"text": ["", "b"]})]
    done = list(embed_tables(worker_client(job), job, tables))
    assert [table["embedding"].is_null().to_pylist() for table in done] == [[False, True, True], [True], [True, False]]
    assert [table["embedding_error"].null_count for table in done] == [1, 0, 1]
    alone = worker_client(job).embed_documents(["b"]).embeddings[0]
    assert np.array_equal(np.array(done[2]["embedding"][1].as_py(), dtype=np.float32), alone)


@pytest.mark.parametrize("on_empty", ["error", "zero", "null"])
def test_tables_come_as_soon_as_they_are_done_and_are_read_as_they_are_needed(job_for: Any, on_empty: str) -> None:
    job = job_for(batch_size=5, on_empty=on_empty)
    read: list[int] = []

    def endless() -> Iterator[pa.Table]:
        while True:
            read.append(len(read))
            yield pa.table({"text": [f"text {len(read)} {number}" if number else None for number in range(10)]})

    done = embed_tables(worker_client(job), job, endless())
    assert next(done).num_rows == 10
    assert len(read) <= 20
    done.close()


def test_a_table_without_any_embedding_has_the_width_that_is_given(embeddings_gateway: Any) -> None:
    job = EmbedJob("acme/unknown", base_url=embeddings_gateway.base_url, api_key="k", allow_literal_key=True)
    tables = [pa.table({"text": pa.nulls(2)})]
    (done,) = embed_tables(worker_client(job), job, tables, width=1)
    assert done["embedding"].null_count == 2
    with pytest.raises(ConfigurationError, match="the width is not known"):
        list(embed_tables(worker_client(job), job, tables))


def test_what_ends_a_job_ends_the_tables(job_for: Any, embeddings_gateway: Any) -> None:
    job = job_for(on_error="raise")
    with pytest.raises(InputError, match=r"Row 1 of the table: The text is null"):
        list(embed_tables(worker_client(job), job, [*tables_of(3), pa.table({"text": ["a", None]})]))
    embeddings_gateway.trouble("status", status=401, times=None)
    with pytest.raises(AuthenticationError):
        list(embed_tables(worker_client(job), job, tables_of(3, 3)))
