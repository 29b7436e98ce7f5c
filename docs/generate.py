"""Writes the generated parts of the pages beside it: `python docs/generate.py`, where all adapters are installed.

A part stands between `<!-- NAME -->` and `<!-- end NAME -->`. A test fails when a page is not what this script writes.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable
from dataclasses import fields
from inspect import signature
from pathlib import Path
from typing import Any

from haystack.utils import Secret
from pydantic import BaseModel

from haystack_integrations.components.embedders.openrouter_embeddings import (
    OpenRouterDocumentEmbedder,
    OpenRouterTextEmbedder,
)
from langchain_openrouter_embeddings import OpenRouterEmbeddings
from llama_index.embeddings.openrouter import OpenRouterEmbedding
from openrouter_embeddings import Options, words
from openrouter_embeddings.options import meaning_of

DOCS = Path(__file__).parent
ROOT = DOCS.parent
LIBRARIES = {
    "langchain": ["langchain-core", "langchain-qdrant", "langgraph"],
    "llama-index": ["llama-index-core", "llama-index-vector-stores-qdrant"],
    "haystack": ["haystack-ai", "qdrant-haystack"],
}
CORE = [option.name for option in fields(Options)]
PAGES = [*(DOCS / f"{name}.md" for name in LIBRARIES), DOCS / "migration.md"]
Row = tuple[str, ...]


def filled(page: Path) -> str:
    """Return a page's text with its generated parts made anew."""
    text = page.read_text(encoding="utf-8")
    for name, part in parts(page.stem).items():
        start, end = f"<!-- {name} -->\n", f"<!-- end {name} -->"
        if start not in text or end not in text:
            raise ValueError(f"{page.name} has no place for {name!r}.")
        head, _, rest = text.partition(start)
        text = f"{head}{start}{part()}{end}{rest.partition(end)[2]}"
    return text


def parts(page: str) -> dict[str, Callable[[], str]]:
    """Return the generated parts of a page by their names."""
    if page == "migration":
        return {"words": words_table, "not needed": reasons_table}
    rows = {"langchain": of_langchain, "llama-index": of_llama_index, "haystack": of_haystack}[page]
    return {
        "options": lambda: table(("option", "default", "meaning"), rows()),
        "versions": lambda: table(("package", "allowed", "tested with"), versions(page)),
    }


def of_langchain() -> Iterable[Row]:
    """Return the options of LangChain's class."""
    return of_fields(OpenRouterEmbeddings)


def of_llama_index() -> Iterable[Row]:
    """Return the options of LlamaIndex's class, but for those that its base class describes."""
    return of_fields(OpenRouterEmbedding, without={"callback_manager"})


def of_fields(model: type[BaseModel], *, without: Iterable[str] = ()) -> Iterable[Row]:
    """Return the fields of a pydantic model in the core's order, then those that the core does not have."""
    known = model.model_fields
    own = [name for name in known if name not in CORE and name not in {*without, "model_name"}]
    for name in [*(name for name in CORE if name in known or name == "model"), *sorted(own)]:
        if name == "model":
            meaning = f"{meaning_of(name)}{' `model=` says the same.' if 'model_name' in known else ''}"
            yield f"`{'model_name' if 'model_name' in known else name}`", "required", meaning
        else:
            yield f"`{name}`", shown(known[name].default), str(known[name].description)


def of_haystack() -> Iterable[Row]:
    """Return the options of the document embedder; those that the text embedder does not have are marked."""
    documents, queries = signature(OpenRouterDocumentEmbedder.__init__), signature(OpenRouterTextEmbedder.__init__)
    meanings = dict(re.findall(r":param (\w+): (.*)", OpenRouterDocumentEmbedder.__init__.__doc__ or ""))
    for name, parameter in documents.parameters.items():
        if name == "self":
            continue
        default = "required" if parameter.default is parameter.empty else shown(parameter.default)
        if name == "input_type":
            default = f"{shown(queries.parameters[name].default)}, {default}"
        meaning = meanings[name] if name in queries.parameters else f"Documents only. {meanings[name]}"
        yield f"`{name}`", default, meaning


def shown(default: Any) -> str:
    """Return a default as the page shows it."""
    if isinstance(default, Secret):
        return f"`{' or '.join(default.to_dict()['env_vars'])}`"
    return f"`{default}`" if not isinstance(default, str) else f'`"{default}"`'.replace("\n", "\\n")


def versions(page: str) -> Iterable[Row]:
    """Return what the metadata allows of each library, and what the checks pin."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = dict(line.partition(" ;")[0].split("==") for line in lines if "==" in line)
    project = tomllib.loads((ROOT / "packages" / page / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for name in LIBRARIES[page]:
        allowed = next((one.removeprefix(name) for one in project["dependencies"] if one.startswith(name)), "any")
        yield name, f"`{allowed}`" if allowed != "any" else allowed, pinned[name]


def words_table() -> str:
    """Return what others call the options that there are."""
    rows = [(listed(theirs.split()), f"`{ours}`") for ours, theirs in words._ELSEWHERE.items()]  # noqa: SLF001
    both = (listed(sorted(words._INPUT_TYPE)), "`query_input_type` and `document_input_type`, or better: nothing")  # noqa: SLF001
    return table(("elsewhere", "here"), [*rows, both])


def reasons_table() -> str:
    """Return the options that need no counterpart."""
    rows = [(listed(theirs.split()), f"{reason}.") for theirs, reason in words._NOT_NEEDED.items()]  # noqa: SLF001
    return table(("elsewhere", "not needed, because"), rows)


def listed(names: Iterable[str]) -> str:
    """Return names as code."""
    return ", ".join(f"`{name}`" for name in names)


def table(head: Row, rows: Iterable[Row]) -> str:
    """Return a Markdown table, a line for each row."""
    lines = [head, ("---",) * len(head), *(tuple(cell.replace("|", r"\|") for cell in row) for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n".replace("| --- ", "|---").replace("--- |", "---|") for line in lines)


if __name__ == "__main__":
    for path in PAGES:
        path.write_text(filled(path), encoding="utf-8")
