"""Streams: in order, bounded, stopping when the consumer stops, paying for nothing twice."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator

import numpy as np
import pytest

from openrouter_embeddings import (
    ConfigurationError,
    InputError,
    InputTooLongError,
    InsufficientCreditsError,
    InvalidRequestError,
    MemoryCache,
    StreamBatch,
    StreamProgress,
)

from .conftest import COLOURS, stream, texts


@COLOURS
def test_batches_come_in_order_whatever_order_they_land_in(make, embeddings_gateway, colour):
    client = make(batch_size=4, max_concurrency=4)
    truth = make().embed_documents(texts(50)).embeddings
    embeddings_gateway.reset()
    embeddings_gateway.trouble("slow", seconds=0.2, times=2, after=1)
    got = stream(client, iter(texts(50)), colour)
    assert [ident for batch in got for ident in batch.ids] == list(range(50))
    assert np.array_equal(np.concatenate([batch.embeddings for batch in got]), truth)
    assert not any(batch.errors for batch in got)
    assert embeddings_gateway.paid_inputs() == 50


@COLOURS
def test_ids_may_come_with_the_inputs(make, colour):
    got = stream(make(batch_size=2), [("a", "one"), ("b", "two"), ("c", "three")], colour)
    assert [batch.ids for batch in got] == [["a", "b"], ["c"]]


@COLOURS
def test_an_input_at_fault_stops_nothing(make, colour):
    bad = ["good", "", "also good", 3, "word " * 20_000, "last"]
    got = stream(make(batch_size=3), bad, colour)
    assert [ident for batch in got for ident in batch.ids] == [0, 2, 5]
    errors = {ident: type(error) for batch in got for ident, error in batch.errors.items()}
    assert errors == {1: InputError, 3: InputError, 4: InputTooLongError}
    assert sum(len(batch.embeddings) for batch in got) == 3


@COLOURS
def test_what_ends_the_job_is_raised_after_everything_before_it(make, embeddings_gateway, colour):
    embeddings_gateway.trouble("status", status=402, after=3, times=None)
    client, got = make(batch_size=2, max_concurrency=1, cache=MemoryCache()), []
    with pytest.raises(InsufficientCreditsError):
        if colour == "sync":
            for batch in client.embed_stream(texts(100), input_type="document"):
                got.append(batch)
        else:

            async def run() -> None:
                async for batch in client.as_async().embed_stream(texts(100), input_type="document"):
                    got.append(batch)

            asyncio.run(run())
    # Three slices landed. They may overtake each other at the gate; what is handed out is in order and has no gap.
    handed = [ident for batch in got for ident in batch.ids]
    asked = [request.body["input"] for request in embeddings_gateway.embedding_requests()]
    landed = {text for inputs in asked[:3] for text in inputs}
    assert handed == list(itertools.takewhile(lambda at: texts(100)[at] in landed, range(100)))
    assert len(asked) == 4
    embeddings_gateway.reset()
    assert [ident for batch in stream(client, texts(100), colour) for ident in batch.ids] == list(range(100))
    assert embeddings_gateway.paid_inputs() == 94


@COLOURS
def test_progress_counts_what_was_handed_out(make, colour):
    reported: list[StreamProgress] = []
    client = make(batch_size=2)
    stream(client, ["a", 7, "b", "c"], colour, on_progress=reported.append)
    assert [(progress.done, progress.failed) for progress in reported] == [(1, 1), (3, 1)]
    assert reported[-1].rate > 0.0
    assert reported[-1].usage.requests == client.usage.requests >= 2


def test_lines_of_a_file_are_texts_without_their_ends(make, tmp_path):
    path = tmp_path / "texts.txt"
    path.write_text("one\ntwo\nthree", encoding="utf-8")
    with path.open(encoding="utf-8") as file:
        got = stream(make(), file, "sync")
    assert np.array_equal(got[0].embeddings, make().embed_documents(["one", "two", "three"]).embeddings)


def test_an_arrow_array_is_taken_as_it_is(make):
    pyarrow = pytest.importorskip("pyarrow")
    got = stream(make(), pyarrow.chunked_array([["one", "two"], ["three"]]), "sync")
    assert np.array_equal(got[0].embeddings, make().embed_documents(["one", "two", "three"]).embeddings)


@COLOURS
def test_what_was_read_before_the_inputs_raised_is_handed_out_first(make, embeddings_gateway, colour):
    def broken() -> Iterator[str]:
        yield from texts(96)
        raise OSError("the disk is gone")

    got: list[StreamBatch] = []
    with pytest.raises(OSError, match="the disk is gone"):
        stream(make(batch_size=5), broken(), colour, got=got)
    assert [ident for batch in got for ident in batch.ids] == list(range(96))
    assert embeddings_gateway.paid_inputs() == 96


@COLOURS
def test_a_text_that_no_utf_8_can_carry_is_an_error_of_its_own_and_is_not_shown(make, colour):
    got = stream(make(batch_size=2), ["one", "canary \ud800", "two"], colour)
    assert [ident for batch in got for ident in batch.ids] == [0, 2]
    (error,) = [error for batch in got for error in batch.errors.values()]
    assert isinstance(error, InputError)
    assert "canary" not in str(error)


@COLOURS
def test_blank_lines_before_the_first_text_become_zeros_as_wide_as_the_rest(make, embeddings_gateway, colour):
    client = make(on_empty="zero", batch_size=4)
    got = stream(client, [""] * 64 + ["one", "", "two"], colour)
    assert [ident for batch in got for ident in batch.ids] == list(range(67))
    rows = np.concatenate([batch.embeddings for batch in got])
    assert rows.any(axis=1).tolist() == [False] * 64 + [True, False, True]


@COLOURS
def test_what_is_empty_may_have_neither_an_embedding_nor_an_error_in_a_stream(make, embeddings_gateway, colour):
    reported: list[StreamProgress] = []
    client = make(on_empty="null", batch_size=2)
    inputs = ["one", None, "", ("x", "two"), ("y", None), 7]
    got = stream(client, inputs, colour, on_progress=reported.append)
    assert [ident for batch in got for ident in batch.ids] == [0, "x"]
    assert [ident for batch in got for ident in batch.errors] == [5]
    last = reported[-1]
    assert (last.done, last.failed, last.missing) == (2, 1, 3)
    assert embeddings_gateway.paid_inputs() == 2


@COLOURS
@pytest.mark.parametrize("on_error", ["raise", "null"])
def test_a_stream_has_errors_by_id_whatever_on_error_says(make, embeddings_gateway, colour, on_error):
    pa = pytest.importorskip("pyarrow")
    embeddings_gateway.trouble("refuse_text", contains="poison", times=None)
    given = pa.array(["one", "poison", None, "two", "poison"])
    got = stream(make(on_error=on_error), given, colour)
    assert [ident for batch in got for ident in batch.ids] == [0, 3]
    errors = {ident: type(error) for batch in got for ident, error in batch.errors.items()}
    assert errors == {1: InvalidRequestError, 2: InputError, 4: InvalidRequestError}
    assert not any(np.isnan(batch.embeddings).any() for batch in got)


@COLOURS
def test_no_inputs_no_batches_no_request(make, embeddings_gateway, colour):
    assert stream(make(), [], colour) == []
    assert embeddings_gateway.embedding_requests() == []


def test_an_input_type_that_does_not_exist_is_refused_at_once(make):
    with pytest.raises(ConfigurationError, match="Unknown input_type"):
        make().embed_stream(["a"], input_type="passage")


@COLOURS
def test_a_request_holds_no_more_tokens_than_it_may(make, embeddings_gateway, colour):
    long = [f"{number:03d}" + "x" * 296 for number in range(40)]  # 100 estimated tokens each
    client = make(batch_tokens=350)
    assert [ident for batch in stream(client, long, colour) for ident in batch.ids] == list(range(40))
    assert [request.inputs for request in embeddings_gateway.embedding_requests()].count(3) == 13


@COLOURS
def test_the_marking_counts_among_a_requests_tokens(make, embeddings_gateway, colour):
    client = make(batch_tokens=350, document_prefix="p" * 150)
    stream(client, ["x" * 149] * 3 + ["y" * 149] * 3, colour)
    assert {request.inputs for request in embeddings_gateway.embedding_requests()} == {1}
    assert len(embeddings_gateway.embedding_requests()) == 2


@COLOURS
def test_what_is_no_stream_of_inputs_is_refused_at_once(make, embeddings_gateway, colour):
    client = make() if colour == "sync" else make().as_async()
    with pytest.raises(InputError, match="Inputs came as str"):
        client.embed_stream("text", input_type="document")
    assert embeddings_gateway.embedding_requests() == []


@COLOURS
def test_an_id_that_cannot_be_hashed_is_named_where_it_stands(make, colour):
    with pytest.raises(InputError, match=r"The id of input 1 is list, which cannot be hashed\."):
        stream(make(), [("a", "one"), (["b"], "two")], colour)


@COLOURS
def test_an_id_may_come_twice(make, colour):
    (got,) = stream(make(), [("a", "one"), ("a", "two"), ("b", ""), ("b", 3)], colour)
    assert got.ids == ["a", "a"]
    assert len(got.embeddings) == 2
    assert list(got.errors) == ["b"]


async def test_the_sync_stream_runs_inside_a_running_loop(make):
    got = await asyncio.to_thread(stream, make(batch_size=2), texts(10), "sync")
    assert [ident for batch in got for ident in batch.ids] == list(range(10))
    assert [batch.ids for batch in make(batch_size=8).embed_stream(texts(3), input_type="document")] == [[0, 1, 2]]
