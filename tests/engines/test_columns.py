"""One table in, the same table out with its embeddings."""

from __future__ import annotations

import multiprocessing
import os
import pickle
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pytest

from openrouter_embeddings import AuthenticationError, ConfigurationError, InputError, InvalidRequestError
from openrouter_embeddings_engines import (
    EmbedJob,
    Limit,
    RateLimiter,
    aembed_table,
    embed_table,
    embedded_schema,
    worker_client,
)


def table_of(texts: list[str | None], kind: pa.DataType | None = None) -> pa.Table:
    return pa.table({"id": range(len(texts)), "text": pa.array(texts, kind or pa.string())})


def rows_of(table: pa.Table) -> np.ndarray:
    return np.array(table.column("embedding").to_pylist(), dtype=np.float32)


def test_every_row_gets_the_embedding_of_its_text(job_for: Any) -> None:
    job = job_for(batch_size=7)
    texts = [f"text {number}" for number in range(100)]
    client = worker_client(job)
    table = embed_table(client, job, table_of(texts))
    assert table.schema == embedded_schema(job, table_of(texts).schema)
    assert table.column("id").to_pylist() == list(range(100))
    assert table.column("embedding_error").null_count == 100
    assert np.array_equal(rows_of(table), client.embed_documents(texts).embeddings)


async def test_the_same_on_a_running_loop(job_for: Any) -> None:
    job = job_for()
    table = await aembed_table(worker_client(job).as_async(), job, table_of(["a", "b"]))
    assert np.array_equal(rows_of(table), worker_client(job).embed_documents(["a", "b"]).embeddings)


def test_a_bad_row_has_no_embedding_and_a_reason_and_harms_no_other(job_for: Any, embeddings_gateway: Any) -> None:
    embeddings_gateway.trouble("refuse_text", contains="BAD", times=None)
    job = job_for()
    texts = [*(f"text {number}" for number in range(20)), None, "", "a BAD text"]
    table = embed_table(worker_client(job), job, table_of(texts))
    assert table.column("embedding").is_null().to_pylist() == [False] * 20 + [True] * 3
    reasons = table.column("embedding_error").to_pylist()
    assert reasons[:20] == [None] * 20
    assert reasons[20:22] == ["InputError: The text is null.", "InputError: The text is empty."]
    assert reasons[22].startswith("InvalidRequestError: ")
    assert "BAD text" not in reasons[22]
    assert embeddings_gateway.paid_inputs() == 20


def test_with_on_error_raise_the_first_bad_row_ends_it(job_for: Any, embeddings_gateway: Any) -> None:
    job = job_for(on_error="raise")
    with pytest.raises(InputError, match=r"Row 1 of the table: The text is null\.") as raised:
        embed_table(worker_client(job), job, table_of(["a", None]))
    assert raised.value.positions == (1,)
    embeddings_gateway.trouble("refuse_text", contains="BAD", times=None)
    with pytest.raises(InvalidRequestError, match="Row 1 of the table"):
        embed_table(worker_client(job), job, table_of(["a", "BAD"]))


def test_what_concerns_every_row_is_raised(job_for: Any, embeddings_gateway: Any) -> None:
    embeddings_gateway.trouble("status", status=401, times=None)
    job = job_for()
    with pytest.raises(AuthenticationError):
        embed_table(worker_client(job), job, table_of(["a"]))


def test_with_on_empty_zero_an_empty_text_and_null_are_zeros(job_for: Any) -> None:
    job = job_for(on_empty="zero")
    table = embed_table(worker_client(job), job, table_of(["a", "", None]))
    assert not rows_of(table)[1:].any()
    assert table.column("embedding_error").null_count == 3


STRINGS = [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())]
if int(pa.__version__.partition(".")[0]) >= 18:  # before, nothing can be cast to it
    STRINGS.append(pa.string_view())


@pytest.mark.parametrize("kind", STRINGS, ids=str)
def test_every_kind_of_string_column_is_taken(job_for: Any, kind: pa.DataType) -> None:
    job = job_for()
    strings = table_of(["a", "b", "a"])
    plain = embed_table(worker_client(job), job, strings)
    cast = embed_table(worker_client(job), job, strings.set_column(1, "text", strings.column(1).cast(kind)))
    assert np.array_equal(rows_of(cast), rows_of(plain))


