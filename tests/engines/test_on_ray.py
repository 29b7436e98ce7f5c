"""A job on Ray Data: actors on two logical CPUs of this machine."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
import pytest

from openrouter_embeddings import ConfigurationError
from openrouter_embeddings_engines import EmbedJob, Limit, worker_client

from .sizes import IS_ASKED_FOR, sized

pytestmark = [
    pytest.mark.skipif(not IS_ASKED_FOR, reason="nox -s engines runs it"),
    pytest.mark.slow,
]
ray = pytest.importorskip("ray")
pytest.importorskip("ray.data")

KEY = "sk-the-key-of-the-tests"
COUNT = sized(50_000, 4_000)


def dataset_of(count: int, blocks: int, bad: int = 0) -> Any:
    """Return rows of which every so manyth is bad."""
    size = -(-count // blocks)
    return ray.data.from_arrow([rows_of(first, min(first + size, count), bad) for first in range(0, count, size)])


def rows_of(first: int, end: int, bad: int) -> pa.Table:
    texts = [f"{'BAD ' if bad and number % bad == 0 else ''}text {number}" for number in range(first, end)]
    return pa.table({"id": range(first, end), "text": texts})


def collected(dataset: Any) -> pa.Table:
    """Return all rows, by their ids."""
    return pa.concat_tables(ray.get(dataset.to_arrow_refs())).sort_by("id")


def assert_right(job: EmbedJob, table: pa.Table, count: int) -> None:
    """Each row is there once, with the embedding that one machine gives its text."""
    assert table.column("id").to_pylist() == list(range(count))
    assert table.column("embedding_error").null_count == count
    assert table.schema.field("embedding").type == pa.list_(pa.float32(), 8)
    ours = table.column("embedding").combine_chunks().values.to_numpy().reshape(-1, 8)
    texts = [f"text {number}" for number in range(count)]
    assert np.array_equal(ours, worker_client(job).embed_documents(texts).embeddings)


@pytest.fixture(scope="module", autouse=True)
def session_folder():
    os.environ["OPENROUTER_API_KEY"] = KEY
    started = ray.init(num_cpus=2, include_dashboard=False, object_store_memory=200_000_000, log_to_driver=False)
    ray.data.DataContext.get_current().enable_progress_bars = False
    yield Path(started.address_info["session_dir"])
    ray.shutdown()


class Assassin(threading.Thread):
    """Does something once so many texts are paid."""

    def __init__(self, gateway: Any, paid: int, act: Callable[[], None]) -> None:
        super().__init__()
        self._gateway, self._paid, self._act = gateway, paid, act
        self.has_acted = threading.Event()
        self.is_over = threading.Event()

    def run(self) -> None:
        while not self.is_over.is_set():
            if self._gateway.paid_inputs() >= self._paid:
                self._act()
                self.has_acted.set()
                return
            time.sleep(0.02)

    def __enter__(self) -> Assassin:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.is_over.set()
        self.join()


def kill_a_worker() -> None:
    mine = psutil.Process().children(recursive=True)
    os.kill(next(child for child in mine if "MapWorker" in " ".join(child.cmdline())).pid, signal.SIGKILL)


def test_a_killed_worker_costs_at_most_what_it_had_in_flight(
    job_for: Any, embeddings_gateway: Any, tmp_path: Any
) -> None:
    embeddings_gateway.configure(latency=0.05, cap=4)
    job = job_for(batch_size=10, limit=Limit(concurrency=4), cache=tmp_path / "cache.sqlite")
    with Assassin(embeddings_gateway, COUNT // 3, kill_a_worker) as assassin:
        table = collected(job.ray(dataset_of(COUNT, 16), workers=2, batch_rows=250))
    assert assassin.has_acted.is_set()
    # Ten texts a request: two in flight, and as many whose answers were there and not yet in the cache.
    assert COUNT <= embeddings_gateway.paid_inputs() <= COUNT + (2 + 2) * 10
    assert_right(job, table, COUNT)


def test_bad_texts_cost_their_rows_and_actors_stall_no_repartition(job_for: Any, embeddings_gateway: Any) -> None:
    embeddings_gateway.trouble("refuse_text", contains="BAD", times=None)
    table = collected(job_for(batch_size=100).ray(dataset_of(10_000, 8, bad=100), workers=2).repartition(3))
    bad = np.arange(10_000) % 100 == 0
    assert np.array_equal(np.array(table.column("embedding").is_null()), bad)
    reasons = table.column("embedding_error").to_pylist()
    assert [reason is not None for reason in reasons] == bad.tolist()
    assert {reason.partition(":")[0] for reason in reasons if reason} == {"InvalidRequestError"}
    assert embeddings_gateway.paid_inputs() == 9_900


def test_the_limiter_may_be_killed_and_nothing_is_lost_or_flooded(job_for: Any, embeddings_gateway: Any) -> None:
    embeddings_gateway.configure(latency=0.3, cap=8)
    job = job_for(batch_size=10, limit=Limit(concurrency=8))

    def kill_the_limiter() -> None:
        names = [named["name"] for named in ray.util.list_named_actors(all_namespaces=True)]
        name = next(name for name in names if name.startswith("openrouter-embeddings-limiter"))
        ray.kill(ray.get_actor(name), no_restart=False)

    with Assassin(embeddings_gateway, COUNT // 3, kill_the_limiter) as assassin:
        table = collected(job.ray(dataset_of(COUNT, 16), workers=2, batch_rows=250, limiter="actor"))
    assert assassin.has_acted.is_set()
    usage = embeddings_gateway.usage()
    assert (usage["paid_inputs"], usage["refused"]) == (COUNT, 0)
    assert usage["max_in_flight"] <= 8
    assert_right(job, table, COUNT)


def test_an_option_that_cannot_be_right_is_refused_when_the_plan_is_made(job_for: Any) -> None:
    with pytest.raises(ConfigurationError, match="limiter takes None or 'actor', not 'redis'"):
        job_for().ray(dataset_of(2, 1), limiter="redis")
    with pytest.raises(ConfigurationError, match=r"Limit\(at=...\) and limiter='actor' do the same"):
        job_for(limit=Limit(at="$REDIS_URL")).ray(dataset_of(2, 1), limiter="actor")
    with pytest.raises(ConfigurationError, match="workers takes"):
        job_for().ray(dataset_of(2, 1), workers=0)


def test_the_example_runs() -> None:
    script = Path(__file__).parents[2] / "examples" / "engines" / "ray_example.py"
    environment = {name: value for name, value in os.environ.items() if name != "OPENROUTER_API_KEY"}
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    assert "InputError: The text is empty." in done.stdout


def test_no_plan_and_no_log_shows_a_key_or_a_text(job_for: Any, session_folder: Path) -> None:
    """Runs last: the logs are those of all tests of this file."""
    from ray.data._internal.metadata_exporter import sanitize_for_struct

    dataset = job_for().ray(dataset_of(2, 1), workers=1)
    literal = job_for(api_key=KEY, allow_literal_key=True)
    shown = [
        repr(dataset),
        repr(sanitize_for_struct(job_for())),
        repr(sanitize_for_struct(literal)),
    ]
    assert KEY not in " ".join(shown)
    assert KEY.encode() not in pickle.dumps(job_for())
    logs = [
        path
        for path in session_folder.rglob("*")
        if path.is_file() and path.suffix in {".log", ".out", ".err", ".json", ""}
    ]
    assert logs
    for path in logs:
        content = path.read_bytes()
        assert KEY.encode() not in content, path.name
        assert b"BAD text 100" not in content, path.name
