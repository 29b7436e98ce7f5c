"""The other services' classes beside ours: they live together, their words are known, and the page changes real code."""

from __future__ import annotations

import ast
import importlib
import inspect

import numpy as np
import pytest

from ..conformance.test_words import PEERS
from ..examples.test_migration import APPLICATIONS, FOUND, diffs, patched

IN_LLAMA_INDEX = "llama_index.embeddings"
IN_HAYSTACK = "haystack_integrations.components.embedders"
CLASSES = {
    ("langchain_core", "OpenAI"): ["langchain_openai:OpenAIEmbeddings"],
    ("langchain_core", "Voyage"): ["langchain_voyageai:VoyageAIEmbeddings"],
    ("langchain_core", "Cohere"): ["langchain_cohere:CohereEmbeddings"],
    ("langchain_core", "NVIDIA"): ["langchain_nvidia_ai_endpoints:NVIDIAEmbeddings"],
    ("llama_index.core", "OpenAI"): [f"{IN_LLAMA_INDEX}.openai:OpenAIEmbedding"],
    ("llama_index.core", "Voyage"): [f"{IN_LLAMA_INDEX}.voyageai:VoyageEmbedding"],
    ("llama_index.core", "Cohere"): [f"{IN_LLAMA_INDEX}.cohere:CohereEmbedding"],
    ("llama_index.core", "NVIDIA"): [f"{IN_LLAMA_INDEX}.nvidia:NVIDIAEmbedding"],
    ("haystack", "OpenAI"): [
        "haystack.components.embedders:OpenAIDocumentEmbedder",
        "haystack.components.embedders:OpenAITextEmbedder",
    ],
    ("haystack", "Voyage"): [
        f"{IN_HAYSTACK}.voyage_embedders:VoyageDocumentEmbedder",
        f"{IN_HAYSTACK}.voyage_embedders:VoyageTextEmbedder",
    ],
    ("haystack", "Cohere"): [
        f"{IN_HAYSTACK}.cohere:CohereDocumentEmbedder",
        f"{IN_HAYSTACK}.cohere:CohereTextEmbedder",
    ],
    ("haystack", "NVIDIA"): [
        f"{IN_HAYSTACK}.nvidia:NvidiaDocumentEmbedder",
        f"{IN_HAYSTACK}.nvidia:NvidiaTextEmbedder",
    ],
}
OURS = {
    "langchain_core": "langchain_openrouter_embeddings:OpenRouterEmbeddings",
    "llama_index.core": f"{IN_LLAMA_INDEX}.openrouter:OpenRouterEmbedding",
    "haystack": f"{IN_HAYSTACK}.openrouter_embeddings:OpenRouterDocumentEmbedder",
}


def found(where):
    module, _, name = where.partition(":")
    return getattr(importlib.import_module(module), name)


def words(kind):
    """Return what a constructor takes by name: its parameters, or its fields with their aliases."""
    parameters = inspect.signature(kind.__init__).parameters.values()
    names = {
        one.name
        for one in parameters
        if one.kind in {one.KEYWORD_ONLY, one.POSITIONAL_OR_KEYWORD} and one.name != "self"
    }
    if any(one.kind is one.VAR_KEYWORD for one in parameters):
        for name, field in getattr(kind, "model_fields", {}).items():
            names |= {name, *([field.alias] if isinstance(field.alias, str) else [])}
    return names


@pytest.mark.parametrize(("framework", "peer"), CLASSES)
def test_no_word_of_a_peers_constructor_is_unknown_to_ours(gateway, framework, peer):
    ours, unknown = found(OURS[framework]), []
    for word in sorted(set().union(*(words(found(where)) for where in CLASSES[framework, peer]))):
        try:
            ours(**{"model": "m", word: "anything"})
        except (ValueError, TypeError) as error:  # refused for its value: the word itself is known
            if "is unknown" in str(error) or "unexpected keyword" in str(error):
                unknown.append(word)
    assert unknown == []


@pytest.mark.parametrize(("framework", "peer"), CLASSES)
def test_the_everyday_table_names_what_the_peers_constructor_has(framework, peer):
    """The checks of every day have no peer installed, and go by a table."""
    real = set().union(*(words(found(where)) for where in CLASSES[framework, peer]))
    assert real - set(PEERS[framework][peer].split()) == set()


@pytest.mark.parametrize("name", sorted(path.stem for path in APPLICATIONS.glob("*.txt")))
def test_an_application_of_the_page_was_written_for_the_real_class(name):
    """Its imports are there, and its constructors take what it gives them."""
    tree = ast.parse((APPLICATIONS / f"{name}.txt").read_text(encoding="utf-8"))
    imported = {
        alias.name: getattr(importlib.import_module(node.module), alias.name)
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.module is not None
        for alias in node.names
    }
    checked = 0
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        kind = imported.get(getattr(call.func, "id", ""))
        if kind is not None and "Embed" in kind.__name__:
            checked += 1
            assert {keyword.arg for keyword in call.keywords} <= words(kind)
    assert checked >= 1


STORED = {
    "langchain": lambda names: {one["text"]: one["vector"] for one in names["store"].store.values()},
    "llama-index": lambda names: {
        names["index"].docstore.get_node(id_).text: vector
        for id_, vector in names["index"].vector_store.data.embedding_dict.items()
    },
    "haystack": lambda names: {one.content: one.embedding for one in names["store"].filter_documents()},
}
"""The embeddings that an application has put into its store, by their texts."""


@pytest.mark.parametrize("framework", STORED)
def test_an_application_stores_and_finds_the_same_before_and_after_the_change(framework, gateway, monkeypatch, capsys):
    """The peer that speaks the gateway's dialect can be asked too. With this model nothing needs to be indexed again."""
    name = f"{framework}-openai-like"
    monkeypatch.delenv("OPENROUTER_API_BASE")
    before = (APPLICATIONS / f"{name}.txt").read_text(encoding="utf-8")
    here = before.replace("https://openrouter.ai/api/v1", gateway.base_url)
    assert here != before
    old = STORED[framework](run(here))
    assert capsys.readouterr().out.splitlines() == FOUND
    sent = len(gateway.embedding_requests())
    assert sent > 0
    monkeypatch.setenv("OPENROUTER_API_BASE", gateway.base_url)
    new = STORED[framework](run(patched(before, diffs()[name])))
    assert capsys.readouterr().out.splitlines() == FOUND
    assert len(gateway.embedding_requests()) > sent
    assert old.keys() == new.keys()
    for text, vector in old.items():
        cosine = np.dot(vector, new[text]) / np.linalg.norm(vector) / np.linalg.norm(new[text])
        assert cosine == pytest.approx(1.0, abs=1e-5)


def run(text):
    """Run an application, and return what it has named."""
    names = {"__name__": "__main__"}
    exec(compile(text, "application.py", "exec"), names)
    return names


def test_all_embedders_of_haystack_are_there_at_once():
    """Each is a leaf of one namespace; none hides another's."""
    for leaf in ("cohere", "jina", "nvidia", "voyage_embedders", "openrouter_embeddings"):
        assert importlib.import_module(f"{IN_HAYSTACK}.{leaf}").__file__
    assert importlib.import_module("haystack_integrations.components.generators.openrouter").__file__
