"""Files in, files out: every row, once, whatever happened in between."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from pyarrow import fs

from openrouter_embeddings import (
    AuthenticationError,
    BudgetExceededError,
    ConfigurationError,
    InputError,
    ProviderUnavailableError,
    track_usage,
)
from openrouter_embeddings_engines import EmbedJob, Limit, worker_client
from openrouter_embeddings_engines import files as files_module
from openrouter_embeddings_engines.folder import Folder
from openrouter_embeddings_engines.ledger import Journal

RUN = Path(__file__).parent / "run_files.py"


def write(path: Path, texts: list[str | None], *, first: int = 0, group: int = 100) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table({"id": range(first, first + len(texts)), "text": pa.array(texts, pa.string())})
    pq.write_table(table, path, row_group_size=group)


@pytest.fixture
def rows(tmp_path: Path) -> list[str]:
    """Two files of 250 and 50 rows; a part of 100 rows begins in the middle of a row group."""
    texts = [f"the text of row {number}" for number in range(300)]
    write(tmp_path / "in/a.parquet", texts[:250], group=70)
    write(tmp_path / "in/b.parquet", texts[250:], first=250)
    return texts


def read(folder: Path) -> pa.Table:
    return ds.dataset(folder, format="parquet").to_table().sort_by("id")


def embeddings_in(folder: Path) -> np.ndarray:
    return np.array(read(folder).column("embedding").to_pylist(), dtype=np.float32)


def parts_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("part-*.parquet"))


def assert_all_there(job: EmbedJob, folder: Path, texts: list[str]) -> None:
    table = read(folder)
    assert table.column("id").to_pylist() == list(range(len(texts)))
    assert table.column("text").to_pylist() == texts
    assert np.array_equal(embeddings_in(folder), worker_client(job).embed_documents(texts).embeddings)


def assert_equals_the_servers(report: Any, gateway: Any) -> None:
    used = gateway.usage()
    assert report.usage.total_tokens == used["tokens"]
    assert report.usage.cost == pytest.approx(used["cost"], rel=1e-9)
    assert report.usage.requests == used["requests"]


def test_every_row_is_embedded_and_the_report_equals_the_servers_total(
    job_for: Any, embeddings_gateway: Any, tmp_path: Path, rows: list[str]
) -> None:
    job = job_for(batch_size=16)
    with track_usage() as used:
        report = job.files(tmp_path / "in", tmp_path / "out", part_rows=100)
    assert_equals_the_servers(report, embeddings_gateway)
    assert used.total_tokens == report.usage.total_tokens
    assert embeddings_gateway.paid_inputs() == 300
    assert (report.embedded, report.failed, report.open_parts, report.unanswered) == (300, 0, 0, 0)
    assert len(parts_in(tmp_path / "out")) == len(report.parts) == 4
    assert str(report).startswith("4 of 4 parts: 300 embeddings, 0 rows without one.\n")
    assert job.report(tmp_path / "out") == report
    assert_all_there(job, tmp_path / "out", rows)


def test_a_second_run_finds_everything_done(
    job_for: Any, embeddings_gateway: Any, tmp_path: Path, rows: list[str]
) -> None:
    report = job_for().files(str(tmp_path / "in/*.parquet"), tmp_path / "out", part_rows=100)
    requests = len(embeddings_gateway.requests())
    assert job_for().files(tmp_path / "in", tmp_path / "out", part_rows=100) == report
    assert len(embeddings_gateway.requests()) == requests


def test_files_that_are_added_are_taken_along(
    job_for: Any, embeddings_gateway: Any, tmp_path: Path, rows: list[str]
) -> None:
    job_for().files(tmp_path / "in", tmp_path / "out", part_rows=100)
    write(tmp_path / "in/0-before-all-others.parquet", ["one more"], first=300)
    report = job_for().files(tmp_path / "in", tmp_path / "out", part_rows=100)
    assert embeddings_gateway.paid_inputs() == 301
    assert report.embedded == 301
    assert_equals_the_servers(report, embeddings_gateway)


def test_a_hundred_bad_texts_in_ten_thousand_cost_their_rows_alone(
    job_for: Any, embeddings_gateway: Any, tmp_path: Path
) -> None:
    embeddings_gateway.trouble("refuse_text", contains="BAD", times=None)
    texts = [f"BAD text {number}" if number % 100 == 37 else f"text {number}" for number in range(10_000)]
    write(tmp_path / "in/rows.parquet", texts, group=4096)
    report = job_for().files(tmp_path / "in", tmp_path / "out", part_rows=2500)
    table = read(tmp_path / "out")
    reasons = table.column("embedding_error").to_pylist()
    assert (report.embedded, report.failed) == (9900, 100)
    assert table.column("embedding").null_count == 100
    assert table.schema.field("embedding").type == pa.list_(pa.field("element", pa.float32()))
    assert [number for number, reason in enumerate(reasons) if reason] == list(range(37, 10_000, 100))
    assert all(reason.startswith("InvalidRequestError: ") for reason in reasons if reason)
    assert embeddings_gateway.paid_inputs() == 9900
    assert_equals_the_servers(report, embeddings_gateway)


# ------------------------------------------------------------------------------------------------------------- killed


def killed_run(source: Path, target: Path, address: str, **how: Any) -> subprocess.Popen[bytes]:
    order = json.dumps({"source": str(source), "target": str(target), "base_url": address, **how})
    environment = {**os.environ, "OPENROUTER_API_KEY": "sk-the-key-of-the-tests"}
    return subprocess.Popen([sys.executable, str(RUN), order], env=environment)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
@pytest.mark.parametrize("moment", ["landed", "written", "ended", "moved"])
def test_killed_at_any_step_with_nothing_in_flight_the_report_is_exact(
    job_for: Any, embeddings_gateway: Any, tmp_path: Path, rows: list[str], moment: str
) -> None:
    """Each kill loses what its open part had, and its account survives."""
    job = job_for(batch_size=16, limit=Limit(concurrency=1))
    for _ in range(2 if moment == "landed" else 1):
        run = killed_run(tmp_path / "in", tmp_path / "out", embeddings_gateway.base_url, moment=moment, parts=1)
        assert run.wait() == -signal.SIGKILL
        report = job.report(tmp_path / "out")
        assert report.usage.total_tokens == embeddings_gateway.usage()["tokens"] > 0
    report = job.files(tmp_path / "in", tmp_path / "out", part_rows=100)
    assert_equals_the_servers(report, embeddings_gateway)
    assert (report.embedded, report.open_parts, report.unanswered) == (300, 0, 0)
    assert embeddings_gateway.paid_inputs() <= 300 + 2 * 100
    assert not [name for name in (tmp_path / "out").iterdir() if name.suffix == ".tmp"]
    assert_all_there(job, tmp_path / "out", rows)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
def test_what_was_in_flight_at_a_kill_is_a_bound_in_the_report(
    job_for: Any, embeddings_gateway: Any, tmp_path: Path, rows: list[str]
) -> None:
    """The gateway holds every request for a while, so that the kill meets some in flight: it alone knows their price."""
    embeddings_gateway.configure(latency=0.5)
    run = killed_run(tmp_path / "in", tmp_path / "out", embeddings_gateway.base_url, concurrency=3)
    while embeddings_gateway.usage()["in_flight"] < 2 or embeddings_gateway.usage()["tokens"] == 0:
        assert run.poll() is None
    run.kill()
    run.wait()
    job = job_for(batch_size=16, limit=Limit(concurrency=3))
    killed = job.report(tmp_path / "out")
    embeddings_gateway.configure(latency=0.0)
    while embeddings_gateway.usage()["in_flight"]:
        pass
    billed = embeddings_gateway.usage()
    per_request = 16 * 10
    assert 1 <= killed.unanswered <= 3
    assert killed.usage.total_tokens <= billed["tokens"] <= killed.usage.total_tokens + per_request * killed.unanswered
    assert killed.usage.cost <= billed["cost"] <= killed.cost_at_most * 1.5  # texts differ in length
    assert f"At most {killed.unanswered} requests are in flight, or were when a run was killed" in str(killed)
    report = job.files(tmp_path / "in", tmp_path / "out", part_rows=100)
    unknown = billed["tokens"] - killed.usage.total_tokens
    assert report.usage.total_tokens == embeddings_gateway.usage()["tokens"] - unknown
    assert report.unanswered == killed.unanswered
    assert embeddings_gateway.paid_inputs() <= 300 + 4 * 100
    assert_all_there(job, tmp_path / "out", rows)


@pytest.mark.skipif(sys.platform == "win32", reason="no such signal there")
def test_interrupted_it_waits_for_what_is_in_flight_and_the_report_is_exact(
    job_for: Any, embeddings_gateway: Any, tmp_path: Path, rows: list[str]
) -> None:
    embeddings_gateway.configure(latency=0.5)
    run = killed_run(tmp_path / "in", tmp_path / "out", embeddings_gateway.base_url, concurrency=3)
    while embeddings_gateway.usage()["in_flight"] < 2:
        assert run.poll() is None
    run.send_signal(signal.SIGINT)
    assert run.wait() not in {0, -signal.SIGKILL}
    report = job_for(batch_size=16).report(tmp_path / "out")
    assert_equals_the_servers(report, embeddings_gateway)
    assert report.unanswered == 0
    assert report.open_parts > 0


@pytest.mark.skipif(sys.platform == "win32", reason="no such signal there")
def test_ctrl_c_that_a_part_s_thread_receives_ends_the_run_before_the_part_is_through(
    job_for: Any, embeddings_gateway: Any, tmp_path: Path, rows: list[str]
) -> None:
    embeddings_gateway.configure(latency=0.3)
    run = killed_run(tmp_path / "in", tmp_path / "out", embeddings_gateway.base_url, moment="interrupted")
    assert run.wait() != 0
    assert len(embeddings_gateway.embedding_requests()) < 7, "requests of a part"
    assert_equals_the_servers(job_for(batch_size=16).report(tmp_path / "out"), embeddings_gateway)


def test_a_part_has_64_megabytes_and_a_folder_keeps_the_size_that_it_was_begun_with(
    job_for: Any, tmp_path: Path, rows: list[str]
) -> None:
    job_for(dimensions=1024).files(tmp_path / "in", tmp_path / "wide")
    assert json.loads((tmp_path / "wide/_job.json").read_bytes())["facts"]["part_rows"] == 16_384
    job_for().files(tmp_path / "in", tmp_path / "out", part_rows=100)
    assert len(job_for().files(tmp_path / "in", tmp_path / "out").parts) == 4


def test_a_report_may_be_asked_for_while_the_job_runs(
    job_for: Any, embeddings_gateway: Any, tmp_path: Path, rows: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A journal that has become a summary since it was listed is read as the summary; nothing is counted twice."""
    job, seen = job_for(batch_size=16), []
    close = Journal.close

    def closing(journal: Journal) -> None:
        with monkeypatch.context() as patch:
            listed = Folder.names

            def names(folder: Folder, within: str = "") -> list[str]:
                found = listed(folder, within)
                if within:
                    close(journal)
                return found

            patch.setattr(Folder, "names", names)
            seen.append(job.report(tmp_path / "out").usage.total_tokens)

    monkeypatch.setattr(files_module, "parts_at_once", lambda *_: 1)
    monkeypatch.setattr(Journal, "close", closing)
    report = job.files(tmp_path / "in", tmp_path / "out", part_rows=100)
    assert len(seen) == 4
    assert seen[-1] == report.usage.total_tokens == embeddings_gateway.usage()["tokens"]


