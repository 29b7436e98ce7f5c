"""Every Python block of the README runs as it stands, against the local gateway."""

from __future__ import annotations

import json
import os
import re
import runpy
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "packages").glob("*/README.md"))]
LINKED = [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
PAGES.remove(ROOT / "docs" / "engines.md")  # tests/engines/test_recipes.py runs it, where the engines are
FRAMEWORKS = ["langchain", "llama-index", "haystack"]
SECTIONS = {
    "langchain": ["Progress", "LangGraph"],
    "llama-index": ["In a pipeline", "Saving and loading"],
    "haystack": ["Saving and loading"],
}
"""What a framework's page has besides the sections of all."""
OF_ALL = [
    "Index and query",
    "Async",
    "When it fails",
    "What was spent",
    "Caches",
    "Pictures",
    "Testing an application",
    "Closing",
    "The width that stores ask for",
    "Options",
    "Versions",
]
BESIDES = {"qdrant": "qdrant_client", "langgraph": "langgraph"}
"""What some blocks use besides: the word by which they are known, and a module. Not among the lowest versions."""
UNDER_PYTEST = """
import os, sys, pytest

del os.environ["OPENROUTER_API_BASE"], os.environ["OPENROUTER_API_KEY"]  # the test is to set them
sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", "test_app.py"]))
"""
"""Runs a block that is a test, as its reader would, with the gateway that the fixture starts."""


def blocks() -> list[object]:
    """Return every fenced Python block of the pages, named by page and line."""
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for match in re.finditer(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE):
            line = text.count("\n", 0, match.start(1)) + 1
            found.append(pytest.param(match[1], id=f"{page.relative_to(ROOT)}:{line}"))
    return found


@pytest.fixture(scope="module")
def run_program(tmp_path_factory):
    """Run programs, each in a process of its own that has the frameworks already."""
    command = [sys.executable, "-W", "ignore", str(Path(__file__).with_name("preloaded.py"))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:

        def run(program: str, folder: Path, environment: dict[str, str]) -> tuple[int, str, str]:
            prints = tmp_path_factory.mktemp("prints")
            order = {"program": program, "folder": str(folder), "environment": environment, "prints": str(prints)}
            process.stdin.write(json.dumps(order) + "\n")
            process.stdin.flush()
            code = int(process.stdout.readline())
            return code, (prints / "out").read_text(encoding="utf-8"), (prints / "err").read_text(encoding="utf-8")

        yield run
        process.stdin.close()


@pytest.mark.parametrize("program", blocks())
@pytest.mark.skipif(not hasattr(os, "fork"), reason="programs are forks")
def test_a_block_of_the_pages_runs(program: str, embeddings_gateway, tmp_path: Path, run_program) -> None:
    for name, colour in (("car", "red"), ("sea", "blue")):
        Image.new("RGB", (16, 16), colour).save(tmp_path / f"{name}.png")
    missing = [module for word, module in BESIDES.items() if word in program and find_spec(module) is None]
    if missing:
        pytest.skip(f"needs {' and '.join(missing)}")
    if re.search(r"^def test_", program, re.MULTILINE):
        (tmp_path / "test_app.py").write_text(program, encoding="utf-8")
        program = UNDER_PYTEST
    code, printed, errors = run_program(program, tmp_path, environment_for(embeddings_gateway))
    assert code == 0, errors or printed
    assert printed.strip(), "a block shows something"


def environment_for(gateway) -> dict[str, str]:
    """Return the environment of a program of the pages."""
    return {**os.environ, "OPENROUTER_API_BASE": gateway.base_url, "OPENROUTER_API_KEY": "any-non-empty-key"}


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.skipif(not hasattr(os, "fork"), reason="programs are forks")
def test_the_first_program_of_a_page_can_be_run_again(
    framework: str, embeddings_gateway, tmp_path: Path, run_program
) -> None:
    """It finds the same, with no text twice, and pays for nothing."""
    pytest.importorskip("qdrant_client")
    text = (ROOT / "docs" / f"{framework}.md").read_text(encoding="utf-8")
    program = re.search(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)[1]
    hits, paid = [], []
    for _ in range(2):
        code, printed, errors = run_program(program, tmp_path, environment_for(embeddings_gateway))
        assert code == 0, errors
        hits.append(re.findall(r"^\d\.\d\d  (.*)$", printed, re.MULTILINE))
        paid.append(embeddings_gateway.paid_inputs())
    assert hits[0] == hits[1]
    assert len(set(hits[0])) == 2
    assert hits[0][0] == "Copy a whole directory tree."
    assert paid[0] == paid[1] > 0


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_the_page_of_a_framework_has_its_sections(framework: str) -> None:
    text = (ROOT / "docs" / f"{framework}.md").read_text(encoding="utf-8")
    found = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert len(set(found)) == len(found)
    assert set(found) == {*OF_ALL, *SECTIONS[framework]}
    assert [section for section in found if section in OF_ALL] == OF_ALL


def test_the_readme_has_an_example_for_each_framework_and_the_core() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    examples = re.findall(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    for module in (
        "from openrouter_embeddings import",
        "from langchain_openrouter_embeddings import",
        "from llama_index.embeddings.openrouter import",
        "from haystack_integrations.components.embedders.openrouter_embeddings import",
    ):
        assert [code for code in examples if module in code], module


def test_ci_runs_the_readmes_second_command() -> None:
    """The command in the README and the one that is run are the same text."""
    script = (ROOT / ".ci/run").read_text(encoding="utf-8")
    command = next(line for line in script.splitlines() if "nox -s tests" in line)
    assert command in (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_generated_parts_of_the_pages_are_what_the_script_writes() -> None:
    """Where this fails, run `python docs/generate.py`."""
    generate = runpy.run_path(str(ROOT / "docs/generate.py"))
    for page in generate["PAGES"]:
        assert page.read_text(encoding="utf-8") == generate["filled"](page), page.name


def test_links_between_the_pages_lead_somewhere() -> None:
    for page in LINKED:
        for target, section in re.findall(r"\]\((?!https?://)([^)#]*)#?([^)]*)\)", page.read_text(encoding="utf-8")):
            there = page.parent / target if target else page
            assert there.exists(), f"{page.name}: {target}"
            assert not section or section in anchors(there), f"{page.name}: {target}#{section}"


def anchors(page: Path) -> set[str]:
    """Return the names by which GitHub and others link to the headings of a page."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    found: set[str] = set()
    for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE):
        name = plain = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        again = 0
        while name in found:
            again += 1
            name = f"{plain}-{again}"
        found.add(name)
    return found
