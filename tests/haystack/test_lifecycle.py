"""Any thread, any loop, any process; and closed means closed, not broken."""

from __future__ import annotations

import asyncio
import copy
import multiprocessing
import pickle
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from haystack import Document

from .conftest import KEY


def embed(one: Any, text: str = "copy a directory") -> list[float]:
    found: list[float] = one.run(text)["embedding"]
    return found


def test_all_four_methods_may_be_called_at_any_time_and_twice(text_embedder: Any, documents_embedder: Any) -> None:
    async def in_a_loop(one: Any, **inputs: Any) -> None:
        await one.warm_up_async()
        await one.warm_up_async()
        await one.run_async(**inputs)
        await one.close_async()
        await one.close_async()
        await one.run_async(**inputs)

    both: list[tuple[Any, dict[str, Any]]] = [
        (text_embedder(), {"text": "a"}),
        (documents_embedder(), {"documents": [Document(content="a")]}),
    ]
    for one, inputs in both:
        one.close()
        for _ in range(2):
            one.warm_up()
            one.warm_up()
            one.run(**inputs)
            one.close()
            one.close()
            asyncio.run(in_a_loop(one, **inputs))
        one.run(**inputs)


def test_two_event_loops_one_after_the_other(text_embedder: Any) -> None:
    one = text_embedder()
    first = asyncio.run(one.run_async("a"))["embedding"]
    assert asyncio.run(one.run_async("a"))["embedding"] == first == embed(one, "a")


async def test_sync_inside_a_running_loop(text_embedder: Any) -> None:
    one = text_embedder()
    assert embed(one) == (await one.run_async("copy a directory"))["embedding"]


def test_eight_threads_share_one_embedder_from_its_first_use(text_embedder: Any, gateway: Any) -> None:
    one, start = text_embedder(max_concurrency=2), Barrier(8)

    def work(number: int) -> list[float]:
        start.wait()
        if number % 2:
            found: list[float] = asyncio.run(one.run_async(f"text {number % 4}"))["embedding"]
            return found
        return embed(one, f"text {number % 4}")

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(work, range(8)))
    assert found[:4] == found[4:]
    assert len({tuple(one) for one in found}) == 4
    assert gateway.max_in_flight() <= 2
    assert one.usage.requests + one.usage.shared == 8  # equal texts at the same time are sent once


@pytest.mark.parametrize("used", [False, True])
def test_copies_carry_the_configuration(text_embedder: Any, documents_embedder: Any, used: bool) -> None:
    text, documents = text_embedder(dimensions=64), documents_embedder(dimensions=64)
    if used:
        embed(text)
        documents.run([Document(content="a")])
    for one in (copy.deepcopy(text), copy.copy(text), pickle.loads(pickle.dumps(text))):
        assert embed(one) == embed(text)
        assert asyncio.run(one.run_async("copy a directory"))["embedding"] == embed(text)
    for one in (copy.deepcopy(documents), pickle.loads(pickle.dumps(documents))):
        assert len(one.run([Document(content="a")])["documents"][0].embedding) == 64


def test_a_pickle_holds_the_name_of_the_variable_and_not_the_key(text_embedder: Any) -> None:
    one = text_embedder()
    embed(one)
    assert KEY.encode() not in pickle.dumps(one)


def _in_the_child(one: Any, pipe: Any) -> None:
    pipe.send(embed(one))
    pipe.close()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_uses_the_embedder_of_its_parent(text_embedder: Any) -> None:
    one = text_embedder()
    expected = embed(one)
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe()
    child = context.Process(target=_in_the_child, args=(one, there))
    child.start()
    assert here.poll(20), "the child did not answer"
    assert here.recv() == expected
    child.join(10)
    assert embed(one) == expected
