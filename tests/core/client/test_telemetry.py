"""What OpenTelemetry sees of a call: model, tokens, cost, retries, who served it; no text, no key."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

pytest.importorskip("opentelemetry.sdk")

from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from openrouter_embeddings import AuthenticationError, MemoryCache
from openrouter_embeddings.client import telemetry

from .conftest import COLOURS, MODEL, stream

KEY = "sk-or-canary-77aa"
TEXT = "the patient Quillfeather"
OURS = "openrouter_embeddings."


class Seen:
    """What exporters have received."""

    def __init__(self) -> None:
        self._exporter, self._reader = InMemorySpanExporter(), InMemoryMetricReader()
        self.tracers, self.meters = TracerProvider(), MeterProvider([self._reader])
        self.tracers.add_span_processor(SimpleSpanProcessor(self._exporter))

    @property
    def spans(self) -> list[ReadableSpan]:
        return list(self._exporter.get_finished_spans())

    def ours(self) -> list[ReadableSpan]:
        return [span for span in self.spans if span.name.startswith("embeddings ")]

    def points(self) -> dict[str, list[Any]]:
        """Return the points of each metric."""
        data = self._reader.get_metrics_data()
        found = [one for part in data.resource_metrics for scope in part.scope_metrics for one in scope.metrics]
        return {metric.name: list(metric.data.data_points) for metric in found}


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Iterator[Seen]:
    """Providers that are those of the application, for this test only."""
    kept = Seen()
    monkeypatch.setattr(trace, "get_tracer", kept.tracers.get_tracer)
    monkeypatch.setattr(metrics, "get_meter", kept.meters.get_meter)
    telemetry._instruments.cache_clear()
    yield kept
    telemetry._instruments.cache_clear()
    kept.tracers.shutdown()
    kept.meters.shutdown()


def call(client: Any, texts: list[str], *, colour: str, input_type: str = "document") -> Any:
    """Embed in either colour."""
    if colour == "sync":
        return client.embed(texts, input_type=input_type)
    return asyncio.run(client.as_async().embed(texts, input_type=input_type))


BOTH = pytest.mark.parametrize("colour", ["sync", "async"])


@BOTH
def test_a_call_is_one_span_with_what_it_has_spent_and_who_served_it(make, embeddings_gateway, seen, colour):
    embeddings_gateway.trouble("status", status=503, retry_after=0.01)
    client = make(api_key=KEY, dimensions=64, encoding_format="base64", batch_size=2)
    result = call(client, [TEXT, "b", "c", "b"], colour=colour)
    (span,) = seen.spans
    assert (span.name, span.kind, span.status.is_ok) == (f"embeddings {MODEL}", trace.SpanKind.CLIENT, True)
    host, _, port = embeddings_gateway.base_url.partition("//")[2].partition("/")[0].partition(":")
    assert result.providers
    assert result.usage.retries == 1
    spent = result.usage.to_dict()
    del spent["prompt_tokens"], spent["total_tokens"]
    assert dict(span.attributes) == {
        "gen_ai.operation.name": "embeddings",
        "gen_ai.provider.name": "openrouter",
        "gen_ai.request.model": MODEL,
        "gen_ai.request.encoding_formats": ("base64",),
        "gen_ai.response.model": result.model,
        "gen_ai.embeddings.dimension.count": 64,
        "gen_ai.usage.input_tokens": result.usage.prompt_tokens,
        "server.address": host,
        "server.port": int(port),
        f"{OURS}input_type": "document",
        f"{OURS}inputs": 4,
        f"{OURS}providers": result.providers,
        **{f"{OURS}{name}": number for name, number in spent.items()},
        "openinference.span.kind": "EMBEDDING",
        "embedding.model_name": MODEL,
        "llm.token_count.prompt": result.usage.prompt_tokens,
        "llm.token_count.total": result.usage.total_tokens,
        "llm.cost.total": result.usage.cost,
    }
    assert span.attributes[f"{OURS}cost"] > 0
    for canary in (KEY, "Quillfeather"):
        assert canary not in span.to_json()


@BOTH
def test_a_call_that_fails_is_a_span_with_the_errors_type_and_without_its_words(make, embeddings_gateway, seen, colour):
    embeddings_gateway.trouble("status", status=401, message=f"Bearer {KEY} sent {TEXT}")
    with pytest.raises(AuthenticationError):
        call(make(api_key=KEY), [TEXT], colour=colour, input_type="query")
    (span,) = seen.spans
    assert span.status.status_code is trace.StatusCode.ERROR
    assert span.status.description is None
    assert not span.events
    assert span.attributes["error.type"] == "AuthenticationError"
    assert span.attributes[f"{OURS}requests"] == 1
    assert KEY not in span.to_json()
    (duration,) = seen.points()["gen_ai.client.operation.duration"]
    assert duration.attributes["error.type"] == "AuthenticationError"


def test_metrics_hold_tokens_and_durations_in_the_buckets_of_the_conventions(make, seen):
    client = make()
    tokens = sum(client.embed_documents([f"{TEXT} {number}"]).usage.prompt_tokens for number in range(3))
    points = seen.points()
    (used,) = points["gen_ai.client.token.usage"]
    assert (used.count, used.sum) == (3, tokens)
    assert used.attributes["gen_ai.token.type"] == "input"
    assert (used.attributes["gen_ai.request.model"], used.attributes["gen_ai.provider.name"]) == (MODEL, "openrouter")
    assert used.explicit_bounds == tuple(4**power for power in range(14))
    (duration,) = points["gen_ai.client.operation.duration"]
    assert duration.count == 3
    assert duration.sum > 0
    assert duration.explicit_bounds[:3] == (0.01, 0.02, 0.04)
    assert "Quillfeather" not in str(points)


@BOTH
def test_the_span_stands_below_the_callers(make, seen, colour):
    with seen.tracers.get_tracer("the application").start_as_current_span("request") as request:
        call(make(batch_size=1), list("abc"), colour=colour)
    (span,) = seen.ours()
    assert span.parent is not None
    assert span.parent.span_id == request.get_span_context().span_id
    assert not trace.get_current_span().get_span_context().is_valid


def test_what_the_cache_answers_is_a_span_that_spent_nothing(make, seen):
    client = make(cache=MemoryCache())
    client.embed_query("a")
    client.embed_query("a")
    paid, cached = seen.spans
    assert (paid.attributes[f"{OURS}requests"], paid.attributes[f"{OURS}cached"]) == (1, 0)
    assert (cached.attributes[f"{OURS}requests"], cached.attributes[f"{OURS}cached"]) == (0, 1)
    assert cached.attributes[f"{OURS}cost"] == 0
    (used,) = seen.points()["gen_ai.client.token.usage"]
    assert used.count == 1


@COLOURS
def test_a_stream_is_a_span_for_each_slice(make, seen, colour):
    client = make(batch_size=2)
    stream(client, [TEXT, *"abcde"], colour)
    spans = seen.ours()
    assert sum(span.attributes[f"{OURS}inputs"] for span in spans) == 6
    assert sum(span.attributes["gen_ai.usage.input_tokens"] for span in spans) == client.usage.prompt_tokens
    assert sum(span.attributes[f"{OURS}cost"] for span in spans) == pytest.approx(client.usage.cost)
    assert len(spans) == client.usage.requests
    assert "Quillfeather" not in "".join(span.to_json() for span in spans)


def test_queries_that_share_a_request_have_a_span_each_and_count_it_once(make, seen):
    client = make(coalesce_queries=True)
    client.embed_query("warm")
    together = threading.Barrier(4)

    def ask(number: int) -> None:
        together.wait(10)
        client.embed_query(f"question {number}")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(ask, range(4)))
    spans = seen.ours()
    assert len(spans) == 5
    assert {span.attributes[f"{OURS}inputs"] for span in spans} == {1}
    for name in ("requests", "shared", "cost"):
        total = sum(span.attributes[f"{OURS}{name}"] for span in spans)
        assert total == pytest.approx(getattr(client.usage, name)), name


async def test_a_call_that_is_cancelled_ends_its_span(make, embeddings_gateway, seen):
    embeddings_gateway.trouble("slow", seconds=30)
    task = asyncio.create_task(make().as_async().embed_query("a"))
    async with asyncio.timeout(20):
        while not embeddings_gateway.embedding_requests():  # noqa: ASYNC110 - another process says when
            await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    (span,) = seen.spans
    assert (span.attributes["error.type"], span.attributes[f"{OURS}requests"]) == ("CancelledError", 1)


def test_what_a_callback_of_the_users_raises_leaves_no_words_in_the_span(make, seen):
    def fails(*_: int) -> None:
        raise RuntimeError(TEXT)

    with pytest.raises(RuntimeError):
        make().embed_documents([TEXT], on_progress=fails)
    (span,) = seen.spans
    assert span.attributes["error.type"] == "RuntimeError"
    assert "Quillfeather" not in span.to_json()


def test_without_a_provider_no_context_is_touched(make, monkeypatch):
    """The API alone may be loaded by any library."""
    telemetry._instruments.cache_clear()
    attached: list[object] = []
    monkeypatch.setattr("opentelemetry.context.attach", lambda context: attached.append(context))
    assert len(make().embed_documents([TEXT])) == 1
    assert not attached
    telemetry._instruments.cache_clear()


def test_listings_are_no_embeddings(make, seen):
    make().list_models()
    assert not seen.spans


def test_an_api_that_knows_no_bounds_is_told_of_none():
    class Meter:
        def create_histogram(self, name: str, unit: str = "", description: str = "") -> str:
            return name

    assert telemetry._histogram(Meter(), "a name", "s", "", [1.0]) == "a name"  # type: ignore[arg-type]


SCRIPT = """
import json, sys
from openrouter_embeddings import Client
client = Client("openai/text-embedding-3-small")
client.embed_query("before anybody listens")
loaded = [name for name in sys.modules if name.startswith("opentelemetry")]
from opentelemetry import trace
client.embed_query("the API is there, and no provider")
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
exporter, provider = InMemorySpanExporter(), TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)
client.embed_query("now")
print(json.dumps([loaded, [span.name for span in exporter.get_finished_spans()]]))
"""


def test_opentelemetry_is_not_loaded_by_us_and_a_provider_may_come_late(embeddings_gateway):
    where = {"OPENROUTER_API_BASE": embeddings_gateway.base_url, "OPENROUTER_API_KEY": KEY}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, env={**os.environ, **where}, check=False
    )
    assert done.stderr == ""
    assert json.loads(done.stdout) == [[], [f"embeddings {MODEL}"]]
