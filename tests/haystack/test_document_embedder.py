"""The document embedder embeds documents, changes none, and leaves no hole unnamed."""

from __future__ import annotations

import asyncio
import io
from copy import deepcopy
from typing import Any

import pytest
from haystack import Document

from openrouter_embeddings import ConfigurationError, InsufficientCreditsError, InvalidRequestError

from .conftest import MARKED, UNMARKED

POISON = "poison"


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
    assert found["failed_documents"] == []
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


def test_meta_is_the_sum_over_all_requests(call: Any, documents_embedder: Any, gateway: Any) -> None:
    one = documents_embedder(batch_size=4)
    gateway.trouble("status", status=503, times=1)
    meta = call(one, documents=documents(10))["meta"]
    requests = gateway.embedding_requests()
    assert meta["model"] == UNMARKED
    assert meta["usage"]["requests"] == len(requests) == 4
    assert meta["usage"]["retries"] == 1
    whole = documents_embedder(batch_size=10).run(documents(10))["meta"]["usage"]
    assert meta["usage"]["prompt_tokens"] == whole["prompt_tokens"] > 0
    assert meta["usage"]["total_tokens"] == whole["total_tokens"]
    assert meta["usage"]["cost"] == pytest.approx(whole["cost"])
    assert one.usage.to_dict() == meta["usage"]


def test_no_documents_make_no_request(call: Any, documents_embedder: Any, gateway: Any) -> None:
    assert call(documents_embedder(), documents=[]) == {"documents": [], "meta": {}, "failed_documents": []}
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


def test_one_field_name_alone_is_refused(documents_embedder: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        documents_embedder(meta_fields_to_embed="title")
    assert str(caught.value) == "meta_fields_to_embed takes a list. Write ['title']."


def test_one_bad_text_raises_and_the_error_holds_the_others(call: Any, documents_embedder: Any, gateway: Any) -> None:
    gateway.trouble("refuse_text", contains=POISON, times=None)
    given = [*documents(30), Document(content=POISON), *documents(60)[30:]]
    with pytest.raises(InvalidRequestError) as caught:
        call(documents_embedder(batch_size=16), documents=given)
    error: Any = caught.value
    assert error.positions == (30,)
    assert [one.content for one in error.documents] == [one.content for one in given if one.content != POISON]
    assert all(one.embedding for one in error.documents)
    assert list(error.partial.positions_failed) == [30]


def test_or_comes_out_of_the_other_output(call: Any, documents_embedder: Any, gateway: Any) -> None:
    gateway.trouble("refuse_text", contains=POISON, times=None)
    given = [*documents(30), Document(content=POISON), *documents(60)[30:]]
    found = call(documents_embedder(batch_size=16, raise_on_failure=False), documents=given)
    assert len(found["documents"]) == 60
    assert all(one.embedding for one in found["documents"])
    assert found["failed_documents"] == [given[30]]
    assert found["meta"]["usage"]["requests"] == len(gateway.embedding_requests())
    (failed,) = found["meta"]["failed"]
    assert (failed["position"], failed["id"], failed["error"]) == (30, given[30].id, "InvalidRequestError")
    assert POISON not in failed["message"]


def test_an_empty_document_fails_alone(call: Any, documents_embedder: Any, gateway: Any) -> None:
    given = [Document(content="a"), Document(content=""), Document(content="b")]
    found = call(documents_embedder(raise_on_failure=False), documents=given)
    assert [one.content for one in found["documents"]] == ["a", "b"]
    assert [one["position"] for one in found["meta"]["failed"]] == [1]
    assert found["failed_documents"] == [given[1]]
    only = call(documents_embedder(raise_on_failure=False), documents=[Document(content="")])
    assert (only["documents"], len(only["failed_documents"])) == ([], 1)


def test_what_ends_the_whole_job_names_every_document(call: Any, documents_embedder: Any, gateway: Any) -> None:
    gateway.trouble("status", status=402, times=None)
    with pytest.raises(InsufficientCreditsError) as caught:
        call(documents_embedder(), documents=documents(3))
    assert vars(caught.value)["documents"] == []
    found = call(documents_embedder(raise_on_failure=False), documents=documents(3))
    assert found["documents"] == []
    assert [one["error"] for one in found["meta"]["failed"]] == ["InsufficientCreditsError"] * 3
    assert len(found["failed_documents"]) == 3


def test_a_missing_key_raises_whatever_raise_on_failure_says(
    call: Any, documents_embedder: Any, gateway: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENROUTER_API_KEY")
    with pytest.raises(ConfigurationError):
        call(documents_embedder(raise_on_failure=False), documents=documents(1))


def test_the_progress_bar_shows_on_a_terminal_only(
    call: Any, documents_embedder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    for stream, wanted, shown in [(Terminal(), True, True), (Terminal(), False, False), (io.StringIO(), True, False)]:
        monkeypatch.setattr("sys.stderr", stream)
        call(documents_embedder(batch_size=2, progress_bar=wanted), documents=documents(6))
        assert ("6/6" in stream.getvalue()) is shown


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
