"""The page on migration: each diff, and nothing else, turns an application of a peer's into one that finds its notes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from openrouter_embeddings.profiles import PROFILES, Marking, profile_for

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
MARKED = {
    "documents and queries": (True, True),
    "queries only": (False, True),
    "nothing": (False, False),
}
"""What is marked, as the page says it: whether documents are, whether queries are."""
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


def test_the_page_says_which_models_have_their_documents_marked() -> None:
    """That decides who must index again. Each known model stands in one row."""
    part = PAGE.read_text(encoding="utf-8").partition("<!-- marks -->")[2].partition("<!-- end marks -->")[0]
    rows = dict(re.findall(r"^\| ([a-z ]+) \| (`.*) \|$", part, re.MULTILINE))
    said = {name: MARKED[what] for what, names in rows.items() for name in re.findall(r"`([^`]+)`", names)}
    assert rows.keys() == MARKED.keys()
    assert said == {name: marked(name) for name in said}
    assert sorted(said) == sorted(profile.example_id.rpartition("/")[2].partition(":")[0] for profile in PROFILES)


def marked(model: str) -> tuple[bool, bool]:
    """Return whether a model's documents are marked, and whether its queries are."""
    profile = profile_for(model)
    return profile.document != Marking(), profile.query != Marking()


@pytest.mark.parametrize(
    ("model", "documents", "queries"),
    [
        ("openai/text-embedding-3-small", False, False),
        ("qwen/qwen3-embedding-8b", False, True),
        ("perplexity/pplx-embed-v1-4b", False, False),
        ("intfloat/multilingual-e5-large", True, True),
        ("intfloat/multilingual-e5-large-instruct", False, True),
        ("intfloat/e5-mistral-7b-instruct", False, True),
        ("nvidia/llama-embed-nemotron-8b", False, True),
        ("nvidia/nemotron-3-embed-1b:free", True, True),
        ("liquid/lfm-2.5-embedding-350m:free", True, True),
        ("jinaai/jina-embeddings-v3", True, True),
        ("voyageai/voyage-4", True, True),
        ("google/gemini-embedding-2", True, True),
    ],
)
def test_models_that_are_easily_taken_for_others_are_marked_as_their_cards_say(
    model: str, documents: bool, queries: bool
) -> None:
    assert marked(model) == (documents, queries)
