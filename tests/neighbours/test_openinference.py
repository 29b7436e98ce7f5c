"""What OpenInference's instrumentations see, in each framework: model, tokens and cost, and no key.

The texts are in the spans of the frameworks' own, unless its settings hide them; in ours they never are.
"""

from __future__ import annotations

import asyncio
import json

import pytest
from haystack import Document, Pipeline
from langchain_core.runnables import RunnableLambda
from llama_index.core import Document as LlamaDocument
from llama_index.core import VectorStoreIndex
from openinference.instrumentation import TraceConfig
from openinference.instrumentation.haystack import HaystackInstrumentor
from openinference.instrumentation.langchain import LangChainInstrumentor
from openinference.instrumentation.llama_index import LlamaIndexInstrumentor
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from haystack_integrations.components.embedders.openrouter_embeddings import OpenRouterDocumentEmbedder
from langchain_openrouter_embeddings import OpenRouterEmbeddings
from llama_index.embeddings.openrouter import OpenRouterEmbedding

MODEL = "qwen/qwen3-embedding-8b"
TEXT = "the patient Quillfeather"


@pytest.fixture(scope="module")
def exporter():
    """What the application's provider exports, for the life of the process."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return exporter


def with_langchain(colour):
    model = OpenRouterEmbeddings(MODEL)
    chain = RunnableLambda(model.embed_query, afunc=model.aembed_query)
    chain.invoke(TEXT) if colour == "sync" else asyncio.run(chain.ainvoke(TEXT))
    return model.usage


def with_llama_index(colour):
    model = OpenRouterEmbedding(MODEL)
    index = VectorStoreIndex.from_documents([LlamaDocument(text=TEXT)], embed_model=model)
    retriever = index.as_retriever()
    retriever.retrieve(TEXT) if colour == "sync" else asyncio.run(retriever.aretrieve(TEXT))
    return model.usage


def with_haystack(colour):
    pipeline, embedder = Pipeline(), OpenRouterDocumentEmbedder(model=MODEL, progress_bar=False)
    pipeline.add_component("embedder", embedder)
    data = {"embedder": {"documents": [Document(content=TEXT)]}}
    pipeline.run(data) if colour == "sync" else asyncio.run(pipeline.run_async(data))
    return embedder.usage


FRAMEWORKS = {
    "langchain": (LangChainInstrumentor, with_langchain),
    "llama_index": (LlamaIndexInstrumentor, with_llama_index),
    "haystack": (HaystackInstrumentor, with_haystack),
}


@pytest.mark.parametrize("hidden", [True, False], ids=["texts hidden", "texts shown"])
@pytest.mark.parametrize("colour", ["sync", "async"])
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_model_tokens_and_cost_are_in_the_trace(gateway, exporter, framework, colour, hidden):
    gateway.trouble("status", status=503, retry_after=0.01)
    exporter.clear()
    instrumentation, use = FRAMEWORKS[framework]
    hide = TraceConfig(hide_inputs=hidden, hide_outputs=hidden, hide_embeddings_text=hidden)
    instrumentation().instrument(config=hide, skip_dep_check=True)
    try:
        usage = use(colour)
    finally:
        instrumentation().uninstrument()
    spans = exporter.get_finished_spans()
    ours = [span for span in spans if span.name == f"embeddings {MODEL}"]
    theirs = [span for span in spans if span not in ours]
    assert {span.attributes["openinference.span.kind"] for span in ours} == {"EMBEDDING"}
    assert {span.attributes["embedding.model_name"] for span in ours} == {MODEL}
    # Counted once: a trace's total is the sum over its spans.
    for name, spent in [("prompt", usage.prompt_tokens), ("total", usage.total_tokens)]:
        assert sum(span.attributes.get(f"llm.token_count.{name}", 0) for span in spans) == spent > 0
    assert sum(span.attributes.get("llm.cost.total", 0) for span in spans) == pytest.approx(usage.cost)
    assert sum(span.attributes["openrouter_embeddings.retries"] for span in ours) == usage.retries == 1
    assert all(span.attributes["openrouter_embeddings.providers"] for span in ours)
    assert any(span.attributes.get("openinference.span.kind") == "EMBEDDING" for span in theirs)
    assert "sk-or-canary" not in said_by(spans)
    assert "Quillfeather" not in said_by(ours)
    assert ("Quillfeather" in said_by(theirs)) is not hidden


def said_by(spans):
    return json.dumps([json.loads(span.to_json()) for span in spans])