def test_a_table_in_chunks_and_an_empty_one_are_tables_too(job_for: Any, embeddings_gateway: Any) -> None:
    job = job_for()
    chunks = pa.concat_tables([table_of(["a"]), table_of(["b", None])])
    assert rows_of(embed_table(worker_client(job), job, chunks).slice(0, 2)).shape == (2, 8)
    paid = embeddings_gateway.paid_inputs()
    empty = embed_table(worker_client(job), job, table_of([]))
    assert empty.schema == embedded_schema(job, table_of([]).schema)
    assert embeddings_gateway.paid_inputs() == paid
    nulls = pa.table({"text": pa.nulls(2)})
    assert embed_table(worker_client(job), job, nulls).column("embedding").null_count == 2


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"body": ["a"]}, "There is no one column 'text'. The columns are 'body'"),
        ({"text": [1]}, "Column 'text' holds int64, not strings"),
        ({"text": ["a"], "embedding_error": ["b"]}, "There is a column 'embedding_error' already"),
    ],
)
def test_columns_that_do_not_fit_are_refused_before_any_request(
    job_for: Any, embeddings_gateway: Any, columns: dict[str, list[Any]], says: str
) -> None:
    job = job_for()
    with pytest.raises(ConfigurationError, match=says):
        embed_table(worker_client(job), job, pa.table(columns))
    assert not embeddings_gateway.requests()


def test_a_width_that_nobody_knows_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENROUTER_API_KEY", "sk-x")
    job = EmbedJob("acme/unknown")
    with pytest.raises(ConfigurationError, match=r"The width of 'acme/unknown' is not known. Pass dimensions="):
        embedded_schema(job, table_of([]).schema)
    with pytest.raises(ConfigurationError, match=r"the width is not known. Pass dimensions="):
        embed_table(worker_client(job), job, table_of([None]))


def test_a_process_has_one_client_for_a_job_however_often_it_is_unpickled(job_for: Any) -> None:
    job = job_for(limit=Limit(concurrency=8, per_second=100), max_cost=2.0)
    client = worker_client(job, 4)
    assert worker_client(pickle.loads(pickle.dumps(job)), 4) is client
    assert (client.options.max_concurrency, client.options.max_cost) == (2, 0.5)
    assert worker_client(job, 2) is not client
    assert worker_client(job_for(dimensions=4), 4) is not client


def test_with_a_limiter_that_the_workers_share_nothing_is_divided(job_for: Any) -> None:
    job = job_for(limit=Limit(concurrency=8), max_cost=2.0)
    shared = RateLimiter(per_second=1000)
    options = worker_client(job, 4, limiter=shared).options
    assert (options.max_concurrency, options.max_cost) == (8, 2.0)


def test_the_limiter_is_asked_before_each_request(job_for: Any, embeddings_gateway: Any) -> None:
    class Asked(RateLimiter):
        tokens: ClassVar[list[int]] = []

        def acquire(self, requests: int, tokens: int, /) -> Any:
            answer = super().acquire(requests, tokens)
            self.tokens += [tokens] if not isinstance(answer, float) else []
            return answer

    job = job_for(batch_size=5)
    embed_table(worker_client(job, limiter=Asked(per_second=1000)), job, table_of([f"text {row}" for row in range(20)]))
    assert len(Asked.tokens) == embeddings_gateway.usage()["requests"] == 4
    assert min(Asked.tokens) > 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_has_a_client_of_its_own(job_for: Any) -> None:
    job = job_for()
    ours = worker_client(job)
    context = multiprocessing.get_context("fork")
    answers = context.SimpleQueue()
    child = context.Process(target=lambda: answers.put(worker_client(job) is not ours))
    child.start()
    assert answers.get()
    child.join()


def test_the_cache_may_be_named_by_a_variable(job_for: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    job = job_for(cache="$CACHE_OF_THE_TESTS")
    with pytest.raises(ConfigurationError, match="the variable CACHE_OF_THE_TESTS is not set on this worker"):
        worker_client(job)
    monkeypatch.setenv("CACHE_OF_THE_TESTS", str(tmp_path / "cache.sqlite"))
    embed_table(worker_client(job), job, table_of(["a"]))
    assert (tmp_path / "cache.sqlite").exists()


def test_with_on_empty_null_a_row_without_a_text_has_neither_an_embedding_nor_a_reason(job_for: Any) -> None:
    job = job_for(on_empty="null")
    done = embed_table(worker_client(job), job, pa.table({"text": ["a text", None, ""]}))
    assert done["embedding"].is_null().to_pylist() == [False, True, True]
    assert done["embedding_error"].null_count == 3
