"""The client over real HTTP, against the local gateway."""

from __future__ import annotations

import asyncio
import pickle
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import pytest

from openrouter_embeddings import (
    APIError,
    AsyncClient,
    BudgetExceededError,
    Client,
    ConfigurationError,
    ConnectionFailedError,
    Content,
    ImagePart,
    InputError,
    InputTooLongError,
)

from .conftest import MARKED, MODEL, texts

PIXEL = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


def test_embeddings_are_float32_rows_in_input_order(make, embeddings_gateway):
    client = make(batch_size=7)
    result = client.embed_documents(texts(50))
    assert result.embeddings.shape == (50, 1536)
    assert result.embeddings.dtype == np.float32
    assert len(result) == 50
    assert result.dimensions == client.dimensions == 1536
    each_alone = [make().embed_documents([text]).tolist()[0] for text in texts(3)]
    assert result.tolist()[:3] == each_alone
    assert result.usage.requests == 8
    assert result.providers
    assert len(result.generation_ids) == 8
    assert client.usage == result.usage


def test_queries_and_documents_differ_where_the_model_marks_them(make):
    marked, unmarked = make(MARKED), make()
    assert (marked.embed_query("x").embeddings != marked.embed_documents(["x"]).embeddings).any()
    assert (unmarked.embed_query("x").embeddings == unmarked.embed_documents(["x"]).embeddings).all()


def test_a_text_is_sent_byte_for_byte_after_its_prefix(make, embeddings_gateway):
    make("intfloat/e5-base-v2").embed_query(" line\nfeed\t é ")
    assert embeddings_gateway.embedding_requests()[-1].body["input"] == ["query:  line\nfeed\t é "]


def test_no_inputs_need_no_request_and_no_key(embeddings_gateway):
    assert Client(MODEL).embed_documents([]).embeddings.shape == (0, 0)
    assert asyncio.run(AsyncClient(MODEL).embed_documents([])).tolist() == []


def test_equal_inputs_are_sent_once(make, embeddings_gateway):
    result = make().embed_documents(["a", "b", "a", "a"])
    assert (result.embeddings[0] == result.embeddings[3]).all()
    assert result.usage.deduplicated == 2
    assert embeddings_gateway.paid_inputs() == 2


def test_empty_texts_are_refused_or_become_zeros(make, embeddings_gateway):
    with pytest.raises(InputError) as caught:
        make().embed_documents(["a", "", "b"])
    assert caught.value.positions == (1,)
    result = make(on_empty="zero").embed_documents(["a", "", "b", ""])
    assert not result.embeddings[[1, 3]].any()
    assert result.embeddings[[0, 2]].any(axis=1).all()
    assert embeddings_gateway.paid_inputs() == 2
    assert make(on_empty="zero").embed_documents([""]).embeddings.shape == (1, 1536)
    with pytest.raises(InputError, match="Set dimensions"):
        make("new/model", on_empty="zero").embed_documents(["", ""])


def test_dimensions_are_asked_for_and_checked(make, embeddings_gateway):
    result = make(dimensions=256).embed_documents(["a"])
    assert result.dimensions == 256
    assert np.linalg.norm(result.embeddings[0]) == pytest.approx(1.0, abs=1e-5)
    embeddings_gateway.trouble("ignore_dimensions", times=None)
    with pytest.raises(Exception, match="1536 dimensions where 256 were asked for"):
        make(dimensions=256).embed_documents(["a"])


def test_normalize_scales_to_unit_length(make):
    rows = make("perplexity/pplx-embed-v1-0.6b", normalize=True).embed_documents(texts(3)).embeddings
    assert np.linalg.norm(rows, axis=1) == pytest.approx(1.0, abs=1e-5)


def test_progress_is_reported_in_inputs(make):
    reported: list[tuple[int, int]] = []
    client = make(batch_size=2, max_concurrency=1)
    client.embed_documents(["a", "b", "a", "c"], on_progress=lambda done, of: reported.append((done, of)))
    assert reported == [(3, 4), (4, 4)]


@pytest.mark.parametrize("on_empty", ["zero", "null"])
def test_progress_comes_to_its_end_where_texts_are_empty(make, on_empty):
    """Of these alone, or beside others."""
    reported: list[tuple[int, int]] = []

    def tell(done, of):
        reported.append((done, of))

    client = make(on_empty=on_empty, batch_size=2, max_concurrency=1, dimensions=64)
    client.embed_documents(["", "a", "", "b", "c"], on_progress=tell)
    assert reported == [(4, 5), (5, 5)]
    client.embed_documents(["", ""], on_progress=tell)
    assert reported[2:] == [(2, 2)]


def test_every_option_arrives(make, embeddings_gateway):
    make(
        provider={"order": ["deepinfra"], "data_collection": "deny", "max_price": {"prompt": 1}},
        user="u-1",
        session_id="s-1",
        trace={"trace_id": "t-1"},
        app_url="https://example.com",
        app_title="Café",
        app_categories=["a", "b"],
        extra_headers={"X-Mine": "1"},
        server_cache=600,
        extra_body={"provider": {"zdr": True}},
    ).embed_query("x")
    received = embeddings_gateway.embedding_requests()[-1]
    assert received.body["provider"] == {
        "order": ["deepinfra"],
        "data_collection": "deny",
        "max_price": {"prompt": "1"},
        "zdr": True,
    }
    assert (received.body["user"], received.body["trace"]) == ("u-1", {"trace_id": "t-1"})
    assert received.headers["x-session-id"] == "s-1"
    assert (received.headers["x-openrouter-cache"], received.headers["x-openrouter-cache-ttl"]) == ("true", "600")
    assert received.headers["http-referer"] == "https://example.com"
    assert received.headers["x-openrouter-categories"] == "a,b"
    assert received.headers["x-mine"] == "1"
    assert received.headers["user-agent"].startswith("openrouter-embeddings/")


