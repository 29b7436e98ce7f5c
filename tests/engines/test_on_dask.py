"""A job on Dask, in threads and on two processes of a distributed scheduler."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset
import pytest

from openrouter_embeddings import ConfigurationError
from openrouter_embeddings_engines import Limit, worker_client

from .sizes import IS_ASKED_FOR, sized

pytestmark = pytest.mark.skipif(not IS_ASKED_FOR, reason="nox -s engines runs it")
dd = pytest.importorskip("dask.dataframe")
distributed = pytest.importorskip("distributed")
pd = pytest.importorskip("pandas")

COUNT = sized(5_000, 2_000)


def frame_of(count: int, partitions: int, bad: int = 0) -> Any:
    """Return rows of which every so manyth is bad."""
    texts = [f"{'BAD ' if bad and number % bad == 0 else ''}text {number}" for number in range(count)]
    return dd.from_pandas(pd.DataFrame({"id": range(count), "text": texts}), npartitions=partitions)


def embeddings_of(frame: Any) -> np.ndarray:
    return np.array(frame["embedding"].tolist(), dtype=np.float32)


@pytest.fixture(scope="module")
def cluster():
    os.environ["OPENROUTER_API_KEY"] = "sk-the-key-of-the-tests"
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=2, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def test_threads_share_one_client_and_every_row_gets_the_embedding_of_its_text(job_for: Any) -> None:
    job = job_for(batch_size=20)
    frame = frame_of(300, 4)
    frame["text"] = frame["text"].where(frame["id"] != 7)
    done = job.dask(frame).compute(scheduler="threads")
    texts = [f"text {number}" for number in done["id"] if number != 7]
    assert np.array_equal(embeddings_of(done[done["id"] != 7]), worker_client(job).embed_documents(texts).embeddings)
    assert done["embedding"].isna().sum() == 1
    assert done["embedding_error"].dropna().to_dict() == {7: "InputError: The text is null."}


def test_parquet_holds_lists_and_reads_back(job_for: Any, tmp_path: Any, embeddings_gateway: Any) -> None:
    from openrouter_embeddings_engines.on_dask import parquet_schema

    embeddings_gateway.trouble("refuse_text", contains="BAD", times=None)
    job = job_for()
    frame = dd.concat([frame_of(5, 1, bad=1), frame_of(5, 1)])  # a partition without any embedding, and one with all
    done = job.dask(frame)
    done.to_parquet(tmp_path, schema=parquet_schema(job, done))
    schema = pyarrow.dataset.dataset(tmp_path).schema
    assert schema.names == ["id", "text", "embedding", "embedding_error", "__null_dask_index__"]
    assert schema.field("embedding").type.value_type == pa.float32()
    assert schema.field("embedding_error").type == pa.string()
    back = dd.read_parquet(tmp_path)
    assert back["id"].compute(scheduler="sync").tolist() == [*range(5), *range(5)]
    embeddings = back["embedding"].compute(scheduler="sync")
    assert embeddings.isna().tolist() == [True] * 5 + [False] * 5
    texts = [f"text {number}" for number in range(5)]
    assert np.array_equal(np.stack(embeddings[5:]), worker_client(job).embed_documents(texts).embeddings)


def test_columns_that_do_not_fit_are_refused_when_the_plan_is_made(job_for: Any) -> None:
    with pytest.raises(ConfigurationError, match="There is no one column 'body'"):
        job_for(column="body").dask(frame_of(2, 1))
    with pytest.raises(ConfigurationError, match="There is a column 'embedding_error' already"):
        job_for().dask(frame_of(2, 1).assign(embedding_error=""))
    with pytest.raises(ConfigurationError, match="workers takes"):
        job_for().dask(frame_of(2, 1), workers=0)


def test_workers_have_their_shares_and_report_what_they_spend(
    job_for: Any, cluster: Any, embeddings_gateway: Any
) -> None:
    from openrouter_embeddings_engines.on_dask import usage

    embeddings_gateway.configure(cap=4)
    job = job_for(batch_size=20, limit=Limit(concurrency=4))
    done = job.dask(frame_of(COUNT, 8)).compute()
    texts = [f"text {number}" for number in range(COUNT)]
    paid = embeddings_gateway.usage()
    assert (paid["paid_inputs"], paid["refused"]) == (COUNT, 0)
    spent = asdict(usage(job, cluster))
    assert (spent["total_tokens"], spent["requests"]) == (paid["tokens"], paid["requests"])
    assert done["id"].tolist() == list(range(COUNT))
    assert np.array_equal(embeddings_of(done), worker_client(job).embed_documents(texts).embeddings)


def test_a_killed_worker_costs_at_most_what_it_had_in_flight(
    job_for: Any, cluster: Any, embeddings_gateway: Any, tmp_path: Any
) -> None:
    embeddings_gateway.configure(latency=0.05)
    job = job_for(batch_size=10, limit=Limit(concurrency=8), cache=tmp_path / "cache.sqlite")
    future = cluster.compute(job.dask(frame_of(COUNT, 20)))
    wait_for(lambda: embeddings_gateway.paid_inputs() > COUNT // 4, future)
    os.kill(next(iter(cluster.run(os.getpid).values())), signal.SIGKILL)
    done = future.result()
    assert done["id"].tolist() == list(range(COUNT))
    assert done["embedding_error"].isna().all()
    # Ten texts a request: four in flight, and as many whose answers were there and not yet in the cache.
    assert COUNT <= embeddings_gateway.paid_inputs() <= COUNT + (4 + 4) * 10
    texts = [f"text {number}" for number in range(COUNT)]
    assert np.array_equal(embeddings_of(done), worker_client(job).embed_documents(texts).embeddings)


def test_bad_texts_cost_their_rows_and_nothing_else(job_for: Any, cluster: Any, embeddings_gateway: Any) -> None:
    embeddings_gateway.trouble("refuse_text", contains="BAD", times=None)
    done = job_for(batch_size=100).dask(frame_of(10_000, 8, bad=100)).compute()
    bad = done["id"] % 100 == 0
    assert (done["embedding"].isna() == bad).all()
    assert done["embedding_error"][bad].str.startswith("InvalidRequestError").all()
    assert done["embedding_error"][~bad].isna().all()
    assert embeddings_gateway.paid_inputs() == 9_900


def test_no_plan_and_no_log_shows_a_key_or_a_text(job_for: Any, cluster: Any, embeddings_gateway: Any) -> None:
    embeddings_gateway.trouble("refuse_text", contains="BAD", times=None)
    embedded = job_for().dask(frame_of(10, 2, bad=5))
    embedded.compute()
    shown = [repr(embedded), str(embedded.expr.tree_repr()), repr(dict(embedded.__dask_graph__()))]
    shown += [repr(cluster.get_worker_logs()), repr(cluster.get_events())]
    assert not any("sk-the-key-of-the-tests" in text for text in shown)
    assert b"sk-the-key-of-the-tests" not in pickle.dumps(embedded)
    assert not any("BAD text 5" in text for text in shown[3:])


def test_the_example_runs() -> None:
    script = Path(__file__).parents[2] / "examples" / "engines" / "dask_example.py"
    environment = {name: value for name, value in os.environ.items() if name != "OPENROUTER_API_KEY"}
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    assert "InputError: The text is null." in done.stdout


def wait_for(holds: Any, future: Any) -> None:
    """Return once something holds, or the work is over."""
    while not holds() and not future.done():
        time.sleep(0.02)
    assert not future.done(), "The work was over before the worker could be killed."
