"""A job on Spark: local mode, with real Python workers."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
import pytest

from openrouter_embeddings import Client, ConfigurationError
from openrouter_embeddings_engines import EmbedJob, Limit, worker_client

from .processes import connected_to
from .sizes import IS_ASKED_FOR, sized

if not IS_ASKED_FOR:
    pytest.skip("needs Spark: nox -s engines", allow_module_level=True)

from pyspark.sql import DataFrame, SparkSession

KEY = "sk-the-key-of-the-tests"
SHARE = 2
"""Requests in flight of each of two workers."""


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("events")


@pytest.fixture(scope="module")
def spark(events: Path) -> Any:
    """Two tasks at once, each tried three times, with an event log. The workers have the key from the environment."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYSPARK_PYTHON", sys.executable)
        patch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
        patch.setenv("OPENROUTER_API_KEY", KEY)
        builder = SparkSession.builder.master("local[2,3]").config("spark.ui.enabled", "false")
        session = (
            builder.config("spark.driver.memory", "1g")
            .config("spark.eventLog.enabled", "true")
            .config("spark.eventLog.dir", events.as_uri())
            .config("spark.eventLog.compress", "false")
            .config("spark.sql.execution.arrow.maxRecordsPerBatch", "700")
            .getOrCreate()
        )
        session.sparkContext.setLogLevel("OFF")
        yield session
        session.stop()


def frame_of(spark: SparkSession, texts: list[str | None], parts: int = 4) -> DataFrame:
    return spark.createDataFrame(list(enumerate(texts)), "id long, text string").repartition(parts)


def is_right(job: EmbedJob, table: pa.Table, texts: list[str | None]) -> bool:
    """Return whether each id is there once, with the embedding that one machine gives it."""
    ids = table["id"].to_pylist()
    found = np.array(table["embedding"].to_pylist(), dtype=np.float32)
    with Client(job.model, **job.options) as client:
        wanted = client.embed_documents(texts).embeddings
    return sorted(ids) == list(range(len(texts))) and np.array_equal(found, wanted[ids])


def test_every_row_gets_its_embedding_once(spark: SparkSession, job_for: Any, embeddings_gateway: Any) -> None:
    job = job_for()
    texts = [f"text {number}" for number in range(sized(5_000, 3_000))]
    frame = job.spark(frame_of(spark, texts))
    assert [field.simpleString() for field in frame.schema] == [
        "id:bigint", "text:string", "embedding:array<float>", "embedding_error:string",
    ]  # fmt: skip
    table = frame.toArrow()
    assert embeddings_gateway.paid_inputs() == len(texts)
    assert table["embedding_error"].null_count == len(texts)
    assert is_right(job, table, texts)


def test_the_tasks_together_keep_to_the_limit(spark: SparkSession, job_for: Any, embeddings_gateway: Any) -> None:
    embeddings_gateway.configure(latency=0.02)
    job = job_for(limit=Limit(concurrency=4), batch_size=50)
    job.spark(frame_of(spark, [f"text {number}" for number in range(2000)])).toArrow()
    assert 2 < embeddings_gateway.usage()["max_in_flight"] <= 4


def test_a_bad_row_costs_its_embedding_alone(spark: SparkSession, job_for: Any, embeddings_gateway: Any) -> None:
    embeddings_gateway.trouble("refuse_text", contains="BAD", times=None)
    texts = [f"BAD {number}" if number % 100 == 0 else f"text {number}" for number in range(10_000)]
    table = job_for().spark(frame_of(spark, [*texts, None])).toArrow()
    without = table.filter(table["embedding"].is_null())
    assert sorted(without["id"].to_pylist()) == [*range(0, 10_000, 100), 10_000]
    assert without["embedding_error"].null_count == 0
    assert table["embedding_error"].null_count == 9900
    assert embeddings_gateway.paid_inputs() == 9900


