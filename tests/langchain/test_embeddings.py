"""The four methods, where LangChain and its users call them: stores, threads, loops, processes."""

from __future__ import annotations

import asyncio
import copy
import json
import logging
import os
import pickle
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.documents import Document
from langchain_core.indexing import InMemoryRecordManager, index
from langchain_core.vectorstores import InMemoryVectorStore

from langchain_openrouter_embeddings import OpenRouterEmbeddings
from openrouter_embeddings import AuthenticationError, InputError

if TYPE_CHECKING:
    from openrouter_embeddings_gateway import LocalGateway

Make = Callable[..., OpenRouterEmbeddings]

TEXTS = [
    "shutil.copytree: Recursively copy a directory tree and return the destination directory.",
    "tempfile.TemporaryFile: Create and return a temporary file.",
    "random.choice: Choose a random element from a non-empty sequence.",
    "json.loads: Deserialize a JSON document to a Python object.",
    "socket.create_connection: Connect to a TCP address and return the socket object.",
]
QUESTIONS = {"copy a whole directory": 0, "create a temporary file": 1, "pick a random element from a list": 2}
COPIES = {
    "pickle": lambda one: pickle.loads(pickle.dumps(one)),
    "deepcopy": copy.deepcopy,
    "model_copy": lambda one: one.model_copy(update={"timeout": 30.0}),
}


def bodies(gateway: LocalGateway) -> list[dict[str, Any]]:
    return [request.body for request in gateway.embedding_requests()]


# ------------------------------------------------------------------------------------------------- the four methods


def test_lists_of_plain_floats_come_back(make: Make):
    model = make()
    documents = model.embed_documents(TEXTS)
    query = model.embed_query(TEXTS[0])
    assert [len(row) for row in [*documents, query]] == [64] * 6
    for row in [*documents, query]:
        assert type(row) is list
        assert {type(number) for number in row} == {float}


async def test_sync_and_async_give_the_same_numbers(make: Make):
    model = make()
    assert await model.aembed_documents(TEXTS) == model.embed_documents(TEXTS)
    assert await model.aembed_query(TEXTS[0]) == model.embed_query(TEXTS[0])


async def test_parameters_are_named_as_in_langchain(make: Make):
    """langchain-postgres and several stores call by keyword."""
    model = make()
    assert model.embed_query(text="a") == await model.aembed_query(text="a")
    assert model.embed_documents(texts=["a"]) == await model.aembed_documents(texts=["a"])


async def test_no_texts_make_no_request(make: Make, gateway: LocalGateway):
    model = make()
    assert model.embed_documents([]) == await model.aembed_documents([]) == []
    assert bodies(gateway) == []


async def test_an_empty_text_is_named_before_any_request(make: Make, gateway: LocalGateway):
    model = make()
    with pytest.raises(InputError) as caught:
        model.embed_documents(["a", ""])
    assert caught.value.positions == (1,)
    with pytest.raises(InputError):
        await model.aembed_documents(["a", ""])
    assert bodies(gateway) == []


async def test_the_method_chooses_the_side(make: Make):
    marked, unmarked = make(), make(model="openai/text-embedding-3-small")
    for model, same in ((marked, False), (unmarked, True)):
        assert (model.embed_query(TEXTS[0]) == model.embed_documents(TEXTS[:1])[0]) is same
        assert (await model.aembed_query(TEXTS[0]) == (await model.aembed_documents(TEXTS[:1]))[0]) is same


async def test_provider_preferences_arrive_verbatim(make: Make, gateway: LocalGateway):
    wanted = {"order": ["deepinfra", "nebius"], "allow_fallbacks": False, "data_collection": "deny", "zdr": True}
    model = make(provider=wanted)
    model.embed_documents(["a"])
    await model.aembed_query("a")
    assert [body["provider"] for body in bodies(gateway)] == [wanted, wanted]


async def test_usage_is_the_sum_over_both_colours(make: Make):
    model = make()
    model.embed_documents(TEXTS)
    once = model.usage
    await model.aembed_documents(TEXTS)
    assert once.requests == 1
    assert once.total_tokens > 0
    assert model.usage.requests == 2
    assert model.usage.total_tokens == 2 * once.total_tokens
    assert model.usage.cost == pytest.approx(2 * once.cost)


def test_an_error_of_the_gateway_comes_out_as_itself(make: Make):
    with pytest.raises(AuthenticationError):
        make(api_key="expired").embed_query("a")


# ---------------------------------------------------------------------------------------------------------- LangChain


def test_a_store_finds_what_was_asked_for(make: Make, gateway: LocalGateway):
    store = InMemoryVectorStore.from_texts(TEXTS, make(dimensions=None))
    found = {question: store.similarity_search(question, k=1)[0].page_content for question in QUESTIONS}
    assert found == {question: TEXTS[position] for question, position in QUESTIONS.items()}
    assert [len(body["input"]) for body in bodies(gateway)] == [5, 1, 1, 1]


async def test_a_store_finds_what_was_asked_for_on_a_loop(make: Make):
    store = await InMemoryVectorStore.afrom_texts(TEXTS, make(dimensions=None))
    found = await asyncio.gather(*(store.asimilarity_search(question, k=1) for question in QUESTIONS))
    assert [hits[0].page_content for hits in found] == [TEXTS[position] for position in QUESTIONS.values()]


