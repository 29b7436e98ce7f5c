"""The four methods, where LangChain and its users call them: stores, retrievers, indexing."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.documents import Document
from langchain_core.indexing import InMemoryRecordManager, index
from langchain_core.vectorstores import InMemoryVectorStore

from langchain_openrouter_embeddings import OpenRouterEmbeddings
from openrouter_embeddings import InputError, InsufficientCreditsError

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


async def test_parameters_are_named_as_in_langchain(make: Make):
    """langchain-postgres and several stores call by keyword."""
    model = make()
    assert model.embed_query(text="a") == await model.aembed_query(text="a")
    assert model.embed_documents(texts=["a"]) == await model.aembed_documents(texts=["a"])


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


@pytest.mark.filterwarnings("ignore:Using SHA-1:UserWarning")
@pytest.mark.parametrize("cached", [False, True])
def test_an_index_that_stops_half_way_goes_on_and_pays_the_rest(
    make: Make, gateway: LocalGateway, tmp_path: Path, cached: bool
):
    """LangChain records what a store has taken, batch by batch; a cache keeps what landed of the batch that failed."""
    more = {"batch_size": 25, "max_concurrency": 1, **({"cache": str(tmp_path / "e.sqlite")} if cached else {})}
    records = InMemoryRecordManager(namespace="test")
    records.create_schema()
    store = InMemoryVectorStore(make(**more))
    documents = [Document(page_content=f"sentence number {n}", metadata={"source": str(n)}) for n in range(600)]

    def start() -> None:
        index(documents, records, store, cleanup=None, batch_size=100)

    gateway.trouble("status", status=402, after=14, times=None)
    with pytest.raises(InsufficientCreditsError):
        start()
    assert len(store.store) == 300
    assert gateway.paid_inputs() == 350
    gateway.reset()
    start()
    assert len(store.store) == 600
    assert gateway.paid_inputs() == (250 if cached else 300)


async def test_a_store_is_searched_inside_a_running_loop(make: Make):
    store = InMemoryVectorStore.from_texts(TEXTS, make(dimensions=None))
    assert store.similarity_search("create a temporary file", k=1)[0].page_content == TEXTS[1]


def test_an_empty_page_is_found_by_nobody_and_stops_nobody(make: Make):
    store = InMemoryVectorStore.from_texts(["Copy a whole directory tree.", ""], make(on_empty="zero"))
    found = store.similarity_search_with_score("Copy a whole directory tree.", k=2)
    assert found[0][0].page_content == "Copy a whole directory tree."
    assert [score for document, score in found if not document.page_content] == [0.0]


def test_an_error_in_a_store_says_what_can_be_done_here(make: Make, gateway: LocalGateway):
    """A store passes on what it was asked for, and no `resume=`: the client of the embeddings takes it."""
    gateway.trouble("status", status=402, after=2, times=None)
    model = make(batch_size=1, max_concurrency=1)
    with pytest.raises(InsufficientCreditsError) as caught:
        InMemoryVectorStore.from_texts(TEXTS, model)
    assert str(caught.value).endswith(
        '2 of 5 embeddings landed and are in .partial. embeddings.client.embed(texts, input_type="document",'
        " resume=error.partial) embeds only the rest, and so does this call again where the embeddings have a cache=."
    )
    gateway.reset()
    rows = model.client.embed(TEXTS, input_type="document", resume=caught.value.partial)
    assert len(rows) == len(TEXTS)
    assert gateway.paid_inputs() == 3


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


# -------------------------------------------------------------------------------------------------------------- errors


def test_bad_input_is_an_error_that_names_the_method(make: Make, gateway: LocalGateway):
    model, text = make(), "a text"
    calls = {
        "embed_documents takes a list; wrap it: [text].": lambda: model.embed_documents(text),
        "embed_documents: Input 1 is None. Remove it": lambda: model.embed_documents([text, None]),
        "embed_query: Input 0 is empty. Remove it": lambda: model.embed_query(""),
        "embed_query: Input 0 is list, not str.": lambda: model.embed_query([text]),
        "embed_content takes a list of str or Content.": lambda: model.embed_content({text}),
        "aembed_documents takes a list; wrap it: [text].": lambda: asyncio.run(model.aembed_documents(text)),
        "aembed_query: Input 0 is int, not str.": lambda: asyncio.run(model.aembed_query(7)),
        "aembed_content takes a list of str": lambda: asyncio.run(model.aembed_content(None)),
    }
    for words, call in calls.items():
        with pytest.raises(InputError) as caught:
            call()
        assert words in str(caught.value)
    assert bodies(gateway) == []
