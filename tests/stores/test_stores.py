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

BREAD = "How to bake bread from flour, water and yeast"


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


def changed(name):
    """Return the entry of this name, which speaks of something else now."""
    return replace(next(entry for entry in ENTRIES if entry.name == name), text=BREAD)


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
    store.update(changed(old))
    assert embeddings_gateway.paid_inputs() == paid + 1
    assert store.ask("bread, flour and yeast")[0] == old
    assert old not in store.ask(QUESTIONS[0])
    assert store.ask(QUESTIONS[0])[: BEST - 1] == ranking.best(QUESTIONS[0])[1:]


def test_an_empty_text_as_zeros_is_the_last_hit_by_angle_and_the_first_by_distance(open_store):
    """Zeros are at right angles to everything, and nearer to a question than most texts: a unit of length away."""
    store = open_store(on_empty="zero")
    store.index([*ENTRIES, replace(ENTRIES[0], name="empty", text="")])
    found = store.ask("fold long lines")
    assert [name == "empty" for name in found] == [not store.by_angle, False, False]


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


@pytest.mark.parametrize("store_class", having("async"))
async def test_the_async_methods_put_a_text_in_the_place_of_another_for_one_input(
    store_class, options, tmp_path, ranking, embeddings_gateway
):
    store = store_class(tmp_path / "store", **options)
    await store.aindex(ENTRIES)
    paid = embeddings_gateway.paid_inputs()
    best = ranking.best(QUESTIONS[0])
    await store.aupdate(changed(best[0]))
    assert embeddings_gateway.paid_inputs() == paid + 1
    assert (await store.aask("bread, flour and yeast"))[0] == best[0]
    left = await store.aask(QUESTIONS[0])
    assert best[0] not in left
    assert left[: BEST - 1] == best[1:]
    await store.aclose()
