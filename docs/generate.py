"""Writes the generated parts of the pages beside it: `python docs/generate.py`, where all adapters are installed.

A part stands between `<!-- NAME -->` and `<!-- end NAME -->`. A test fails when a page is not what this script writes.
"""

from __future__ import annotations

import ast
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
    OpenRouterDocumentImageEmbedder,
    OpenRouterTextEmbedder,
)
from langchain_openrouter_embeddings import OpenRouterEmbeddings
from llama_index.embeddings.openrouter import OpenRouterEmbedding
from openrouter_embeddings import Options, words
from openrouter_embeddings.options import meaning_of
from openrouter_embeddings.profiles import PROFILES, Marking, Profile

DOCS = Path(__file__).parent
ROOT = DOCS.parent
LIBRARIES = {
    "langchain": ["langchain-core", "langgraph"],
    "llama-index": ["llama-index-core"],
    "haystack": ["haystack-ai"],
}
STORES = {
    "langchain": r"lang(chain|graph)-.+",
    "llama-index": r"llama-index-vector-stores-.+",
    "haystack": r".+-haystack",
}
"""What the packages are called that join a store to a framework."""
SHORTENED = {
    "langchain": "`.client.embed(...).shortened`",
    "llama-index": "`.client.embed(...).shortened`",
    "haystack": '`meta["shortened"]`',
}
"""Where a framework's users find the core's `result.shortened`."""
EMBEDDERS = (OpenRouterDocumentEmbedder, OpenRouterTextEmbedder, OpenRouterDocumentImageEmbedder)
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
        return {"marks": marks_table, "words": words_table, "not needed": reasons_table}
    rows = {"langchain": of_langchain, "llama-index": of_llama_index, "haystack": of_haystack}[page]
    return {
        "options": lambda: options_table(rows(), SHORTENED[page]),
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
    """Return the options of the three components. A row that does not hold for all of them names its own."""
    taken = {kind: signature(kind.__init__).parameters for kind in EMBEDDERS}
    meanings = {kind: dict(re.findall(r":param (\w+): (.*)", kind.__init__.__doc__ or "")) for kind in EMBEDDERS}
    for name in dict.fromkeys(name for parameters in taken.values() for name in parameters if name != "self"):
        rows: dict[tuple[str, str], list[str]] = {}
        for kind, parameters in taken.items():
            if name in parameters:
                default = parameters[name].default
                default = "required" if default is parameters[name].empty else shown(default)
                rows.setdefault((default, meanings[kind][name]), []).append(kind.__name__)
        for (default, meaning), kinds in rows.items():
            yield f"`{name}`", default, meaning if len(kinds) == len(EMBEDDERS) else f"{listed(kinds)}: {meaning}"


def options_table(rows: Iterable[Row], shortened: str) -> str:
    """Return the options of a page, in the words of its framework."""
    return table(
        ("option", "default", "meaning"),
        [tuple(cell.replace("`result.shortened`", shortened) for cell in row) for row in rows],
    )


def shown(default: Any) -> str:
    """Return a default as the page shows it."""
    if isinstance(default, Secret):
        return f"`{' or '.join(default.to_dict()['env_vars'])}`"
    return f"`{default}`" if not isinstance(default, str) else f'`"{default}"`'.replace("\n", "\\n")


def versions(page: str) -> Iterable[Row]:
    """Return what the metadata allows of each library and what the checks pin, then the stores that are tested."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = dict(line.partition(" ;")[0].split("==") for line in lines if "==" in line)
    project = tomllib.loads((ROOT / "packages" / page / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for name in LIBRARIES[page]:
        allowed = next((one.removeprefix(name) for one in project["dependencies"] if one.startswith(name)), "any")
        yield name, f"`{allowed}`" if allowed != "any" else allowed, pinned[name]
    for name, version in stores():
        if re.fullmatch(STORES[page], name):
            yield name, "any", version


def stores() -> Iterable[Row]:
    """Return what `nox -s stores` installs, with the version of each."""
    for line in ast.parse((ROOT / "noxfile.py").read_text(encoding="utf-8")).body:
        if isinstance(line, ast.Assign) and [getattr(target, "id", "") for target in line.targets] == ["STORES"]:
            return [tuple(one.split("==")) for one in sorted(ast.literal_eval(line.value))]
    raise ValueError("noxfile.py lists no STORES.")


def marks_table() -> str:
    """Return which models have which of their texts marked."""
    rows: dict[str, list[str]] = {"documents and queries": [], "queries only": [], "nothing": []}
    for profile in PROFILES:
        rows[marked(profile)].append(profile.example_id.rpartition("/")[2].partition(":")[0])
    return table(("what is marked", "models"), [(what, listed(models)) for what, models in rows.items()])


def marked(profile: Profile) -> str:
    """Return which texts of a model are marked."""
    if profile.document != Marking():
        return "documents and queries"
    return "queries only" if profile.query != Marking() else "nothing"


def words_table() -> str:
    """Return what others call the options that there are."""
    rows = [
        (listed(theirs.split()), f"`{ours}`" if ours in CORE else f"`{ours}` (Haystack)")
        for ours, theirs in words._ELSEWHERE.items()  # noqa: SLF001
    ]
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
