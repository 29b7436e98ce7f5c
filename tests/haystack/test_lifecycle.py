"""Haystack's lifecycle: closed means closed, not broken."""

from __future__ import annotations

import asyncio
import copy
import pickle
from typing import Any

import haystack
import pytest
from haystack import Document, Pipeline, component
from haystack.utils import Secret

from openrouter_embeddings import ConfigurationError

from .conftest import KEY, run_in


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


@component
class Converter:
    """Stands for what takes an hour: it notes that it has begun."""

    def __init__(self) -> None:
        self.has_run = False

    @component.output_types(documents=list[Document], text=str)
    def run(self, text: str) -> dict[str, Any]:
        self.has_run = True
        return {"documents": [Document(content=text)], "text": text}


def behind(converter: Converter, embedder: Any, socket: str) -> Any:
    """Return a pipeline that runs in both colours."""
    kind = Pipeline if hasattr(Pipeline, "run_async") else haystack.AsyncPipeline  # type: ignore[attr-defined]
    pipeline = kind()
    pipeline.add_component("converter", converter)
    pipeline.add_component("embedder", embedder)
    pipeline.connect(f"converter.{socket}", f"embedder.{socket}")
    return pipeline


MISSING = {
    "key": ({}, "No API key for openrouter. Pass api_key=... or set OPENROUTER_API_KEY."),
    "own key": ({"api_key": Secret.from_env_var("NO_SUCH_KEY")}, "No API key. Set NO_SUCH_KEY."),
    "header": (
        {"extra_headers": {"x-team": Secret.from_env_var("NO_TEAM"), "x-one": "1"}, "api_key": Secret.from_token("k")},
        "No value of header 'x-team'. Set NO_TEAM.",
    ),
    "lenient header": (
        {"extra_headers": {"x-team": Secret.from_env_var("NO_TEAM", strict=False)}, "api_key": Secret.from_token("k")},
        "No value of header 'x-team'. Set NO_TEAM.",
    ),
}


@pytest.mark.parametrize("cached", [True, False], ids=["cache", "no cache"])
@pytest.mark.parametrize("missing", MISSING)
@pytest.mark.parametrize("way", ["run", "run_async"])
def test_what_is_missing_is_named_before_anything_is_converted(
    documents_embedder: Any,
    text_embedder: Any,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Any,
    missing: str,
    cached: bool,
    way: str,
) -> None:
    monkeypatch.delenv("OPENROUTER_API_KEY")
    options, says = MISSING[missing]
    cache = {"cache": tmp_path / "e.sqlite"} if cached else {}
    for make, socket in ((documents_embedder, "documents"), (text_embedder, "text")):
        converter, embedder = Converter(), make(**options, **cache)
        pipeline = behind(converter, embedder, socket)
        with pytest.raises(ConfigurationError) as caught:
            run_in(way, pipeline, {"converter": {"text": "a"}})
        assert str(caught.value) == says
        assert not converter.has_run
        for warm_up in (embedder.warm_up, lambda one=embedder: asyncio.run(one.warm_up_async())):
            with pytest.raises(ConfigurationError):
                warm_up()


def test_nothing_is_missing_where_all_is_set(text_embedder: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEAM", "notes")
    headers = {"x-team": Secret.from_env_var("TEAM"), "x-one": "1", "x-two": lambda: pytest.fail("it is not for us")}
    text_embedder(extra_headers=headers).warm_up()


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
