"""Inputs as they come: one bad row costs one row, and is told by its own number."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as parquet
import pytest

BAD = "bad.jsonl"


def listed() -> list[dict]:
    return [json.loads(line) for line in Path(BAD).read_text(encoding="utf-8").splitlines()]


def jsonl(*rows) -> str:
    Path("in.jsonl").write_text("".join((one if isinstance(one, str) else json.dumps(one)) + "\n" for one in rows))
    return "in.jsonl"


def test_a_line_that_is_not_utf8_fails_alone(embed):
    Path("in.txt").write_bytes(b"one\ncaf\xe9\nthree\n")
    assert embed("in.txt", "--out", "o.parquet", "--errors", BAD).exit_code == 3
    assert parquet.read_table("o.parquet")["id"].to_pylist() == [0, 2]
    assert [one["id"] for one in listed()] == [1]


def test_a_byte_order_mark_is_no_part_of_the_first_column(embed):
    Path("in.csv").write_bytes("\ufefftext,id\none,a\n".encode())
    assert embed("in.csv", "--id-column", "id", "--out", "o.parquet").exit_code == 0


def test_a_long_field_of_a_csv_is_read(embed):
    Path("in.csv").write_text("text\n" + "word " * 40_000 + "\n")
    assert embed("in.csv", "--out", "o.npy", "--on-too-long", "truncate").exit_code == 0


def test_a_csv_that_breaks_off_is_said(embed):
    Path("in.csv").write_text('text\none\n"two\n')
    result = embed("in.csv", "--out", "o.npy")
    assert result.exit_code == 2
    assert "CSV" in result.output
    assert not Path("o.npy").exists()


def test_a_broken_line_in_the_middle_fails_alone(embed):
    result = embed(
        jsonl({"text": "one"}, "{", {"body": "x"}, {"text": 4}, {"text": "five"}), "--out", "o.parquet", "--errors", BAD
    )
    assert result.exit_code == 3
    assert parquet.read_table("o.parquet")["id"].to_pylist() == [0, 4]
    assert [one["id"] for one in listed()] == [1, 2, 3]


@pytest.mark.parametrize("second", ["b", None, [1], True, 2**63], ids=["text", "none", "list", "true", "huge"])
def test_an_id_of_another_kind_fails_alone(embed, second):
    rows = jsonl({"id": 1, "text": "one"}, {"id": second, "text": "two"}, {"id": 3, "text": "three"})
    assert embed(rows, "--id-column", "id", "--out", "o.parquet", "--errors", BAD).exit_code == 3
    assert parquet.read_table("o.parquet")["id"].to_pylist() == [1, 3]
    assert len(listed()) == 1


def test_failures_with_one_id_are_counted_each(embed):
    rows = jsonl(*({"id": "same", "text": text} for text in ["one", "", "", "four"]))
    result = embed(rows, "--id-column", "id", "--out", "o.npy", "--errors", BAD)
    assert result.exit_code == 3
    assert "2 without one" in result.output
    assert len(listed()) == 2
    assert np.load("o.npy").shape == (2, 64)


def test_a_failure_is_told_by_its_row_not_by_its_place_in_a_request(embed):
    result = embed("-", "--out", "o.npy", "--batch-size", 2, "--errors", BAD, text="one\ntwo\nthree\n\nfive\n")
    assert result.exit_code == 3
    (bad,) = listed()
    assert bad["id"] == 3
    assert "Input 1" not in bad["message"]
    assert "row 3" in result.output


def test_an_empty_text_may_be_zero(embed):
    assert embed("-", "--out", "o.npy", "--on-empty", "zero", text="one\n\n").exit_code == 0
    assert not np.load("o.npy")[1].any()


def test_parquet_that_is_none_is_said(embed):
    Path("in.parquet").write_bytes(b"PAR0" * 8)
    assert embed("in.parquet", "--out", "o.npy").exit_code == 2


@pytest.mark.parametrize(
    "again", [("--out", "in.npy"), ("--out", "o.npy", "--errors", "in.npy")], ids=["out", "errors"]
)
def test_no_file_is_written_over_the_inputs(embed, again):
    Path("in.npy").write_text("one\n")
    assert embed("in.npy", *again).exit_code == 2
    assert Path("in.npy").read_text() == "one\n"


@pytest.mark.parametrize("out", ["o.parquet", "o.npy"])
def test_the_bytes_do_not_depend_on_how_batches_fell(embed, out):
    text = "".join(f"text {one}\n" for one in range(40))
    written = []
    for size in (3, 16):
        assert embed("-", "--out", out, "--batch-size", size, "--no-cache", text=text).exit_code == 0
        written.append(Path(out).read_bytes())
    assert written[0] == written[1]


def test_row_groups_are_of_one_size(embed, monkeypatch):
    from openrouter_embeddings.cli.parquet import ParquetFile

    monkeypatch.setattr(ParquetFile, "group_bytes", 4 * 64 * 7)
    assert (
        embed("-", "--out", "o.parquet", "--batch-size", 5, text="".join(f"{one}\n" for one in range(30))).exit_code
        == 0
    )
    facts = parquet.ParquetFile("o.parquet").metadata
    assert [facts.row_group(at).num_rows for at in range(facts.num_row_groups)] == [7, 7, 7, 7, 2]
    assert parquet.read_table("o.parquet")["id"].to_pylist() == list(range(30))


ROWS = [{"text": "one"}, {"text": ""}, {"text": None}, {"other": 1}, {"text": 7}, {"text": "five"}]


@pytest.mark.parametrize(
    ("choice", "ids", "failed"),
    [("error", [0, 5], [1, 2, 3, 4]), ("zero", [0, 1, 2, 5], [3, 4]), ("null", [0, 5], [3, 4])],
)
def test_an_empty_text_or_null_fails_or_gets_zeros_or_is_left_out(embed, choice, ids, failed):
    result = embed(jsonl(*ROWS), "--out", "o.parquet", "--errors", BAD, "--on-empty", choice)
    assert result.exit_code == 3
    table = parquet.read_table("o.parquet")
    assert table["id"].to_pylist() == ids
    assert [one["id"] for one in listed()] == failed
    assert [any(row) for row in table["embedding"].to_pylist()] == [ident in {0, 5} for ident in ids]
    if choice == "error":
        assert "null; --on-empty zero gives it a zero embedding" in listed()[1]["message"]


def test_what_is_left_out_is_no_failure(embed):
    result = embed(jsonl({"text": "one"}, {"text": None}), "--out", "o.npy", "--on-empty", "null")
    assert result.exit_code == 0
    assert np.load("o.npy").shape[0] == 1
    assert Path("o.npy.ids.jsonl").read_text() == "0\n"
