"""A job on Daft: its own runner, which runs everything in this process."""

from __future__ import annotations

import logging
import pickle
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow.parquet
import pytest

from openrouter_embeddings import AuthenticationError, Client, ConfigurationError
from openrouter_embeddings_engines import EmbedJob, Limit

from .processes import connected_to
from .sizes import IS_ASKED_FOR, sized

if not IS_ASKED_FOR:
    pytest.skip("needs Daft: nox -s engines", allow_module_level=True)

import daft
from daft import col
from daft.functions import embed_text

KEY = "sk-the-key-of-the-tests"


def frame_of(texts: list[str | None]) -> daft.DataFrame:
    return daft.from_pydict({"id": list(range(len(texts))), "text": texts})


def embeddings_of(frame: daft.DataFrame) -> tuple[list[int], list[Any]]:
    columns = frame.to_pydict()
    return columns["id"], columns["embedding"]


def is_right(job: EmbedJob, ids: list[int], embeddings: list[Any], texts: list[str | None]) -> bool:
    """Return whether each id is there once, with the embedding that one machine gives it."""
    with Client(job.model, **job.options) as client:
        wanted = client.embed_documents(texts).embeddings
    return sorted(ids) == list(range(len(texts))) and np.array_equal(np.array(embeddings), wanted[ids])


def by_embed_text(job: EmbedJob, frame: daft.DataFrame) -> daft.DataFrame:
    return frame.with_column("embedding", embed_text(col("text"), provider=job.daft(), model=job.model, dimensions=8))


def by_job(job: EmbedJob, frame: daft.DataFrame) -> daft.DataFrame:
    return job.daft(frame)


@pytest.mark.parametrize("embed", [by_job, by_embed_text])
def test_every_row_gets_its_embedding_once(job_for: Any, embeddings_gateway: Any, embed: Any) -> None:
    job = job_for()
    texts = [f"text {number}" for number in range(sized(50_000, 10_000))]
    frame = embed(job, frame_of(texts))
    assert str(frame.schema()["embedding"].dtype) == "Embedding[Float32; 8]"
    found = embeddings_of(frame)
    assert embeddings_gateway.paid_inputs() == len(texts)
    assert is_right(job, *found, texts)


@pytest.mark.parametrize("embed", [by_job, by_embed_text])
def test_all_batches_together_keep_to_the_limit(job_for: Any, embeddings_gateway: Any, embed: Any) -> None:
    embeddings_gateway.configure(latency=0.05)
    job = job_for(limit=Limit(concurrency=4), batch_size=50)
    embed(job, frame_of([f"text {number}" for number in range(5000)])).collect()
    assert embeddings_gateway.usage()["max_in_flight"] == 4


def test_a_bad_row_costs_its_embedding_alone(job_for: Any, embeddings_gateway: Any) -> None:
    embeddings_gateway.trouble("refuse_text", contains="BAD", times=None)
    texts = [f"BAD {number}" if number % 100 == 0 else f"text {number}" for number in range(10_000)]
    columns = job_for().daft(frame_of([*texts, None])).to_pydict()
    rows = zip(columns["id"], columns["embedding"], columns["embedding_error"], strict=True)
    without = sorted((row, error) for row, embedding, error in rows if embedding is None)
    assert [row for row, _ in without] == [*range(0, 10_000, 100), 10_000]
    assert all(error.startswith("InvalidRequestError: ") for _, error in without[:-1])
    assert without[-1] == (10_000, "InputError: The text is null.")
    assert columns["embedding_error"].count(None) == 9900
    assert embeddings_gateway.paid_inputs() == 9900


def test_embed_text_logs_why_a_row_has_none(
    job_for: Any, embeddings_gateway: Any, caplog: pytest.LogCaptureFixture
) -> None:
    embeddings_gateway.trouble("refuse_text", contains="BAD", times=None)
    with caplog.at_level(logging.WARNING, "openrouter_embeddings_engines"):
        ids, found = embeddings_of(by_embed_text(job_for(), frame_of(["a", "a BAD text", None])))
    assert [found[ids.index(row)] is None for row in range(3)] == [False, True, True]
    said = [record.getMessage() for record in caplog.records if record.name.startswith("openrouter_embeddings_engines")]
    assert said[0].startswith("2 of 3 texts have no embedding. First: InvalidRequestError: ")
    assert "a BAD text" not in said[0]


def test_rows_that_are_not_wanted_are_not_paid_for(job_for: Any, embeddings_gateway: Any) -> None:
    frame = job_for().daft(frame_of([f"text {number}" for number in range(3000)]))
    assert frame.count_rows() == 3000
    assert embeddings_gateway.paid_inputs() == 0
    assert len(frame.where(col("id") < 10).to_pydict()["embedding"]) == 10
    assert embeddings_gateway.paid_inputs() == 10
    assert len(frame.where(col("embedding_error").is_null()).to_pydict()["id"]) == 3000
    assert embeddings_gateway.paid_inputs() == 3010


