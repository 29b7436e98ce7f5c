"""The laws of this library, each a test that eight subjects pass against the gateway process.

A subject is the core or an adapter, in one colour, behind one face: texts in, an array out. A new adapter joins by
adding a class of a few lines here. Where one cannot follow a law it says so in `deviations`, with the reason; the test
then has to fail, so that a deviation that is gone does not stay in the list.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar

import httpx
import numpy as np
import pytest

from openrouter_embeddings import AsyncClient, Client, Usage

if TYPE_CHECKING:
    from openrouter_embeddings_gateway import LocalGateway

MODEL = "openai/text-embedding-3-small"
KEY = "sk-or-v1-canary-4b7d1e"


class Subject:
    """The core or an adapter, in one colour. Options are the core's names, `parts` the objects under test."""

    needs: ClassVar[str] = "openrouter_embeddings"
    deviations: ClassVar[dict[str, str]] = {}
    is_async: ClassVar[bool] = False
    refuses_to_save_a_literal_key: ClassVar[bool] = False
    own_words: ClassVar[frozenset[str]] = frozenset()
    """Options and keywords of the framework that other clients have too, and that are taken here."""
    resume_advice: ClassVar[str] = "Pass resume=error.partial"
    """What an error says that a caller can do about the rest."""

    def __init__(self, **options: Any) -> None:
        self.parts = self.construct(options)

    def construct(self, options: dict[str, Any]) -> list[Any]:
        raise NotImplementedError

    def documents(self, texts: list[str]) -> Any:
        raise NotImplementedError

    def query(self, text: str) -> Any:
        raise NotImplementedError

    def embed_documents(self, texts: list[str]) -> np.ndarray:
        """Return float32 of shape (n, dimensions)."""
        return self._array(self.documents(texts))

    def embed_query(self, text: str) -> np.ndarray:
        """Return float32 of shape (dimensions,)."""
        return self._array(self.query(text))

    def _array(self, answer: Any) -> np.ndarray:
        return np.asarray(asyncio.run(answer) if self.is_async else answer, dtype=np.float32)

    @property
    def clients(self) -> list[Any]:
        """The core clients in both colours, as the objects hand them out."""
        return [client for part in self.parts for client in (part.client, part.async_client)]

    def resume(self, texts: list[str], partial: Any) -> np.ndarray:
        """Embed the rest of a call that failed, as the error's advice says."""
        if self.is_async:
            done = self.parts[0].async_client.embed(texts, input_type="document", resume=partial)
            return asyncio.run(done).embeddings
        return self.parts[0].client.embed(texts, input_type="document", resume=partial).embeddings

    @property
    def usage(self) -> Usage:
        return sum((part.usage for part in self.parts), Usage())

    def dumps(self) -> list[str]:
        """Return everything the framework writes to files and traces."""
        return []


class Async(Subject):
    """Runs each call on an event loop of its own, as scripts do."""

    is_async = True


class CoreSync(Subject):
    def construct(self, options):
        return [Client(**options)]

    def documents(self, texts):
        return self.parts[0].embed_documents(texts).embeddings

    def query(self, text):
        return self.parts[0].embed_query(text).embeddings[0]

    @property
    def clients(self):
        return [self.parts[0], self.parts[0].as_async()]

    def resume(self, texts, partial):
        return self.parts[0].embed(texts, input_type="document", resume=partial).embeddings


class CoreAsync(Async):
    def construct(self, options):
        return [AsyncClient(**options)]

    async def documents(self, texts):
        return (await self.parts[0].embed_documents(texts)).embeddings

    async def query(self, text):
        return (await self.parts[0].embed_query(text)).embeddings[0]

    @property
    def clients(self):
        return [self.parts[0].as_sync(), self.parts[0]]

    def resume(self, texts, partial):
        return asyncio.run(self.parts[0].embed(texts, input_type="document", resume=partial)).embeddings