def test_models_are_listed(make):
    models = make().list_models()
    small = next(model for model in models if model.id == MODEL)
    assert (small.dimensions, small.prompt_price) == (1536, 0.02)
    listed = asyncio.run(make().as_async().list_models())
    assert [model.id for model in listed] == [model.id for model in models]


def test_a_listing_that_cannot_be_had_is_an_error_of_ours(embeddings_gateway):
    client = Client(MODEL, base_url="http://127.0.0.1:9/v1", timeout=0.4)
    with pytest.raises(ConnectionFailedError, match="while listing the models of openrouter"):
        client.list_models()
    wrong = Client(MODEL, base_url=embeddings_gateway.base_url + "/nowhere")
    with pytest.raises(APIError, match="while listing the models"):
        wrong.list_models()


def test_content_of_several_kinds_gives_one_embedding_each(make, embeddings_gateway):
    vision = make("nvidia/llama-nemotron-embed-vl-1b-v2:free")
    content = Content.of("a cat", ImagePart(PIXEL))
    result = vision.embed(["plain", content, content], input_type="document")
    assert result.embeddings.shape[0] == 3
    assert (result.embeddings[1] == result.embeddings[2]).all()
    body = embeddings_gateway.embedding_requests()[-1].body
    assert body["encoding_format"] == "float"
    assert [list(item) for item in body["input"]] == [["content"], ["content"]]
    with pytest.raises(InputError, match="takes no image") as caught:
        make().embed(["a", content], input_type="document")
    assert caught.value.positions == (1,)
    with pytest.raises(ConfigurationError, match="takes texts only"):
        make(gateway="infron").embed([content], input_type="document")


def test_an_empty_text_beside_content_becomes_zeros_too(make):
    client = make("nvidia/llama-nemotron-embed-vl-1b-v2:free", on_empty="zero")
    rows = client.embed(["", Content.of("a", ImagePart(PIXEL)), "b"], input_type="document").embeddings
    assert rows.any(axis=1).tolist() == [False, True, True]


def test_a_text_too_long_for_the_model_is_named_and_the_others_are_kept(make):
    long = "word " * 3000
    with pytest.raises(InputTooLongError) as caught:
        make("baai/bge-large-en-v1.5").embed_documents(["a", long, "b"])
    assert caught.value.positions == (1,)
    assert caught.value.partial.positions_done == (0, 2)


def test_an_unknown_input_type_is_refused(make):
    with pytest.raises(ConfigurationError) as caught:
        make().embed(["a"], input_type="passage")
    assert str(caught.value) == (
        "Unknown input_type 'passage'. Use 'query' or 'document'; to change what goes over the wire set"
        " document_input_type='passage'."
    )


def test_max_cost_stops_before_it_is_passed(make, embeddings_gateway):
    client = make(batch_size=1, max_cost=1e-6, max_concurrency=4)
    with pytest.raises(BudgetExceededError) as caught:
        client.embed_documents(texts(50))
    assert 0 < len(caught.value.partial.positions_done) < 50
    assert client.usage.cost <= 1e-6


def test_clients_of_the_users_own_are_used_and_left_open(make, embeddings_gateway):
    with httpx.Client(headers={"x-own": "sync"}) as own:
        with make(http_client=own) as client:
            client.embed_query("x")
        assert not own.is_closed

    async def run() -> None:
        async with httpx.AsyncClient(headers={"x-own": "async"}) as own:
            async with make(async_http_client=own).as_async() as client:
                await client.embed_query("x")
            assert not own.is_closed

    asyncio.run(run())
    assert [request.headers["x-own"] for request in embeddings_gateway.embedding_requests()] == ["sync", "async"]


def test_a_closed_client_opens_again(make):
    client = make()
    client.close()
    with client:
        client.embed_query("x")
    client.embed_query("x")

    async def run() -> None:
        async with client.as_async() as other:
            await other.embed_query("x")
        await other.embed_query("x")
        await make().as_async().aclose()

    asyncio.run(run())


@pytest.mark.parametrize("colour", ["sync", "async"])
def test_closing_a_client_cuts_no_request_of_another_thread(make, embeddings_gateway, colour):
    client = make()
    client.embed_query("warm")
    embeddings_gateway.reset()
    embeddings_gateway.trouble("slow", seconds=0.5, times=1)
    with ThreadPoolExecutor(1) as pool:
        under_way = pool.submit(client.embed_documents, ["a"])
        while not embeddings_gateway.embedding_requests():
            assert not under_way.done()
        if colour == "sync":
            client.close()
        else:
            asyncio.run(client.as_async().aclose())
        assert under_way.result().usage.requests == 1
    assert embeddings_gateway.paid_inputs() == 1


def test_an_error_pickles_with_everything_it_knows(make, embeddings_gateway):
    embeddings_gateway.trouble("status", status=402, after=1, times=None)
    with pytest.raises(APIError) as caught:
        make(batch_size=2).embed_documents(texts(6))
    again = pickle.loads(pickle.dumps(caught.value))
    assert type(again) is type(caught.value)
    assert str(again) == str(caught.value)
    assert (again.status, again.positions) == (402, caught.value.positions)
    assert again.partial.positions_done == caught.value.partial.positions_done
