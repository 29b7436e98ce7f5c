"""The client over real HTTP, against the local gateway."""

from __future__ import annotations

import asyncio
import copy
import os
import pickle
import signal
import subprocess
import sys
import threading
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
    InvalidRequestError,
    Usage,
)

MODEL = "openai/text-embedding-3-small"
MARKED = "voyageai/voyage-4"
PIXEL = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


@pytest.fixture
def make(embeddings_gateway):
    """Make clients of the local gateway."""

    def build(model: str = MODEL, **options) -> Client:
        return Client(model, **{"api_key": "sk-test-key", "base_url": embeddings_gateway.base_url} | options)

    return build


def texts(count: int) -> list[str]:
    return [f"sentence number {one}" for one in range(count)]


def test_embeddings_are_float32_rows_in_input_order(make, embeddings_gateway):
    client = make(batch_size=7)
    result = client.embed_documents(texts(50))
    assert result.embeddings.shape == (50, 1536)
    assert result.embeddings.dtype == np.float32
    assert len(result) == 50
    assert result.dimensions == client.dimensions == 1536
    one_by_one = [make().embed_documents([text]).tolist()[0] for text in texts(3)]
    assert result.tolist()[:3] == one_by_one
    assert result.usage.requests == 8
    assert result.providers
    assert len(result.generation_ids) == 8
    assert client.usage == result.usage


def test_sync_and_async_agree_bit_for_bit_and_share_totals(make):
    client = make()
    other = client.as_async()
    a, b = client.embed_documents(texts(9)), asyncio.run(other.embed_documents(texts(9)))
    assert (a.embeddings == b.embeddings).all()
    assert other.usage == client.usage == a.usage + b.usage
    assert other.as_sync().usage == client.usage


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


def test_progress_is_told_in_inputs(make):
    told: list[tuple[int, int]] = []
    make(batch_size=2).embed_documents(["a", "b", "a", "c"], on_progress=lambda done, of: told.append((done, of)))
    assert told == [(3, 4), (4, 4)]


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
    got = embeddings_gateway.embedding_requests()[-1]
    assert got.body["provider"] == {
        "order": ["deepinfra"],
        "data_collection": "deny",
        "max_price": {"prompt": "1"},
        "zdr": True,
    }
    assert (got.body["user"], got.body["trace"]) == ("u-1", {"trace_id": "t-1"})
    assert got.headers["x-session-id"] == "s-1"
    assert (got.headers["x-openrouter-cache"], got.headers["x-openrouter-cache-ttl"]) == ("true", "600")
    assert got.headers["http-referer"] == "https://example.com"
    assert got.headers["x-openrouter-categories"] == "a,b"
    assert got.headers["x-mine"] == "1"
    assert got.headers["user-agent"].startswith("openrouter-embeddings/")


def test_models_are_listed(make):
    models = make().list_models()
    small = next(one for one in models if one.id == MODEL)
    assert (small.dimensions, small.prompt_price) == (1536, 0.02)
    listed = asyncio.run(make().as_async().list_models())
    assert [one.id for one in listed] == [one.id for one in models]


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
    assert [list(one) for one in body["input"]] == [["content"], ["content"]]
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


def test_an_unknown_side_is_refused(make):
    with pytest.raises(ConfigurationError) as caught:
        make().embed(["a"], input_type="passage")
    assert str(caught.value) == (
        "Unknown input_type 'passage'. Use 'query' or 'document'; to change what goes over the wire set"
        " document_input_type='passage'."
    )


def test_resume_must_be_of_the_same_call(make, embeddings_gateway):
    embeddings_gateway.trouble("refuse_text", contains="number 3", times=None)
    with pytest.raises(InvalidRequestError) as caught:
        make().embed_documents(texts(5))
    partial = caught.value.partial
    embeddings_gateway.reset()
    assert make().embed(texts(5), input_type="document", resume=partial).embeddings.shape == (5, 1536)
    assert embeddings_gateway.paid_inputs() == 1
    with pytest.raises(ConfigurationError, match="resume is of a call with 5 inputs; this one has 4"):
        make().embed(texts(4), input_type="document", resume=partial)
    with pytest.raises(ConfigurationError, match=r"resume takes error\.partial, not dict"):
        make().embed(texts(4), input_type="document", resume={})


def test_max_cost_stops_before_it_is_passed(make, embeddings_gateway):
    client = make(batch_size=1, max_cost=1e-6, max_concurrency=4)
    with pytest.raises(BudgetExceededError) as caught:
        client.embed_documents(texts(50))
    assert 0 < len(caught.value.partial.positions_done) < 50
    assert client.usage.cost <= 1e-6


def test_copies_and_pickles_carry_configuration_and_nothing_else(make):
    client = make(dimensions=256)
    client.embed_query("x")
    for other in (pickle.loads(pickle.dumps(client)), copy.deepcopy(client)):
        assert other.usage == Usage()
        assert (other.embed_query("x").embeddings == client.embed_query("x").embeddings).all()
    assert copy.copy(client).usage == client.usage
    assert len(pickle.dumps(client)) < 4096
    assert b"sk-" not in pickle.dumps(Client(MODEL))
    assert repr(client) == f"Client(model={MODEL!r}, gateway='openrouter')"
    with pytest.raises(ConfigurationError, match="cannot be pickled"), httpx.Client() as mine:
        pickle.dumps(make(http_client=mine))


