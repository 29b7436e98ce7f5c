"""The ledger: what a journal says after any end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pyarrow import fs

from openrouter_embeddings import Usage
from openrouter_embeddings_engines.folder import Folder
from openrouter_embeddings_engines.ledger import LEDGER, Attempt, Journal, read_attempts
from openrouter_embeddings_engines.report import report_on

SENT = Usage(requests=1)
AGAIN = Usage(requests=1, retries=1)
REPLAY = Usage(requests=1, retries=1, replays=1)
LANDED = Usage(prompt_tokens=40, total_tokens=40, cost=0.25)


@pytest.fixture(params=["lines", "pieces"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Folder:
    """A folder on a file system that can append, and on one that is taken for one that cannot."""
    if request.param == "lines":
        made = Folder(fs.LocalFileSystem(), str(tmp_path))
    else:
        made = Folder(fs.SubTreeFileSystem(str(tmp_path), fs.LocalFileSystem()), "")
    made.make(LEDGER)
    return made


def journal_of(folder: Folder, *spent: Usage, part: str = "part-a", run: str = "r1", number: int = 1) -> Journal:
    journal = Journal(folder, part, number=number, run=run, concurrency=4)
    for usage in spent:
        journal.add(usage)
    return journal


def attempt(**facts: Any) -> Attempt:
    return Attempt(part="part-a", name="0001-x", run="r1", concurrency=4, **facts)


def test_that_a_request_leaves_is_there_to_be_read_before_it_does(folder: Folder) -> None:
    journal_of(folder, SENT, LANDED, SENT)
    (found,) = read_attempts(folder)
    assert (found.part, found.run, found.end) == ("part-a", "r1", None)
    assert (found.usage.requests, found.usage.total_tokens, found.usage.cost) == (2, 40, 0.25)
    assert (found.landed, found.unanswered, found.dearest) == (1, 1, 0.25)


def test_a_summary_says_the_same_and_takes_the_journals_place(folder: Folder) -> None:
    journal = journal_of(folder, SENT, LANDED, SENT, AGAIN, LANDED)
    journal.end("committed", embedded=9, failed=1)
    (before,) = read_attempts(folder)
    journal.close()
    (after,) = read_attempts(folder)
    assert after == before
    assert (after.end, after.embedded, after.failed, after.unanswered, journal.requests) == ("committed", 9, 1, 0, 3)
    assert folder.names(LEDGER) == [f"part-a.{journal.attempt}.json"]


def test_a_line_that_was_being_written_at_the_kill_does_not_count(folder: Folder) -> None:
    journal_of(folder, SENT, LANDED, SENT)
    last = max(folder.names(LEDGER))
    folder.put(f"{LEDGER}/{last}", folder.read(f"{LEDGER}/{last}")[:-3])
    (found,) = read_attempts(folder)
    assert found.usage.requests == 1


@pytest.mark.parametrize(
    ("spent", "unanswered"),
    [
        ([], 0),
        ([SENT, SENT], 2),
        ([SENT, SENT, LANDED], 1),
        ([SENT, AGAIN, REPLAY], 1),
        ([SENT, Usage(server_cached=1)], 0),
        ([SENT, Usage(cached=7), Usage(shared=1), Usage(deduplicated=1)], 1),
        ([SENT] * 9, 4),
    ],
)
def test_what_may_have_been_in_flight_is_what_left_and_was_not_answered(spent: list[Usage], unanswered: int) -> None:
    found = attempt()
    for usage in spent:
        found = found.after({"usage": {name: value for name, value in usage.to_dict().items() if value}})
    assert found.unanswered == unanswered
    assert found.after({"end": "failed"}).unanswered == 0


def test_a_run_had_no_more_in_flight_than_it_may_over_all_its_parts(folder: Folder) -> None:
    for part in ("part-a", "part-b"):
        journal_of(folder, SENT, SENT, SENT, part=part)
    journal_of(folder, SENT, part="part-b", run="r2", number=2)
    report = report_on(read_attempts(folder), [], 2)
    assert report.unanswered == 4 + 1
    assert [part.unanswered for part in report.parts.values()] == [3, 4]
    assert "At most 5 requests are in flight" in str(report)


def test_failures_are_those_of_the_attempt_that_committed_and_usage_that_of_all(folder: Folder) -> None:
    for number, how in ((1, "failed"), (2, "committed")):
        journal = journal_of(folder, SENT, LANDED, number=number)
        journal.end(how, embedded=9 * (number - 1), failed=number - 1)  # type: ignore[arg-type]
        journal.close()
    report = report_on(read_attempts(folder), ["part-a"], 0)
    part = report.parts["part-a"]
    assert (part.attempts, part.embedded, part.failed, part.usage.total_tokens) == (2, 9, 1, 80)
    assert (report.usage.cost, report.cost_at_most) == (0.5, 0.5)
    assert report_on([], [], 3).cost_at_most == 0.0