def test_a_cache_makes_a_kill_cost_nothing(
    job_for: Any, embeddings_gateway: Any, tmp_path: Path, rows: list[str]
) -> None:
    cache = str(tmp_path / "cache.sqlite")
    run = killed_run(
        tmp_path / "in", tmp_path / "out", embeddings_gateway.base_url, moment="landed", parts=1, cache=cache
    )
    assert run.wait() == -signal.SIGKILL
    report = job_for(batch_size=16, cache=cache).files(tmp_path / "in", tmp_path / "out", part_rows=100)
    assert embeddings_gateway.paid_inputs() == 300
    assert report.usage.cached == 100
    assert_equals_the_servers(report, embeddings_gateway)


# -------------------------------------------------------------------------------------------------------------- ended


def test_what_ends_the_job_leaves_what_is_committed_and_an_exact_report(
    job_for: Any, embeddings_gateway: Any, tmp_path: Path, rows: list[str]
) -> None:
    embeddings_gateway.trouble("status", status=401, times=None, after=9)
    job = job_for(batch_size=16, limit=Limit(concurrency=4))
    with pytest.raises(AuthenticationError, match=r"in/.*parquet, from row \d+ on: "):
        job.files(tmp_path / "in", tmp_path / "out", part_rows=100)
    report = job.report(tmp_path / "out")
    assert_equals_the_servers(report, embeddings_gateway)
    assert report.unanswered == 0
    embeddings_gateway.reset()
    again = job.files(tmp_path / "in", tmp_path / "out", part_rows=100)
    assert again.usage.total_tokens == report.usage.total_tokens + embeddings_gateway.usage()["tokens"]
    assert_all_there(job, tmp_path / "out", rows)