class LangChainSync(Subject):
    needs = "langchain_core"
    own_words = frozenset({"openrouter_api_key", "openrouter_api_base"})
    resume_advice = 'embeddings.client.embed(texts, input_type="document", resume=error.partial) embeds only the rest'

    def construct(self, options):
        from langchain_openrouter_embeddings import OpenRouterEmbeddings

        return [OpenRouterEmbeddings(**options)]

    def documents(self, texts):
        return self.parts[0].embed_documents(texts)

    def query(self, text):
        return self.parts[0].embed_query(text)

    def dumps(self):
        from langchain_core.load import dumps

        one = self.parts[0]
        return [str(one.model_dump()), one.model_dump_json(), dumps(one)]


class LangChainAsync(LangChainSync, Async):
    def documents(self, texts):
        return self.parts[0].aembed_documents(texts)

    def query(self, text):
        return self.parts[0].aembed_query(text)


class LlamaIndexSync(Subject):
    needs = "llama_index.core"
    own_words = frozenset({"model_name", "api_base", "embed_batch_size", "num_workers"})
    resume_advice = "The same batch call with resume=error.partial embeds only the rest"

    def construct(self, options):
        from llama_index.embeddings.openrouter import OpenRouterEmbedding

        return [OpenRouterEmbedding(model_name=options.pop("model"), **options)]

    def documents(self, texts, **more):
        return self.parts[0].get_text_embedding_batch(texts, **more)

    def query(self, text):
        return self.parts[0].get_query_embedding(text)

    def resume(self, texts, partial):
        return self._array(self.documents(texts, resume=partial))

    def dumps(self):
        one = self.parts[0]
        return [str(one.to_dict()), one.to_json(), str(one.to_payload()), str(one.model_dump())]


class LlamaIndexAsync(LlamaIndexSync, Async):
    def documents(self, texts, **more):
        return self.parts[0].aget_text_embedding_batch(texts, **more)

    def query(self, text):
        return self.parts[0].aget_query_embedding(text)


class HaystackSync(Subject):
    needs = "haystack"
    own_words = frozenset({"api_base_url", "input_type", "progress_bar", "http_async_client"})
    resume_advice = (
        "`documents` of this error, which is the `__cause__` of a pipeline's, holds those that have an embedding."
    )
    refuses_to_save_a_literal_key = True  # Haystack's own answer to a Secret that is a token

    def construct(self, options):
        from haystack.utils import Secret

        from haystack_integrations.components.embedders.openrouter_embeddings import (
            OpenRouterDocumentEmbedder,
            OpenRouterTextEmbedder,
        )

        if "api_key" in options:
            options["api_key"] = Secret.from_token(options["api_key"])
        if "base_url" in options:
            options["api_base_url"] = options.pop("base_url")
        return [OpenRouterDocumentEmbedder(**options, progress_bar=False), OpenRouterTextEmbedder(**options)]

    def documents(self, texts):
        return [one.embedding for one in self.parts[0].run(documents=_documents(texts))["documents"]]

    def query(self, text):
        return self.parts[1].run(text=text)["embedding"]

    def dumps(self):
        from haystack import Pipeline

        pipeline = Pipeline()
        for name, part in zip(("documents", "text"), self.parts, strict=True):
            pipeline.add_component(name, part)
        return [pipeline.dumps(), str(pipeline.to_dict()), *(str(part.to_dict()) for part in self.parts)]


class HaystackAsync(HaystackSync, Async):
    async def documents(self, texts):
        return [one.embedding for one in (await self.parts[0].run_async(documents=_documents(texts)))["documents"]]

    async def query(self, text):
        return (await self.parts[1].run_async(text=text))["embedding"]


def _documents(texts):
    from haystack import Document

    return [Document(content=text) for text in texts]