def test_clients_of_ones_own_are_used_and_left_open(make, embeddings_gateway):
    with httpx.Client(headers={"x-own": "sync"}) as mine:
        with make(http_client=mine) as client:
            client.embed_query("x")
        assert not mine.is_closed

    async def run() -> None:
        async with httpx.AsyncClient(headers={"x-own": "async"}) as own:
            async with make(async_http_client=own).as_async() as client:
                await client.embed_query("x")
            assert not own.is_closed

    asyncio.run(run())
    assert [one.headers["x-own"] for one in embeddings_gateway.embedding_requests()] == ["sync", "async"]


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


def test_one_client_serves_any_number_of_loops_one_after_another(make, embeddings_gateway):
    client = make().as_async()
    for _ in range(5):
        assert asyncio.run(client.embed_documents(texts(3))).embeddings.shape == (3, 1536)
    assert len(embeddings_gateway.embedding_requests()) == 5


def test_one_client_serves_eight_loops_in_eight_threads_and_sync_beside_them(make, embeddings_gateway):
    client = make(batch_size=3, max_concurrency=5)
    other = client.as_async()
    expected = make().embed_documents(texts(12)).embeddings

    def in_loop(_: int) -> bool:
        return bool((asyncio.run(other.embed_documents(texts(12))).embeddings == expected).all())

    def in_thread(_: int) -> bool:
        return bool((client.embed_documents(texts(12)).embeddings == expected).all())

    with ThreadPoolExecutor(16) as pool:
        assert all([*pool.map(in_loop, range(8)), *pool.map(in_thread, range(8))])
    assert embeddings_gateway.max_in_flight() <= 5


def test_sync_methods_work_inside_a_running_loop(make):
    client = make(batch_size=1)

    async def run() -> int:
        return len(client.embed_documents(texts(5)))

    assert asyncio.run(run()) == 5


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_used_client_survives_fork(make):
    client = make(batch_size=2)
    expected = client.embed_documents(texts(6)).embeddings
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            same = (client.embed_documents(texts(6)).embeddings == expected).all()
            os.write(writer, b"same" if same else b"different")
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as answer:
        assert answer.read() == b"same"
    os.waitpid(child, 0)
    assert (client.embed_documents(texts(6)).embeddings == expected).all()


def test_a_client_goes_to_another_process(make):
    client = make()
    script = "import pickle, sys; print(pickle.load(sys.stdin.buffer).embed_query('x').tolist()[0])"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        input=pickle.dumps(client),
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.decode().strip() == str(client.embed_query("x").tolist()[0])


def test_cancelled_calls_leave_no_places_taken(make, embeddings_gateway):
    client = make(batch_size=1, max_concurrency=2).as_async()
    embeddings_gateway.trouble("slow", seconds=0.2, times=6)

    async def run() -> None:
        task = asyncio.create_task(client.embed_documents(texts(10)))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await client.embed_documents(texts(4))).embeddings.shape == (4, 1536)
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(run())


@pytest.mark.skipif(sys.platform == "win32", reason="signals are another matter there")
def test_ctrl_c_in_the_middle_sends_nothing_more(embeddings_gateway):
    embeddings_gateway.trouble("slow", seconds=0.3, times=None)
    script = (
        "from openrouter_embeddings import Client\n"
        f"client = Client({MODEL!r}, api_key='sk-test-key', base_url={embeddings_gateway.base_url!r}, batch_size=1)\n"
        "try:\n"
        "    client.embed_documents([str(i) for i in range(500)], on_progress=lambda *_: print('landed', flush=True))\n"
        "except KeyboardInterrupt:\n"
        "    print('interrupted', flush=True)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout.readline() == "landed\n"
        child.send_signal(signal.SIGINT)
        assert "interrupted\n" in child.stdout.readlines()
        assert child.wait(20) == 0
    assert len(embeddings_gateway.embedding_requests()) < 100


def test_an_error_pickles_with_everything_it_knows(make, embeddings_gateway):
    embeddings_gateway.trouble("status", status=402, after=1, times=None)
    with pytest.raises(APIError) as caught:
        make(batch_size=2).embed_documents(texts(6))
    again = pickle.loads(pickle.dumps(caught.value))
    assert type(again) is type(caught.value)
    assert str(again) == str(caught.value)
    assert (again.status, again.positions) == (402, caught.value.positions)
    assert again.partial.positions_done == caught.value.partial.positions_done


def test_usage_adds_up():
    assert sum([Usage(requests=1, cost=0.5), Usage(requests=2)], Usage()) == Usage(requests=3, cost=0.5)
    assert sum([Usage(requests=1)]) == Usage(requests=1)
    assert Usage(cached=2).to_dict()["cached"] == 2
    with pytest.raises(TypeError):
        Usage() + 1
    with pytest.raises(TypeError):
        1 + Usage()


def test_a_callable_key_may_change_between_requests(embeddings_gateway):
    keys = iter(["sk-first-key"] * 2 + ["sk-second-key"] * 9)
    client = Client(MODEL, api_key=lambda: next(keys), base_url=embeddings_gateway.base_url)
    client.embed_query("x")
    client.embed_query("y")
    hashes = {one.headers["authorization_sha256"] for one in embeddings_gateway.embedding_requests()}
    assert len(hashes) == 2


def test_no_thread_is_left_behind(make):
    make(batch_size=1).embed_documents(texts(8))
    assert not [one for one in threading.enumerate() if one.name == "openrouter-embeddings"]