def test_refusals_and_replays_are_counted(
    job_for: Any, embeddings_gateway: Any, tmp_path: Path, rows: list[str]
) -> None:
    embeddings_gateway.trouble("status", status=500, times=2, after=3)
    report = job_for(batch_size=16).files(tmp_path / "in", tmp_path / "out", part_rows=100)
    assert_equals_the_servers(report, embeddings_gateway)
    assert report.usage.retries == report.usage.replays == 2


def test_the_budget_holds_over_all_runs(job_for: Any, embeddings_gateway: Any, tmp_path: Path, rows: list[str]) -> None:
    whole = job_for(batch_size=16).files(tmp_path / "in", tmp_path / "all", part_rows=100).usage.cost
    embeddings_gateway.reset()
    limit = Limit(concurrency=1)
    job = job_for(batch_size=16, limit=limit, max_cost=whole * 0.6)
    for _ in range(3):
        with pytest.raises(BudgetExceededError):
            job.files(tmp_path / "in", tmp_path / "out", part_rows=100)
    assert embeddings_gateway.usage()["cost"] <= whole * 0.6
    assert_equals_the_servers(job.report(tmp_path / "out"), embeddings_gateway)
    report = job_for(batch_size=16, limit=limit, max_cost=whole * 3).files(
        tmp_path / "in", tmp_path / "out", part_rows=100
    )
    assert report.open_parts == 0


