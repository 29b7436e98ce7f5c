"""Each framework over each store: the hits of exact search, and nothing paid that need not be."""

from __future__ import annotations

from dataclasses import replace

import pytest

from . import haystack_stores, langchain_stores, llama_index_stores
from .corpus import BEST, ENTRIES, QUESTIONS

FRAMEWORKS = {"langchain": langchain_stores, "llama_index": llama_index_stores, "haystack": haystack_stores}
STORES = {
    f"{framework}-{name}": kind
    for framework, module in FRAMEWORKS.items()
    for name, kind in vars(module).items()
    if name.startswith("In") and kind.__module__ == module.__name__
}


def having(methods):
    """Return the stores that have such methods."""
    return [pytest.param(kind, id=name) for name, kind in STORES.items() if methods in kind.methods]


@pytest.fixture(params=having("sync"))
def open_store(request, options, tmp_path):
    """Return what opens the store in a folder. A test closes what it opens again."""
    opened = []

    def make(folder="store", **more):
        opened.append(request.param(tmp_path / folder, **options, **more))
        return opened[-1]

    yield make
    for last in opened[-1:]:
        last.close()


def hits(store):
    return {question: store.ask(question) for question in QUESTIONS}


def sent(gateway):
    return {text for request in gateway.embedding_requests() for text in request.body["input"]}


def test_a_store_finds_what_exact_search_finds(open_store, ranking):
    store = open_store()
    store.index(ENTRIES)
    assert hits(store) == {question: ranking.best(question) for question in QUESTIONS}


def test_a_filter_leaves_the_best_of_its_kind(open_store, ranking):
    store = open_store()
    if not store.takes_filters:
        pytest.skip("this store takes no filters")
    store.index(ENTRIES)
    question = QUESTIONS[0]
    assert store.ask(question, "tempfile") == ranking.best(question, "tempfile")
    assert ranking.best(question, "tempfile") != ranking.best(question)


def test_a_text_that_changes_is_found_by_what_it_says_now_and_costs_one_input(open_store, ranking, embeddings_gateway):
    store = open_store()
    store.index(ENTRIES)
    paid = embeddings_gateway.paid_inputs()
    old = ranking.best(QUESTIONS[0])[0]
    entry = next(entry for entry in ENTRIES if entry.name == old)
    store.update(replace(entry, text="How to bake bread from flour, water and yeast"))
    assert embeddings_gateway.paid_inputs() == paid + 1
    assert store.ask("bread, flour and yeast")[0] == old
    assert old not in store.ask(QUESTIONS[0])
    assert store.ask(QUESTIONS[0])[: BEST - 1] == ranking.best(QUESTIONS[0])[1:]


def test_a_store_that_is_opened_again_needs_no_document_embedded(open_store, ranking, embeddings_gateway):
    store = open_store()
    store.index(ENTRIES)
    store.close()
    embeddings_gateway.reset()
    again = open_store()
    assert hits(again) == {question: ranking.best(question) for question in QUESTIONS}
    assert not sent(embeddings_gateway) & {entry.text for entry in ENTRIES}


def test_with_a_cache_another_index_of_the_same_texts_is_free(open_store, ranking, embeddings_gateway, tmp_path):
    cache = str(tmp_path / "embeddings.sqlite")
    first = open_store(cache=cache)
    first.index(ENTRIES)
    found = hits(first)
    first.close()
    embeddings_gateway.reset()
    second = open_store("another", cache=cache)
    second.index(ENTRIES)
    assert hits(second) == found == {question: ranking.best(question) for question in QUESTIONS}
    assert embeddings_gateway.paid_inputs() == 0


@pytest.mark.parametrize("store_class", having("async"))
async def test_the_async_methods_index_find_filter_and_open_again(
    store_class, options, tmp_path, ranking, embeddings_gateway
):
    best = {question: ranking.best(question) for question in QUESTIONS}
    store = store_class(tmp_path / "store", **options)
    await store.aindex(ENTRIES)
    assert {question: await store.aask(question) for question in QUESTIONS} == best
    if store.takes_filters:
        assert await store.aask(QUESTIONS[0], "tempfile") == ranking.best(QUESTIONS[0], "tempfile")
    await store.aclose()
    embeddings_gateway.reset()
    again = store_class(tmp_path / "store", **options)
    assert {question: await again.aask(question) for question in QUESTIONS} == best
    assert not sent(embeddings_gateway) & {entry.text for entry in ENTRIES}
    await again.aclose()
