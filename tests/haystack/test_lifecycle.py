"""Haystack's lifecycle: closed means closed, not broken."""

from __future__ import annotations

import asyncio
import copy
import pickle
from typing import Any

from haystack import Document

from .conftest import KEY


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


def test_a_pickle_holds_the_name_of_the_variable_and_not_the_key(text_embedder: Any) -> None:
    one = text_embedder()
    one.run("copy a directory")
    assert KEY.encode() not in pickle.dumps(one)


def test_two_that_are_unpickled_share_a_client_and_a_deep_copy_does_not(documents_embedder: Any) -> None:
    one = documents_embedder()
    data = pickle.dumps(one)
    first, second = pickle.loads(data), pickle.loads(data)
    assert first.client._state is second.client._state
    assert first.client._state is not one.client._state
    assert copy.deepcopy(first).client._state is not first.client._state