def test_a_budget_that_is_used_up_is_said_before_any_request(
    job_for: Any, embeddings_gateway: Any, tmp_path: Path, rows: list[str]
) -> None:
    job_for().files(tmp_path / "in/a.parquet", tmp_path / "out", part_rows=100)
    requests = len(embeddings_gateway.requests())
    with pytest.raises(BudgetExceededError, match=r"Earlier runs have spent .* Raise max_cost"):
        job_for(max_cost=1e-9).files(tmp_path / "in", tmp_path / "out", part_rows=100)
    assert len(embeddings_gateway.requests()) == requests


def test_a_bad_row_that_is_to_end_the_job_is_named_by_file_and_row(
    job_for: Any, tmp_path: Path, rows: list[str]
) -> None:
    write(tmp_path / "in/b.parquet", ["fine", None], first=250)
    with pytest.raises(InputError, match=r"b\.parquet, from row 0 on: Row 1 of the table: The text is null"):
        job_for(on_error="raise").files(tmp_path / "in", tmp_path / "out", part_rows=100)


def test_an_outage_ends_the_job_and_no_row_is_marked_as_bad(
    job_for: Any, embeddings_gateway: Any, tmp_path: Path, rows: list[str]
) -> None:
    embeddings_gateway.trouble("status", status=503, times=None)
    job = job_for(retry_timeout=0)
    with pytest.raises(ProviderUnavailableError):
        job.files(tmp_path / "in", tmp_path / "out", part_rows=100)
    assert parts_in(tmp_path / "out") == []


# ------------------------------------------------------------------------------------------------------------ refused


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"dimensions": 4}, r"dimensions \(8 there, 4 here\)"),
        ({"out": "vector"}, r"out \('embedding' there, 'vector' here\)"),
        ({"document_prefix": "passage: "}, "document_prefix"),
        ({"part_rows": 50}, r"part_rows \(100 there, 50 here\)"),
    ],
)
def test_a_job_of_another_configuration_is_refused(
    job_for: Any, embeddings_gateway: Any, tmp_path: Path, rows: list[str], changed: dict[str, Any], says: str
) -> None:
    job_for().files(tmp_path / "in", tmp_path / "out", part_rows=100)
    requests = len(embeddings_gateway.requests())
    given = {"part_rows": 100} | changed
    with pytest.raises(ConfigurationError, match=f"belongs to another job: {says}"):
        job_for(**{name: value for name, value in given.items() if name != "part_rows"}).files(
            tmp_path / "in", tmp_path / "out", part_rows=given["part_rows"]
        )
    assert len(embeddings_gateway.requests()) == requests


def test_limits_budgets_and_retries_may_differ_from_run_to_run(job_for: Any, tmp_path: Path, rows: list[str]) -> None:
    job_for().files(tmp_path / "in", tmp_path / "out", part_rows=100)
    other = job_for(limit=Limit(concurrency=2), max_cost=5, max_retries=1, on_error="raise", timeout=5)
    assert other.files(tmp_path / "in", tmp_path / "out", part_rows=100).open_parts == 0


def test_a_source_that_has_changed_is_refused(job_for: Any, tmp_path: Path, rows: list[str]) -> None:
    job_for().files(tmp_path / "in", tmp_path / "out", part_rows=100)
    write(tmp_path / "in/b.parquet", ["another"])
    with pytest.raises(ConfigurationError, match=r"'b\.parquet' has changed since this folder was begun"):
        job_for().files(tmp_path / "in", tmp_path / "out", part_rows=100)