def test_a_killed_worker_costs_at_most_what_it_had_in_flight(
    spark: SparkSession, job_for: Any, embeddings_gateway: Any, tmp_path: Path
) -> None:
    embeddings_gateway.configure(latency=0.1)
    job = job_for(limit=Limit(concurrency=2 * SHARE), batch_size=50, cache=tmp_path / "cache.sqlite")
    texts = [f"text {number}" for number in range(4000)]
    frame = job.spark(frame_of(spark, texts))
    tables: list[pa.Table] = []
    run = threading.Thread(target=lambda: tables.append(frame.toArrow()))
    run.start()
    while embeddings_gateway.paid_inputs() < 1000 and run.is_alive():
        run.join(0.02)
    connected_to(embeddings_gateway.base_url, psutil.Process())[0].kill()
    run.join()
    paid = embeddings_gateway.paid_inputs()
    assert len(texts) <= paid <= len(texts) + SHARE * 50
    assert is_right(job, tables[0], texts)


def test_a_worker_keeps_its_client(spark: SparkSession, job_for: Any) -> None:
    job = job_for()

    def clients(batches: Any) -> Any:
        for _ in batches:
            names = [f"{os.getpid()} {id(worker_client(job, 2))}"]
            yield pa.RecordBatch.from_pydict({"client": names})

    found = frame_of(spark, ["a"] * 100, parts=8).mapInArrow(clients, "client string").toArrow()["client"].to_pylist()
    again = frame_of(spark, ["a"] * 100, parts=8).mapInArrow(clients, "client string").toArrow()["client"].to_pylist()
    processes = {name.split()[0] for name in found + again}
    assert len(set(found + again)) == len(processes) <= 2


def test_types_and_columns_of_all_kinds_pass_untouched(spark: SparkSession, job_for: Any) -> None:
    frame = spark.sql(
        "select 'a' as text, map('k', 1) as m, struct(1 as x, array('y') as y) as s, timestamp'2026-01-01 00:00:00' as t,"
        " date'2026-01-01' as d, cast(1.5 as decimal(10, 2)) as n, cast('b' as binary) as b, null as nothing"
    )
    done = job_for(out="vector").spark(frame)
    assert done.columns == [*frame.columns, "vector", "vector_error"]
    assert done.select(*frame.columns).collect() == frame.collect()


def test_a_width_that_nobody_knows_is_no_trouble(spark: SparkSession, job_for: Any, embeddings_gateway: Any) -> None:
    job = EmbedJob("acme/unknown", base_url=embeddings_gateway.base_url)
    table = job.spark(frame_of(spark, [None, ""], parts=1)).toArrow()
    assert table["embedding"].null_count == 2


def test_what_does_not_fit_is_refused_before_anything_runs(spark: SparkSession, job_for: Any) -> None:
    with pytest.raises(ConfigurationError, match="Column 'text' holds int32, not strings"):
        job_for().spark(spark.sql("select 1 as text"))
    with pytest.raises(ConfigurationError, match="There is a column 'embedding' already"):
        job_for().spark(spark.sql("select 'a' as text, 1 as embedding"))
    with pytest.raises(ConfigurationError, match="workers takes a whole number"):
        job_for().spark(spark.sql("select 'a' as text"), workers=0)
    with pytest.warns(RuntimeWarning, match=r"8 tasks at once have at least one request in flight each, 4 are allowed"):
        job_for(limit=Limit(concurrency=4)).spark(spark.sql("select 'a' as text"), workers=8)


def test_no_plan_and_no_event_log_shows_the_key(
    spark: SparkSession, job_for: Any, events: Path, embeddings_gateway: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    frame = job_for().spark(frame_of(spark, ["a"]))
    frame.toArrow()
    frame.explain("extended")
    embeddings_gateway.trouble("status", status=401, times=None)
    with pytest.raises(Exception, match="The key was refused") as raised:
        frame.toArrow()
    logged = b"".join(log.read_bytes() for log in events.rglob("*") if log.is_file())
    assert b"SparkListenerJobEnd" in logged
    shown = capfd.readouterr()
    assert KEY not in logged.decode(errors="replace") + shown.out + shown.err + str(raised.value) + repr(frame)
