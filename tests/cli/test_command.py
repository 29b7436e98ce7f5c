"""The command line, as a user runs it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("typer")
pytest.importorskip("pyarrow")

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as parquet
from typer.testing import CliRunner

from openrouter_embeddings import Client, cli
from openrouter_embeddings.cli.app import app
from openrouter_embeddings.cli.exits import MEANINGS, code_of
from openrouter_embeddings.errors import RateLimitError

MODEL = "openai/text-embedding-3-small"
SMALL = ["--model", MODEL, "--dimensions", "256"]


@pytest.fixture(autouse=True)
def environment(monkeypatch, embeddings_gateway, tmp_path):
    monkeypatch.setenv("OPENROUTER_API_KEY", "sk-test-key")
    monkeypatch.setenv("OPENROUTER_API_BASE", embeddings_gateway.base_url)
    monkeypatch.chdir(tmp_path)


def run(*arguments: str, text: str | None = None):
    return CliRunner().invoke(app, [str(one) for one in arguments], input=text)


def truth(texts: list[str]) -> np.ndarray:
    return Client(MODEL, dimensions=256).embed_documents(texts).embeddings


TEXTS = ["one", "two", "three, with a comma", 'four "quoted"', "fünf"]
IDS = ["a", "b", "c", "d", "e"]


def write_input(kind: str) -> str:
    path = Path(f"in.{kind}")
    if kind == "jsonl":
        path.write_text("".join(json.dumps({"id": i, "text": t}) + "\n" for i, t in zip(IDS, TEXTS, strict=True)))
    elif kind == "csv":
        pyarrow.csv.write_csv(pa.table({"id": IDS, "text": TEXTS}), path)
    elif kind == "parquet":
        parquet.write_table(pa.table({"id": IDS, "text": TEXTS}), path)
    else:
        path.write_text("\n".join(TEXTS) + "\n", encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet", "txt"])
@pytest.mark.parametrize("out", ["out.parquet", "out.npy"])
def test_every_format_in_and_out(kind, out):
    ident = [] if kind == "txt" else ["--id-column", "id"]
    result = run("embed", write_input(kind), *SMALL, "--out", out, *ident)
    assert result.exit_code == 0, result.output
    if out.endswith(".npy"):
        rows = np.load(out)
        ids = [json.loads(line) for line in Path("out.npy.ids.jsonl").read_text().splitlines()]
    else:
        table = parquet.read_table(out)
        ids = table["id"].to_pylist()
        rows = np.array(table["embedding"].to_pylist(), dtype=np.float32)
        assert table.schema.field("embedding").type == pa.list_(pa.float32(), 256)
    assert ids == (list(range(5)) if kind == "txt" else IDS)
    assert np.array_equal(rows, truth(TEXTS))
    assert "5 embeddings: 1 requests" in result.output
    assert not list(Path().glob(".out*"))


def test_lines_from_a_pipe():
    assert run("embed", "-", *SMALL, "--out", "out.npy", text="one\ntwo\n").exit_code == 0
    assert np.array_equal(np.load("out.npy"), truth(["one", "two"]))


def test_no_lines_give_an_empty_file():
    for out in ("out.npy", "out.parquet"):
        assert run("embed", "-", *SMALL, "--out", out, text="").exit_code == 0
    assert np.load("out.npy").shape == (0, 0)
    assert parquet.read_table("out.parquet").num_rows == 0


def test_inputs_at_fault_are_listed_and_the_others_written():
    result = run("embed", "-", *SMALL, "--out", "out.parquet", "--errors", "bad.jsonl", text="one\n\nthree\n")
    assert result.exit_code == 3
    assert parquet.read_table("out.parquet")["id"].to_pylist() == [0, 2]
    (bad,) = [json.loads(line) for line in Path("bad.jsonl").read_text().splitlines()]
    assert (bad["id"], bad["error"]) == (1, "InputError")
    assert "2 embeddings, 1 without one" in result.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["embed", "nowhere.txt", *SMALL, "--out", "o.npy"], "No such file"),
        (["embed", "-", *SMALL, "--out", "o.txt"], "--out takes a name that ends with"),
        (["embed", "-", *SMALL, "--out", "no/such/o.npy"], "there is no folder"),
        (["embed", "-", *SMALL, "--out", "o.npy", "--provider", "{"], "--provider takes a JSON object"),
        (["embed", "-", *SMALL, "--out", "o.npy", "--format", "xml"], "--format takes"),
        (["embed", "-", *SMALL, "--out", "o.npy", "--format", "jsonl"], "Line 1 is not a JSON object"),
        (["embed", "-", *SMALL, "--out", "o.npy", "--format", "csv"], "has no column 'text'"),
        (["embed", "-", *SMALL, "--out", "o.npy", "--format", "parquet"], "cannot be read from a pipe"),
        (["embed", "-", *SMALL, "--out", "o.npy", "--side", "passage"], "Unknown input_type"),
        (["embed", "-", *SMALL, "--out", "o.npy", "--on-empty", "skip"], "on_empty takes"),
        (["models", "--gateway", "nobody"], "nobody"),
    ],
)
def test_what_cannot_be_right_is_said_before_any_request(embeddings_gateway, arguments, said):
    result = run(*arguments, text="one\ntwo\n")
    assert result.exit_code == 2, result.output
    assert said in result.output
    assert embeddings_gateway.embedding_requests() == []
    assert not list(Path().glob("*.npy"))


def test_a_missing_column_of_a_parquet_file_is_named():
    parquet.write_table(pa.table({"body": TEXTS}), "in.parquet")
    result = run("embed", "in.parquet", *SMALL, "--out", "o.npy")
    assert result.exit_code == 2
    assert "no column 'text'; it has body" in result.output


def test_no_key_is_said(monkeypatch):
    monkeypatch.delenv("OPENROUTER_API_KEY")
    result = run("embed", "-", *SMALL, "--out", "o.npy", text="one\n")
    assert result.exit_code == 2
    assert "OPENROUTER_API_KEY" in result.output


@pytest.mark.parametrize(("status", "code"), [(401, 4), (402, 4), (403, 4), (404, 4)])
def test_a_refusal_has_its_own_code_and_leaves_no_half_file(embeddings_gateway, status, code):
    embeddings_gateway.trouble("status", status=status, times=None)
    assert run("embed", "-", *SMALL, "--out", "o.npy", text="one\n").exit_code == code
    assert not [one.name for one in Path().iterdir() if "cache" not in one.name]


def test_a_budget_has_its_own_code():
    result = run("embed", "-", *SMALL, "--out", "o.npy", "--max-cost", "0", text="one\n")
    assert result.exit_code == 6
    assert code_of(RateLimitError("x")) == 5


def test_models_are_listed():
    table = run("models", "--search", "text-embedding-3")
    assert table.exit_code == 0
    assert MODEL in table.output
    found = json.loads(run("models", "--json").output)
    assert next(one for one in found if one["id"] == MODEL)["dimensions"] == 1536


def test_a_model_is_checked():
    result = run("check", MODEL, "--consistency")
    assert result.exit_code == 0, result.output
    found = json.loads(run("check", MODEL, "--json").output)
    assert found["model"]["ok"]
    assert found["consistency"] is None


def test_a_model_that_is_not_what_it_should_be_is_told(embeddings_gateway):
    embeddings_gateway.trouble("ignore_dimensions", times=None)
    assert run("check", MODEL).exit_code == 1


def test_help_names_the_exit_codes():
    assert " ".join(MEANINGS.split())[:40] in " ".join(run("--help").output.split())


def test_without_the_extra_the_way_to_it_is_named(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "typer", None)
    monkeypatch.delitem(sys.modules, "openrouter_embeddings.cli.app")
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    assert 'pip install "openrouter-embeddings[cli]"' in capsys.readouterr().err