def test_sources_that_cannot_be_are_refused(job_for: Any, tmp_path: Path, rows: list[str]) -> None:
    job = job_for()
    for source, says in [
        (tmp_path / "nothing", "There is no Parquet file"),
        (tmp_path / "*/a.parquet", "names of files only"),
        ([], "The list of sources is empty"),
        ("nowhere://bucket/in", "No file system is known for nowhere://"),
    ]:
        with pytest.raises(ConfigurationError, match=says):
            job.files(source, tmp_path / "out")
    with pytest.raises(ConfigurationError, match="The source lies in the target"):
        job.files(tmp_path / "in", tmp_path)
    with pytest.raises(ConfigurationError, match="part_rows takes"):
        job.files(tmp_path / "in", tmp_path / "out", part_rows=-1)
    with pytest.raises(ConfigurationError, match="more numbers than an Arrow list holds"):
        job.files(tmp_path / "in", tmp_path / "out", part_rows=2**29)
    (tmp_path / "broken.parquet").write_bytes(b"not parquet at all")
    with pytest.raises(ConfigurationError, match="cannot be read as Parquet"):
        job.files(tmp_path / "broken.parquet", tmp_path / "out")
    with pytest.raises(ConfigurationError, match="No job has written into the target"):
        job.report(tmp_path / "in")


@pytest.mark.skipif(sys.platform == "win32", reason="no such locks there")
def test_one_run_at_a_time_writes_into_a_folder(
    job_for: Any, tmp_path: Path, rows: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    job, refused = job_for(), []
    plan = files_module.settled_plan

    def meanwhile(*arguments: Any) -> Any:
        if threading.current_thread() is threading.main_thread() and not refused:
            refused.append(None)
            with pytest.raises(ConfigurationError, match="Another run is writing"):
                job.files(tmp_path / "in", tmp_path / "out", part_rows=100)
        return plan(*arguments)

    monkeypatch.setattr(files_module, "settled_plan", meanwhile)
    job.files(tmp_path / "in", tmp_path / "out", part_rows=100)
    assert refused


# ----------------------------------------------------------------------------------------------------- file systems


def test_a_list_of_files_a_file_without_rows_and_an_address(job_for: Any, tmp_path: Path, rows: list[str]) -> None:
    write(tmp_path / "in/none.parquet", [])
    names = [str(tmp_path / "in" / name) for name in ("b.parquet", "none.parquet")]
    report = job_for().files(names, (tmp_path / "out").as_uri())
    assert (report.embedded, len(report.parts)) == (50, 2)
    assert read(tmp_path / "out").num_rows == 50


def test_a_file_system_may_be_given_in_place_of_addresses(job_for: Any, tmp_path: Path, rows: list[str]) -> None:
    below = fs.SubTreeFileSystem(str(tmp_path), fs.LocalFileSystem())
    assert job_for().files("in/a.parquet", "below", filesystem=below).embedded == 250
    local = pytest.importorskip("fsspec").filesystem("file")
    assert job_for().files(str(tmp_path / "in/a.parquet"), str(tmp_path / "local"), filesystem=local).embedded == 250
    assert len(read(tmp_path / "below")) == len(read(tmp_path / "local")) == 250


def test_an_fsspec_file_system_without_appending_keeps_the_same_account(
    job_for: Any, embeddings_gateway: Any, rows: list[str], tmp_path: Path
) -> None:
    fsspec = pytest.importorskip("fsspec")
    memory = fsspec.filesystem("memory")
    try:
        memory.put(str(tmp_path / "in/a.parquet"), "/in/a.parquet")
        embeddings_gateway.trouble("status", status=401, times=None, after=9)
        job = job_for(batch_size=16, limit=Limit(concurrency=2))
        with pytest.raises(AuthenticationError):
            job.files("/in", "/out", filesystem=memory, part_rows=100)
        assert_equals_the_servers(job.report("/out", filesystem=memory), embeddings_gateway)
        embeddings_gateway.trouble("status", status=500)
        embeddings_gateway.reset()
        report = job.files("memory://in", "memory://out", part_rows=100)
        assert (report.embedded, report.open_parts) == (250, 0)
        assert not [name for name in memory.find("/out") if name.endswith(("jsonl", ".tmp"))]
        found = ds.dataset("/out", format="parquet", filesystem=fs.PyFileSystem(fs.FSSpecHandler(memory))).to_table()
        assert found.num_rows == 250
    finally:
        memory.store.clear()


def test_the_key_is_in_no_file_and_no_report(
    job_for: Any, tmp_path: Path, rows: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("DEBUG"):
        report = job_for().files(tmp_path / "in", tmp_path / "out", part_rows=100)
    written = b"".join(path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file())
    assert b"sk-the-key" not in written
    assert "sk-the-key" not in f"{report} {report!r} {caplog.text}"
