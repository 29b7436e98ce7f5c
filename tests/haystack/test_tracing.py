"""What a tracer of Haystack's sees: what was asked for and spent, no text, no key."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from haystack import Document, Pipeline, tracing

from openrouter_embeddings import AuthenticationError, InvalidRequestError

from .conftest import KEY, UNMARKED


class Span(tracing.Span):
    """Keeps its tags."""

    def __init__(self, name: str, tags: dict[str, Any] | None, parent: Any) -> None:
        self.name, self.tags, self.parent = name, dict(tags or {}), parent

    def set_tag(self, key: str, value: Any) -> None:
        self.tags[key] = value


class Tracer(tracing.Tracer):
    """Keeps all spans."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.open: list[Span] = []

    @contextmanager
    def trace(self, operation_name: str, tags: Any = None, parent_span: Any = None) -> Iterator[Span]:
        span = Span(operation_name, tags, parent_span)
        self.spans.append(span)
        self.open.append(span)
        try:
            yield span
        finally:
            self.open.remove(span)

    def current_span(self) -> Span | None:
        return self.open[-1] if self.open else None


@pytest.fixture
def tracer() -> Iterator[Tracer]:
    kept = Tracer()
    tracing.enable_tracing(kept)
    yield kept
    tracing.disable_tracing()


def ours(tracer: Tracer) -> list[Span]:
    return [span for span in tracer.spans if span.name == "openrouter_embeddings.embed"]


def test_a_span_below_the_components_tells_what_was_spent(
    run_pipeline: Any, documents_embedder: Any, gateway: Any, tracer: Tracer
) -> None:
    pipeline = Pipeline()
    pipeline.add_component("embedder", documents_embedder(batch_size=2))
    gateway.trouble("status", status=503, retry_after=0.01)
    given = [Document(content=f"quillfeather {number}") for number in range(6)]
    meta = run_pipeline(pipeline, {"embedder": {"documents": given}})["embedder"]["meta"]
    (span,) = ours(tracer)
    assert span.parent.name == "haystack.component.run"
    assert span.tags == {"model": UNMARKED, "input_type": "document", "providers": meta["providers"], **meta["usage"]}
    assert len(span.tags["providers"]) == 1
    assert (span.tags["retries"], span.tags["cost"] > 0) == (1, True)
    assert "quillfeather" not in str(span.tags)
    assert KEY not in str([one.tags for one in tracer.spans])


def test_a_call_that_fails_is_traced_too(call: Any, text_embedder: Any, gateway: Any, tracer: Tracer) -> None:
    gateway.trouble("status", status=401)
    with pytest.raises(AuthenticationError):
        call(text_embedder(), text="quillfeather")
    (span,) = ours(tracer)
    assert (span.tags["input_type"], span.tags["requests"], span.tags["cost"]) == ("query", 1, 0.0)
    assert (span.tags["error"], span.tags["providers"]) == ("AuthenticationError", [])


def test_a_call_that_a_provider_failed_names_it(call: Any, text_embedder: Any, gateway: Any, tracer: Tracer) -> None:
    gateway.trouble("status", status=400, provider="DeepInfra")
    with pytest.raises(InvalidRequestError):
        call(text_embedder(), text="quillfeather")
    assert ours(tracer)[0].tags["providers"] == ["DeepInfra"]