def test_a_retriever_takes_a_batch_of_questions(make: Make):
    """`batch` calls `embed_query` from many threads at once, `abatch` from many tasks."""
    retriever = InMemoryVectorStore.from_texts(TEXTS, make()).as_retriever(search_kwargs={"k": 1})
    wanted = [TEXTS[position] for position in QUESTIONS.values()] * 4
    questions = [*QUESTIONS] * 4
    assert [hits[0].page_content for hits in retriever.batch(questions)] == wanted
    assert [hits[0].page_content for hits in asyncio.run(retriever.abatch(questions))] == wanted


@pytest.mark.filterwarnings("ignore:Using SHA-1:UserWarning")  # the choice of another came with a later release
def test_known_documents_are_not_embedded_again(make: Make, gateway: LocalGateway):
    store = InMemoryVectorStore(make())
    records = InMemoryRecordManager(namespace="test")
    records.create_schema()
    documents = [Document(page_content=text, metadata={"source": text[:8]}) for text in TEXTS]
    for _ in range(2):
        index(documents, records, store, cleanup=None)
    assert [len(body["input"]) for body in bodies(gateway)] == [5]


# ------------------------------------------------------------------------------- any thread, any loop, any process


def test_one_object_serves_several_event_loops_one_after_another(make: Make):
    model = make()
    wanted = model.embed_documents(TEXTS)
    assert [asyncio.run(model.aembed_documents(TEXTS)) for _ in range(3)] == [wanted] * 3


async def test_sync_methods_work_inside_a_running_loop(make: Make):
    model = make()
    store = InMemoryVectorStore.from_texts(TEXTS, model)
    assert store.similarity_search("create a temporary file", k=1)[0].page_content == TEXTS[1]


def test_eight_threads_share_one_object_each_with_a_loop_of_its_own(make: Make):
    model = make()
    wanted = model.embed_documents(TEXTS)

    def work(number: int) -> list[list[float]]:
        return asyncio.run(model.aembed_documents(TEXTS)) if number % 2 else model.embed_documents(TEXTS)

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, range(16))) == [wanted] * 16


def test_max_concurrency_holds_over_threads_and_tasks(make: Make, gateway: LocalGateway):
    model = make(max_concurrency=2)
    gateway.trouble("slow", times=None, seconds=0.05)

    async def tasks() -> None:
        await asyncio.gather(*(model.aembed_query(f"question {number}") for number in range(6)))

    with ThreadPoolExecutor(7) as pool:
        loop = pool.submit(asyncio.run, tasks())
        list(pool.map(model.embed_query, [f"text {number}" for number in range(6)]))
        loop.result()
    assert len(bodies(gateway)) == 12
    assert gateway.max_in_flight() <= 2


def test_a_loop_in_a_thread_of_its_own_and_another_can_share_an_object(make: Make):
    """langchain-postgres embeds on a loop thread of its engine, whatever loop the caller is on."""
    model = make()
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        inside = asyncio.run_coroutine_threadsafe(model.aembed_documents(TEXTS), loop)
        outside = asyncio.run(model.aembed_documents(TEXTS))
        assert inside.result(30) == outside
        again = asyncio.run_coroutine_threadsafe(model.aembed_documents(TEXTS), loop)
        assert again.result(30) == outside
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.run_until_complete(loop.shutdown_asyncgens())  # as asyncio.run does; the core closes its connections then
        loop.close()


@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)
def test_a_copy_of_an_object_in_use_gives_the_same_numbers(make: Make, copied: Callable[[Any], Any]):
    model = make(provider={"order": ["deepinfra"]})
    wanted = model.embed_documents(TEXTS)
    twin = copied(model)
    assert twin.usage.requests == 0
    assert twin.embed_documents(TEXTS) == asyncio.run(twin.aembed_documents(TEXTS)) == wanted


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_an_object_in_use_works_in_a_forked_child(make: Make):
    model = make()
    wanted = model.embed_documents(TEXTS)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:  # pragma: no cover - another process
        try:
            answer = [model.embed_documents(TEXTS), asyncio.run(model.aembed_documents(TEXTS))]
        except BaseException as error:
            answer = repr(error)
        with os.fdopen(writing, "w") as pipe:
            json.dump(answer, pipe)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        answer = json.load(pipe)
    os.waitpid(child, 0)
    assert answer == [wanted, wanted]
    assert model.embed_documents(TEXTS) == wanted


# ------------------------------------------------------------------------------------------------ no secret, no text


def test_neither_key_nor_text_is_logged_or_in_an_error(
    make: Make, gateway: LocalGateway, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.DEBUG)
    key, text = "sk-or-canary-81d2", "canary-text-7a6b"
    model = make(api_key=key)
    model.embed_documents([text])
    asyncio.run(model.aembed_query(text))
    gateway.trouble("status", status=400)
    with pytest.raises(Exception) as caught:
        model.embed_documents([text])
    for shown in (caplog.text, repr(caught.value), str(caught.value), repr(model)):
        assert key not in shown
        assert text not in shown
