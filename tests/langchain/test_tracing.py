"""What a tracer of LangChain's sees: a run of type `embedding` with model, tokens and cost; no text, no key."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import langsmith
import pytest
from langchain_core.runnables import RunnableLambda
from langchain_core.tracers import BaseTracer, LangChainTracer, Run
from langchain_core.vectorstores import InMemoryVectorStore

from langchain_openrouter_embeddings import OpenRouterEmbeddings
from openrouter_embeddings import AuthenticationError

from .conftest import KEY, MARKED

Make = Callable[..., OpenRouterEmbeddings]
TEXT = "the patient Quillfeather"


class Tracer(BaseTracer):
    """Keeps the runs at the top, with all below them."""

    def __init__(self) -> None:
        super().__init__()
        self.tops: list[Run] = []

    def _persist_run(self, run: Run) -> None:
        self.tops.append(run)


def invoke(how: str, step: Callable[[Any], Any], astep: Callable[[Any], Any], tracer: Tracer) -> Any:
    """Run a step of a chain in either colour."""
    chain = RunnableLambda(step, afunc=astep)
    config: Any = {"callbacks": [tracer], "metadata": {"of": "the chain"}}
    return chain.invoke(TEXT, config) if how == "invoke" else asyncio.run(chain.ainvoke(TEXT, config))


BOTH = pytest.mark.parametrize("how", ["invoke", "ainvoke"])


@BOTH
@pytest.mark.parametrize("input_type", ["query", "document"])
def test_a_run_below_the_chain_tells_model_tokens_cost_and_who_served_it(
    make: Make, gateway: Any, how: str, input_type: str
):
    gateway.trouble("status", status=503, retry_after=0.01)
    model, tracer = make(), Tracer()
    if input_type == "query":
        invoke(how, model.embed_query, model.aembed_query, tracer)
    else:
        invoke(how, lambda text: model.embed_documents([text]), lambda text: model.aembed_documents([text]), tracer)
    (top,) = tracer.tops
    (run,) = top.child_runs
    assert (run.run_type, run.name, run.error) == ("embedding", "OpenRouterEmbeddings", None)
    assert run.inputs == {"input_type": input_type, "inputs": 1}
    assert run.outputs is not None
    usage = model.usage
    assert run.outputs["usage"] == usage.to_dict()
    assert (usage.retries, usage.cost > 0) == (1, True)
    assert run.outputs["usage_metadata"] == {
        "input_tokens": usage.prompt_tokens,
        "output_tokens": 0,
        "total_tokens": usage.total_tokens,
        "total_cost": usage.cost,
    }
    assert (run.outputs["dimensions"], len(run.outputs["providers"])) == (64, 1)
    metadata = run.extra["metadata"]
    assert (metadata["ls_provider"], metadata["ls_model_name"], metadata["of"]) == ("openrouter", MARKED, "the chain")
    shown = json.dumps([run.inputs, run.outputs, run.extra, run.tags, run.events, run.serialized], default=str)
    assert "Quillfeather" not in shown
    assert KEY not in shown


@BOTH
def test_a_call_that_fails_ends_its_run_with_the_error(make: Make, gateway: Any, how: str):
    gateway.trouble("status", status=401, message=f"Bearer {KEY} sent {TEXT}")
    model, tracer = make(), Tracer()
    with pytest.raises(AuthenticationError):
        invoke(how, model.embed_query, model.aembed_query, tracer)
    (run,) = tracer.tops[0].child_runs
    assert run.error.startswith("AuthenticationError(")
    assert KEY not in run.error
    assert "Quillfeather" not in run.error


@BOTH
def test_the_run_of_a_retriever_in_a_chain_has_the_embeddings_beside_it(make: Make, how: str):
    """The store hands the retriever's callbacks on to nobody, so the embedding cannot stand below it."""
    store = InMemoryVectorStore.from_texts(["a", "b"], make())
    tracer, retriever = Tracer(), store.as_retriever()
    invoke(how, retriever.invoke, retriever.ainvoke, tracer)
    assert sorted(run.run_type for run in tracer.tops[0].child_runs) == ["embedding", "retriever"]


async def test_events_of_a_chain_name_the_embedding(make: Make):
    chain = RunnableLambda(make().embed_query, afunc=make().aembed_query)
    events = [event async for event in chain.astream_events(TEXT, version="v2")]
    ours = [event for event in events if event["name"] == "OpenRouterEmbeddings"]
    assert [event["event"] for event in ours] == ["on_embedding_start", "on_embedding_end"]
    assert ours[1]["data"]["output"]["usage"]["requests"] == 1


def test_contents_without_a_length_are_traced_without_a_number(make: Make):
    tracer, model = Tracer(), make()
    RunnableLambda(lambda text: model.embed_content(iter([text]))).invoke(TEXT, {"callbacks": [tracer]})
    (run,) = tracer.tops[0].child_runs
    assert run.inputs == {"input_type": "document"}


class LangSmith(BaseHTTPRequestHandler):
    """Takes what LangSmith's client sends, and keeps it on the server."""

    def do_POST(self) -> None:
        sent = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.runs.append(sent)  # type: ignore[attr-defined]
        self.send_response(202)
        self.send_header("content-length", "0")
        self.end_headers()

    do_PATCH = do_POST

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_langsmith_receives_a_run_of_its_type_embedding_with_what_it_adds_up(make: Make, gateway: Any):
    with HTTPServer(("127.0.0.1", 0), LangSmith) as server:
        server.runs = []  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        address = f"http://127.0.0.1:{server.server_port}"
        client = langsmith.Client(api_url=address, api_key="of LangSmith", auto_batch_tracing=False)
        tracer, model = LangChainTracer(client=client, project_name="tests"), make()
        RunnableLambda(lambda _: len(model.embed_query(TEXT))).invoke(0, {"callbacks": [tracer]})
        tracer.wait_for_futures()
        server.shutdown()
        thread.join()
    ours = [run for run in server.runs if run.get("name") == "OpenRouterEmbeddings"]  # type: ignore[attr-defined]
    assert ours[0]["run_type"] == "embedding"
    assert ours[-1]["outputs"]["usage_metadata"]["total_cost"] == pytest.approx(model.usage.cost)
    assert ours[-1]["outputs"]["usage_metadata"]["input_tokens"] == model.usage.prompt_tokens
    assert ours[0]["extra"]["metadata"]["ls_model_name"] == MARKED
    assert KEY not in json.dumps(server.runs)  # type: ignore[attr-defined]
    assert "Quillfeather" not in json.dumps(server.runs)  # type: ignore[attr-defined]