def test_two_widths_in_one_plan_are_two_columns(job_for: Any, embeddings_gateway: Any) -> None:
    frame = frame_of(["a", "b"])
    for name, width in (("wide", 16), ("narrow", 4)):
        frame = frame.with_column(
            name, embed_text(col("text"), provider=job_for(dimensions=None).daft(), dimensions=width)
        )
    frame = job_for(out="middle").daft(frame).collect()
    lengths = {name: {len(row) for row in frame.to_pydict()[name]} for name in ("wide", "narrow", "middle")}
    assert lengths == {"wide": {16}, "narrow": {4}, "middle": {8}}


def test_what_ends_a_job_is_our_own_error(job_for: Any, embeddings_gateway: Any) -> None:
    embeddings_gateway.trouble("status", status=401, times=None)
    with pytest.raises(AuthenticationError, match="The key was refused") as raised:
        job_for().daft(frame_of(["a"])).collect()
    assert KEY not in str(raised.value)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (
            {"model": "acme/other"},
            "The job embeds with 'openai/text-embedding-3-small', embed_text asks for 'acme/other'",
        ),
        ({"dimensions": 4}, "The job asks for 8 dimensions, embed_text for 4"),
        ({"on_error": "ignore"}, "embed_text takes no on_error= here"),
    ],
)
def test_what_contradicts_the_job_is_refused(job_for: Any, options: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        embed_text(col("text"), provider=job_for().daft(), **options)


def test_columns_that_do_not_fit_are_refused_before_anything_runs(job_for: Any) -> None:
    with pytest.raises(ConfigurationError, match="Column 'text' holds int64, not strings"):
        job_for().daft(daft.from_pydict({"text": [1]}))
    with pytest.raises(ConfigurationError, match="The width of 'acme/unknown' is not known"):
        embed_text(col("text"), provider=EmbedJob("acme/unknown").daft())


def test_a_frame_without_rows_stays_without(job_for: Any, embeddings_gateway: Any) -> None:
    frame = job_for().daft(frame_of(["a"]).where(col("id") > 5)).collect()
    assert len(frame) == 0
    assert embeddings_gateway.paid_inputs() == 0


@pytest.mark.parametrize("embed", [by_job, by_embed_text])
def test_no_plan_shows_the_key(
    job_for: Any, embeddings_gateway: Any, capfd: pytest.CaptureFixture[str], embed: Any
) -> None:
    frame = embed(job_for(), frame_of(["a"]))
    frame.explain(show_all=True)
    frame.collect()
    shown = capfd.readouterr()
    assert "embed_text" in shown.out
    assert KEY not in shown.out + shown.err + repr(frame)


COUNT = 4000
SCRIPT = f"""
import daft, pickle, sys
job, folder = pickle.load(open(sys.argv[1] + "/job", "rb")), sys.argv[1]
if "ray" in sys.argv:
    import ray
    ray.init(num_cpus=2, include_dashboard=False, _node_ip_address="127.0.0.1", object_store_memory=200_000_000)
    daft.set_runner_ray()
texts = [f"text {{number}}" for number in range({COUNT})]
job.daft(daft.from_pydict({{"id": list(range({COUNT})), "text": texts}})).write_parquet(folder + "/out")
"""


def started(job: EmbedJob, folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """Start a job in a process of its own."""
    (folder / "job").write_bytes(pickle.dumps(job))
    command = [sys.executable, "-c", SCRIPT, str(folder), *arguments]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def wait_for(process: subprocess.Popen[bytes], gateway: Any) -> None:
    """Wait until a quarter is paid for."""
    while gateway.paid_inputs() < COUNT // 4:
        assert process.poll() is None
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.02)


def written(folder: Path) -> tuple[list[int], list[Any]]:
    columns = pyarrow.parquet.read_table(folder / "out", columns=["id", "embedding"]).to_pydict()
    return columns["id"], columns["embedding"]


def test_a_killed_job_run_again_pays_for_what_was_in_flight(
    job_for: Any, embeddings_gateway: Any, tmp_path: Path
) -> None:
    embeddings_gateway.configure(latency=0.1)
    job = job_for(limit=Limit(concurrency=4), batch_size=50, cache=tmp_path / "cache.sqlite")
    first = started(job, tmp_path)
    wait_for(first, embeddings_gateway)
    first.kill()
    assert first.wait() != 0
    assert started(job, tmp_path).wait() == 0
    assert COUNT <= embeddings_gateway.paid_inputs() <= COUNT + 4 * 50
    assert is_right(job, *written(tmp_path), [f"text {number}" for number in range(COUNT)])


def test_on_ray_a_killed_worker_costs_at_most_what_it_had_in_flight(
    job_for: Any, embeddings_gateway: Any, tmp_path: Path
) -> None:
    pytest.importorskip("ray")
    embeddings_gateway.configure(latency=0.1)
    job = job_for(limit=Limit(concurrency=4), batch_size=50, cache=tmp_path / "cache.sqlite")
    run = started(job, tmp_path, "ray")
    wait_for(run, embeddings_gateway)
    connected_to(embeddings_gateway.base_url, psutil.Process(run.pid))[0].kill()
    assert run.wait() == 0
    assert embeddings_gateway.usage()["max_in_flight"] <= 4
    assert COUNT <= embeddings_gateway.paid_inputs() <= COUNT + 4 * 50
    assert is_right(job, *written(tmp_path), [f"text {number}" for number in range(COUNT)])
