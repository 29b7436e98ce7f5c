"""The page on migration: each diff, and nothing else, turns an application of a peer's into one that finds its notes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest.importorskip("langchain_core")
pytest.importorskip("llama_index.core")
pytest.importorskip("haystack")

PAGE = Path(__file__).parents[2] / "docs" / "migration.md"
APPLICATIONS = Path(__file__).parent / "applications"
PEERS = {
    "OpenAI": "openai",
    "An OpenAI-compatible server": "openai-like",
    "Voyage": "voyage",
    "Cohere": "cohere",
    "NVIDIA": "nvidia",
}
FRAMEWORKS = {"LangChain": "langchain", "LlamaIndex": "llama-index", "Haystack": "haystack"}
FOUND = [
    "To copy a whole directory tree, use shutil.copytree.",
    "To pick a random element of a list, use random.choice.",
    "To turn a string into a date, use datetime.strptime.",
]


def diffs() -> dict[str, str]:
    """Return the page's diffs by the names of the applications that they change."""
    pattern = r"^### ([^\n]*), in (\w+)\n\n```diff\n(.*?)^```$"
    found = re.findall(pattern, PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    return {f"{FRAMEWORKS[framework]}-{PEERS[peer]}": diff for peer, framework, diff in found}


def patched(text: str, diff: str) -> str:
    """Return a text with the parts of a diff applied, each of which fits in one place."""
    for part in diff.split("@@\n"):
        lines = part.splitlines(keepends=True)
        before, after = ("".join(line[1:] for line in lines if line[0] in kinds) for kinds in ("- ", "+ "))
        assert text.count(before) == 1, f"this fits in {text.count(before)} places:\n{before}"
        text = text.replace(before, after)
    return text


def test_each_framework_and_peer_has_a_diff_and_an_application() -> None:
    wanted = {f"{framework}-{peer}" for framework in FRAMEWORKS.values() for peer in PEERS.values()}
    assert diffs().keys() == wanted
    assert {path.stem for path in APPLICATIONS.glob("*.txt")} == wanted


@pytest.mark.parametrize("name", sorted(diffs()))
def test_an_application_that_the_page_has_changed_finds_its_notes(
    name: str,
    embeddings_gateway,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    application = patched((APPLICATIONS / f"{name}.txt").read_text(encoding="utf-8"), diffs()[name])
    monkeypatch.setenv("OPENROUTER_API_BASE", embeddings_gateway.base_url)
    monkeypatch.setenv("OPENROUTER_API_KEY", "any-non-empty-key")  # and no other
    exec(compile(application, f"{name}.py", "exec"), {"__name__": "__main__"})
    assert capsys.readouterr().out.splitlines() == FOUND
    assert embeddings_gateway.embedding_requests()