SUBJECTS = (
    CoreSync,
    CoreAsync,
    LangChainSync,
    LangChainAsync,
    LlamaIndexSync,
    LlamaIndexAsync,
    HaystackSync,
    HaystackAsync,
)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each law for each subject."""
    if "kind" in metafunc.fixturenames:
        metafunc.parametrize("kind", SUBJECTS, ids=[one.__name__ for one in SUBJECTS])


@pytest.fixture
def gateway(embeddings_gateway: LocalGateway, monkeypatch: pytest.MonkeyPatch) -> LocalGateway:
    """A fresh gateway, and its address and a key where a subject looks for them."""
    monkeypatch.setenv("OPENROUTER_API_KEY", KEY)
    monkeypatch.setenv("OPENROUTER_API_BASE", embeddings_gateway.base_url)
    return embeddings_gateway


@pytest.fixture
def make(
    kind: type[Subject], gateway: LocalGateway, request: pytest.FixtureRequest
) -> Iterator[Callable[..., Subject]]:
    """Make the subject under test, small and unmarked where the law does not say otherwise."""
    pytest.importorskip(kind.needs)
    if reason := kind.deviations.get(request.node.originalname):
        request.applymarker(pytest.mark.xfail(reason=reason, strict=True))
    return lambda **options: kind(**{"model": MODEL, "dimensions": 64, **options})


@pytest.fixture
def all_of_them(gateway: LocalGateway) -> Callable[..., list[Subject]]:
    """Make every subject whose framework is installed."""
    for one in SUBJECTS:
        pytest.importorskip(one.needs)
    return lambda **options: [one(**{"model": MODEL, "dimensions": 64, **options}) for one in SUBJECTS]


@pytest.fixture
def sent(gateway: LocalGateway) -> Callable[[], list[Any]]:
    """The embedding requests that came from a subject, in the order they started."""

    def requests() -> list[Any]:
        received = [one for one in gateway.embedding_requests() if "truth" not in one.headers.get("user-agent", "")]
        return sorted(received, key=lambda one: one.started)

    return requests


class Truth:
    """What the gateway answers to each text by itself: asked with a bare HTTP client, no line of ours between."""

    def __init__(self, gateway: LocalGateway) -> None:
        self._url = f"{gateway.base_url}/embeddings"
        self._known: dict[tuple[str, int, str], tuple[np.ndarray, int, float]] = {}

    def ask(self, texts: list[str], dimensions: int, model: str) -> list[tuple[np.ndarray, int, float]]:
        """Return embedding, tokens and cost of each text."""
        for text in texts:
            if (text, dimensions, model) not in self._known:
                body = {"model": model, "input": text, "dimensions": dimensions, "encoding_format": "base64"}
                headers = {"authorization": "Bearer truth", "user-agent": "truth"}
                answer = httpx.post(self._url, json=body, headers=headers, trust_env=False).raise_for_status().json()
                row = np.frombuffer(base64.b64decode(answer["data"][0]["embedding"]), "<f4")
                used = answer["usage"]
                self._known[text, dimensions, model] = (row, used["total_tokens"], used["cost"])
        return [self._known[text, dimensions, model] for text in texts]

    def rows(self, texts: list[str], dimensions: int = 64, model: str = MODEL) -> np.ndarray:
        """Return the right embeddings."""
        return np.stack([row for row, _, _ in self.ask(texts, dimensions, model)])

    def tokens(self, texts: list[str]) -> int:
        """Return the tokens that embedding each text once costs."""
        return sum(tokens for _, tokens, _ in self.ask(texts, 64, MODEL))

    def cost(self, texts: list[str]) -> float:
        """Return the USD that embedding each text once costs."""
        return sum(cost for _, _, cost in self.ask(texts, 64, MODEL))


@pytest.fixture(scope="session")
def truth_known(embeddings_gateway_process: LocalGateway) -> Truth:
    """The truth so far, asked once a session."""
    return Truth(embeddings_gateway_process)


@pytest.fixture
def truth(truth_known: Truth, gateway: LocalGateway, texts: list[str]) -> Truth:
    """The truth, which already knows the texts: asking later would meet the trouble that a test has scripted."""
    truth_known.tokens(texts)
    gateway.reset()
    return truth_known


@pytest.fixture
def texts() -> list[str]:
    """Forty texts whose embeddings lie well apart."""
    words = ["bread", "sailing", "a database", "tomato plants", "the moon", "a violin", "winter tyres", "tax law"]
    return [f"Note {number}: what to know about {words[number % 8]}, part {number // 8}." for number in range(40)]


@pytest.fixture(autouse=True, scope="module")
def _each_law_is_gone_through_eight_times(unmeasured: None) -> None:
    """Look away from coverage, which the tests of each module bring about by themselves."""


@pytest.fixture(autouse=True)
def _no_jitter(no_jitter: None) -> None:
    """Wait for what a gateway says, and no longer."""
