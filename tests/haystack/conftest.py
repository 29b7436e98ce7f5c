"""Both embedders against the local gateway, on Haystack 2 and 3."""

from __future__ import annotations

import asyncio
import http.client
import threading
from collections.abc import Callable, Iterator
from functools import partial
from socket import socket
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

pytest.importorskip("haystack")

import haystack
from haystack import Document, Pipeline
from haystack.utils import Secret

from haystack_integrations.components.embedders.openrouter_embeddings import (
    OpenRouterDocumentEmbedder,
    OpenRouterTextEmbedder,
)

from ..support.sockets import Served, read_request, serving
from ..support.sockets import http as answer_of

if TYPE_CHECKING:
    from openrouter_embeddings_gateway import LocalGateway

MARKED = "qwen/qwen3-embedding-8b"
UNMARKED = "openai/text-embedding-3-small"
KEY = "sk-or-canary-5f1c9e"
PLAIN: dict[str, Any] = {"headers": {"x-team": "notes"}}


@pytest.fixture
def gateway(embeddings_gateway: LocalGateway, monkeypatch: pytest.MonkeyPatch) -> LocalGateway:
    """A fresh gateway, and its address and key where an embedder looks for them."""
    monkeypatch.setenv("OPENROUTER_API_KEY", KEY)
    monkeypatch.setenv("OPENROUTER_API_BASE", embeddings_gateway.base_url)
    return embeddings_gateway


@pytest.fixture(params=["run", "run_async"])
def call(request: pytest.FixtureRequest) -> Callable[..., dict[str, Any]]:
    """Run a component, once in each colour."""

    def run(component: Any, **inputs: Any) -> dict[str, Any]:
        return component.run(**inputs) if request.param == "run" else asyncio.run(component.run_async(**inputs))

    return run


@pytest.fixture(params=["run", "run_async"])
def run_pipeline(request: pytest.FixtureRequest) -> Callable[[Pipeline, dict[str, Any]], dict[str, Any]]:
    """Run a pipeline, once in each colour. Haystack 2 has a class of its own for the second."""

    def run(pipeline: Pipeline, data: dict[str, Any]) -> dict[str, Any]:
        if request.param == "run":
            return pipeline.run(data)
        if not hasattr(pipeline, "run_async"):
            pipeline = haystack.AsyncPipeline.loads(pipeline.dumps())  # type: ignore[attr-defined]
        return asyncio.run(pipeline.run_async(data))

    return run


@pytest.fixture
def documents_embedder(gateway: LocalGateway) -> Callable[..., OpenRouterDocumentEmbedder]:
    """Make a document embedder that talks to the gateway."""
    return partial(OpenRouterDocumentEmbedder, model=UNMARKED, progress_bar=False)


@pytest.fixture
def text_embedder(gateway: LocalGateway) -> Callable[..., OpenRouterTextEmbedder]:
    """Make a text embedder that talks to the gateway."""
    return partial(OpenRouterTextEmbedder, model=UNMARKED)


@pytest.fixture
def token() -> Secret:
    """A key given as it is."""
    return Secret.from_token(KEY)


class Front:
    """Stands before the gateway and passes requests on, one by one; it sees connections come and go."""

    def __init__(self, gateway: Any) -> None:
        self.port = urlsplit(gateway.base_url).port
        self.ended = threading.Semaphore(0)
        """Released for each connection that the client has closed."""
        self.arrived = threading.Semaphore(0)
        self.may_answer = threading.Event()
        self.may_answer.set()

    def act(self, connection: socket, served: Served) -> None:
        while request := read_request(connection):
            served.requests.append(request)
            self.arrived.release()
            self.may_answer.wait(10)
            connection.sendall(self._answer(request))
        self.ended.release()

    def _answer(self, request: bytes) -> bytes:
        head, _, body = request.partition(b"\r\n\r\n")
        line, *lines = head.decode().split("\r\n")
        headers = dict(one.split(": ", 1) for one in lines) | {"Authorization": f"Bearer {KEY}"}
        passed_on = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        passed_on.request("POST", urlsplit(line.split(" ")[1]).path, body, headers)
        answer = passed_on.getresponse()
        data = answer.read()
        passed_on.close()
        return answer_of(data, status=f"{answer.status} OK")


@pytest.fixture
def front(gateway: Any) -> Front:
    return Front(gateway)


@pytest.fixture
def served(front: Front) -> Iterator[Served]:
    with serving(front.act) as there:
        yield there


@pytest.fixture
def make(served: Served) -> Callable[..., OpenRouterDocumentEmbedder]:
    """Make an embedder that comes to the gateway by the front."""

    def made(**options: Any) -> OpenRouterDocumentEmbedder:
        there = {"api_base_url": f"http://127.0.0.1:{served.port}/api/v1", "http_client_kwargs": PLAIN}
        return OpenRouterDocumentEmbedder(**{"model": UNMARKED, "progress_bar": False, **there, **options})

    return made


@pytest.fixture
def documents() -> Callable[..., list[Document]]:
    """Make documents that no earlier run has embedded."""
    numbers = iter(range(1_000_000))
    return lambda count=1: [Document(content=f"text number {next(numbers)}") for _ in range(count)]


def run_in(way: str, component: Any, *inputs: Any) -> Any:
    """Run a component or a pipeline in a colour."""
    return component.run(*inputs) if way == "run" else asyncio.run(component.run_async(*inputs))


def rows(found: dict[str, Any]) -> list[int]:
    return [len(document.embedding) for document in found["documents"]]
