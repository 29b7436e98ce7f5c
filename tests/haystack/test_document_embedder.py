"""The document embedder embeds documents, changes none, and leaves no hole unnamed."""

from __future__ import annotations

import asyncio
import io
import sys
from copy import deepcopy
from typing import Any

import pytest
from haystack import Document
from tqdm.auto import tqdm

from openrouter_embeddings import ConfigurationError, InputError, InvalidRequestError

from .conftest import MARKED


def documents(count: int, **meta: Any) -> list[Document]:
    return [Document(content=f"text number {one}", meta=dict(meta)) for one in range(count)]


def sent(gateway: Any) -> list[str]:
    return [text for request in gateway.embedding_requests() for text in request.body["input"]]


def test_every_document_gets_the_embedding_of_its_own_text(
    call: Any, documents_embedder: Any, text_embedder: Any, gateway: Any
) -> None:
    given = documents(20)
    gateway.trouble("reversed", times=None)
    found = call(documents_embedder(batch_size=7), documents=given)
    assert [one.content for one in found["documents"]] == [one.content for one in given]
    for one in found["documents"][::6]:
        assert all(type(number) is float for number in one.embedding)
        alone = text_embedder(input_type="document").run(one.content)["embedding"]
        assert one.embedding == pytest.approx(alone, abs=1e-6)


def test_documents_are_never_changed(call: Any, documents_embedder: Any) -> None:
    given = documents(3, title="t")
    before = deepcopy(given)
    found = call(documents_embedder(meta_fields_to_embed=["title"]), documents=given)["documents"]
    assert [one.to_dict() for one in given] == [one.to_dict() for one in before]
    assert all(one.embedding is None for one in given)
    assert [one.id for one in found] == [one.id for one in given]


def test_no_documents_make_no_request(call: Any, documents_embedder: Any, gateway: Any) -> None:
    assert call(documents_embedder(), documents=[]) == {"documents": [], "meta": {}}
    asked_for = documents_embedder(raise_on_failure=False)
    assert call(asked_for, documents=[]) == {"documents": [], "meta": {}, "failed_documents": []}
    assert gateway.requests() == []


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ("a", "a list of Documents as input, not str"),
        (Document(content="a"), "a list of Documents as input, not Document"),
        (None, "a list of Documents as input, not NoneType"),
        ([Document(content="a"), "b"], "Documents, but item 1 is str"),
    ],
)
def test_every_item_is_checked_and_the_other_class_named(
    call: Any, documents_embedder: Any, gateway: Any, wrong: Any, named: str
) -> None:
    with pytest.raises(TypeError) as caught:
        call(documents_embedder(), documents=wrong)
    assert str(caught.value) == (
        f"OpenRouterDocumentEmbedder expects {named}. To embed a string, use the OpenRouterTextEmbedder."
    )
    assert gateway.requests() == []


def test_one_id_and_two_texts_are_two_embeddings(call: Any, documents_embedder: Any) -> None:
    given = [Document(id="same", content="apples"), Document(id="same", content="bridges")]
    first, second = call(documents_embedder(), documents=given)["documents"]
    assert first.embedding != second.embedding


def test_equal_texts_are_sent_once(call: Any, documents_embedder: Any, gateway: Any) -> None:
    given = [Document(id=str(one), content="the same") for one in range(5)]
    found = call(documents_embedder(), documents=given)
    assert len(sent(gateway)) == 1
    assert len({tuple(one.embedding) for one in found["documents"]}) == 1
    assert found["meta"]["usage"]["deduplicated"] == 4


def test_meta_fields_prefix_and_suffix_are_joined_as_haystack_joins_them(
    call: Any, documents_embedder: Any, gateway: Any
) -> None:
    one = documents_embedder(
        prefix="<", suffix=">", meta_fields_to_embed=["title", "absent", "none", "year"], embedding_separator=" | "
    )
    given = [Document(content="body", meta={"title": "T", "none": None, "year": 2026}), Document(meta={"title": "T"})]
    call(one, documents=given)
    assert sent(gateway) == ["<T | 2026 | body>", "<T | >"]


EMPTY = [
    Document(content=""),
    Document(content=None),
    Document(content="", meta={"title": "", "other": "not embedded"}),
]


@pytest.mark.parametrize("options", [{}, {"prefix": "passage: "}, {"suffix": "."}, {"meta_fields_to_embed": ["title"]}])
def test_a_document_is_empty_before_prefix_suffix_and_separators(
    call: Any, documents_embedder: Any, gateway: Any, options: dict[str, Any]
) -> None:
    """Its embedding would be the prefix's, the same for every empty document: `on_empty` decides instead."""
    given = [Document(content="a"), *EMPTY]
    with pytest.raises(InputError) as caught:
        call(documents_embedder(**options), documents=given)
    assert caught.value.positions == (1, 2, 3)
    assert gateway.requests() == []
    zeros = call(documents_embedder(**options, on_empty="zero"), documents=given)
    assert [any(one.embedding) for one in zeros["documents"]] == [True, False, False, False]
    left = call(documents_embedder(**options, raise_on_failure=False), documents=given)
    assert [one.content for one in left["documents"]] == ["a"]
    assert len(left["failed_documents"]) == 3
    assert len(sent(gateway)) == 2


def test_white_space_is_no_emptiness(call: Any, documents_embedder: Any, gateway: Any) -> None:
    call(documents_embedder(prefix="p"), documents=[Document(content=" ")])
    assert sent(gateway) == ["p "]


def embedded(count: int) -> list[Document]:
    return [Document(id=f"old-{one}", content=f"old {one}", embedding=[0.5, 0.5]) for one in range(count)]


def test_documents_that_have_an_embedding_keep_it_where_that_is_chosen(
    call: Any, documents_embedder: Any, gateway: Any
) -> None:
    new, old = documents(2), [*embedded(2), Document(id="old", content="", embedding=[0.5, 0.5])]
    given = [old[0], new[0], old[1], new[1], old[2]]
    found = call(documents_embedder(skip_embedded=True), documents=given)
    assert [one.id for one in found["documents"]] == [one.id for one in given]
    assert [one.embedding == [0.5, 0.5] for one in found["documents"]] == [True, False, True, False, True]
    assert sorted(sent(gateway)) == ["text number 0", "text number 1"]
    assert call(documents_embedder(skip_embedded=True), documents=old)["documents"] == old
    assert call(documents_embedder(), documents=[old[0]])["documents"][0].embedding != [0.5, 0.5]
    assert len(gateway.embedding_requests()) == 2


@pytest.mark.parametrize("raises", [True, False])
def test_positions_count_the_documents_that_keep_theirs(
    call: Any, documents_embedder: Any, gateway: Any, raises: bool
) -> None:
    embedder = documents_embedder(skip_embedded=True, raise_on_failure=raises)
    gateway.trouble("refuse_text", contains="poison", times=None)
    empty = [*embedded(2), Document(id="empty", content=""), *documents(1)]
    refused = [*embedded(2), Document(id="poison", content="poison"), *documents(1)]
    for given, error in ((empty, InputError), (refused, InvalidRequestError)):
        if raises:
            with pytest.raises(error) as caught:
                call(embedder, documents=given)
            assert caught.value.positions == (2,)
            assert f"Documents: '{given[2].id}'." in str(caught.value)
        else:
            found = call(embedder, documents=given)
            assert [one.id for one in found["documents"]] == [given[0].id, given[1].id, given[3].id]
            assert found["failed_documents"] == [given[2]]
            assert found["meta"]["failed"][0]["positions"] == [2]
    if raises:
        assert [one.id for one in vars(caught.value)["documents"]] == [refused[0].id, refused[1].id, refused[3].id]


def test_meta_tells_the_width(call: Any, documents_embedder: Any, text_embedder: Any, gateway: Any) -> None:
    for options, width in (({}, 1536), ({"dimensions": 64}, 64)):
        assert call(documents_embedder(**options), documents=documents(1))["meta"]["dimensions"] == width
        assert call(text_embedder(**options), text="a")["meta"]["dimensions"] == width
        left = documents_embedder(**options, raise_on_failure=False)
        assert call(left, documents=[Document(content="")])["meta"]["dimensions"] == width


def test_a_missing_key_raises_whatever_raise_on_failure_says(
    call: Any, documents_embedder: Any, gateway: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENROUTER_API_KEY")
    with pytest.raises(ConfigurationError):
        call(documents_embedder(raise_on_failure=False), documents=documents(1))


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_progress_bar_shows_on_a_terminal_only(
    call: Any, documents_embedder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for stream, wanted, shown in [(Terminal(), True, True), (Terminal(), False, False), (io.StringIO(), True, False)]:
        monkeypatch.setattr("sys.stderr", stream)
        embedder = documents_embedder(batch_size=2, progress_bar=wanted)
        call(embedder, documents=documents(6))
        assert ("6/6" in stream.getvalue()) is shown
        assert (f"{embedder.usage.cost:.4f} USD" in stream.getvalue()) is shown
        assert ("doc/s" in stream.getvalue()) is shown


@pytest.mark.parametrize("wanted", [True, False])
def test_the_progress_bar_shows_in_a_notebook_without_widgets_too(
    call: Any, documents_embedder: Any, monkeypatch: pytest.MonkeyPatch, wanted: bool
) -> None:
    """A kernel's stderr is no terminal."""
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    monkeypatch.setitem(sys.modules, "ipykernel", object())
    call(documents_embedder(progress_bar=wanted), documents=documents(6))
    assert ("6/6" in stream.getvalue()) is wanted


def test_the_progress_bar_comes_to_its_end_where_documents_keep_their_embeddings(
    call: Any, documents_embedder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = Terminal()
    monkeypatch.setattr("sys.stderr", stream)
    kept = [Document(content="kept", embedding=[0.5]), *documents(5)]
    call(documents_embedder(progress_bar=True, skip_embedded=True), documents=kept)
    assert "6/6" in stream.getvalue()


def test_the_progress_bar_moves_with_every_batch(
    call: Any, documents_embedder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[int] = []
    monkeypatch.setattr("sys.stderr", Terminal())
    monkeypatch.setattr(tqdm, "update", lambda self, step=1: steps.append(step) or setattr(self, "n", self.n + step))
    call(documents_embedder(batch_size=2, progress_bar=True), documents=documents(6))
    assert steps == [2, 2, 2]


def test_a_marked_model_gets_the_document_side(documents_embedder: Any, text_embedder: Any) -> None:
    document = documents_embedder(model=MARKED).run([Document(content="a")])["documents"][0].embedding
    as_query = documents_embedder(model=MARKED, input_type="query").run([Document(content="a")])["documents"][0]
    assert document != as_query.embedding
    assert as_query.embedding == text_embedder(model=MARKED).run("a")["embedding"]


async def test_it_runs_inside_a_running_loop(documents_embedder: Any) -> None:
    one = documents_embedder()
    sync = one.run(documents(3))["documents"]
    gathered = await asyncio.gather(*(one.run_async(documents(3)) for _ in range(3)))
    assert all([d.embedding for d in found["documents"]] == [d.embedding for d in sync] for found in gathered)
