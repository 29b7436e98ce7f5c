"""`OpenRouterEmbedding`: the core client, spoken to in LlamaIndex's words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any, Unpack

from llama_index.core.base.embeddings.base import BaseEmbedding, Embedding
from llama_index.core.bridge.pydantic import PrivateAttr, ValidationError, model_validator
from llama_index.core.schema import BaseNode
from pydantic import ModelWrapValidatorHandler
from wrapt import when_imported

from openrouter_embeddings import (
    AsyncClient,
    Client,
    ConfigurationError,
    EmbeddingResult,
    Gateway,
    Input,
    InputType,
    Options,
    Partial,
    Usage,
)
from openrouter_embeddings.words import without_values

from ._clients import BuiltClient
from ._observed import observed
from ._options import DEFAULTS, WORDS, EmbeddingOptions, OptionFields, by_name

_ALIVE = (
    "api_key",
    "cache",
    "embeddings_cache",
    "rate_limiter",
    "limiter",
    "before_request",
    "http_client",
    "async_http_client",
)
_PAYLOAD = ("model_name", "embed_batch_size", "dimensions", "gateway", "provider")


class OpenRouterEmbedding(OptionFields):
    """Embeds queries and documents, each marked as its model wants it, through one core client.

    The options are those of `openrouter_embeddings.Client`. Batches, retries, limits and checks are the core's, and a
    batch of any size is one call of it: `embed_batch_size` is the most texts of one request, `num_workers` the most
    requests at a time. What the core can do besides (`Content`, streams, live checks) is at `.client` and
    `.async_client`, within the same limits, totals and cache. One object may be used from any thread, any event loop and,
    after pickling, deep copy or fork, any process.

    Examples:
        ```python
        from llama_index.core import Settings
        from llama_index.embeddings.openrouter import OpenRouterEmbedding

        Settings.embed_model = OpenRouterEmbedding(model_name="qwen/qwen3-embedding-8b")
        ```
    """

    _built: BuiltClient | None = PrivateAttr(default=None)

    def __init__(self, model_name: str | None = None, **options: Unpack[EmbeddingOptions]) -> None:
        """Check every option before any request.

        Args:
            model_name: The gateway's model id, e.g. `qwen/qwen3-embedding-8b`; `model=` says the same.
            **options: Those of `openrouter_embeddings.Client` (`api_base` says the same as `base_url`), and
                `embed_batch_size`, `num_workers`, `embeddings_cache`, `rate_limiter` and `callback_manager` of the base
                class.

        Raises:
            ConfigurationError: An option is unknown, given twice, or cannot be right.
        """
        given = by_name({"model_name": model_name, **options})
        WORDS.check_options([name for name in given if name not in type(self).model_fields])
        WORDS.check_values(given)
        if "model_name" not in given:
            raise ConfigurationError("No model. Pass model_name=..., e.g. 'qwen/qwen3-embedding-8b'.")
        # Checked by the core before pydantic sees them: it names the way out, and turns no True into 1.
        Options(model=given["model_name"], **{name: value for name, value in given.items() if name in DEFAULTS})
        super().__init__(**given)
        _ = self.client

    @model_validator(mode="wrap")
    @classmethod
    def _without_values(cls, given: Any, handler: ModelWrapValidatorHandler[Any]) -> Any:
        """As a field of a user's own model, name each option that is refused, and show no value: it may be a key."""
        try:
            return handler(given)
        except ValidationError as refused:
            raise without_values(refused, given) from None

    @classmethod
    def class_name(cls) -> str:
        """Return the name that saved files carry."""
        return "OpenRouterEmbedding"

    @property
    def client(self) -> Client:
        """The core client, built anew when an option has been assigned since: with new limits, and what is left of the budget."""
        return self._current().client

    def _current(self) -> BuiltClient:
        before = self._built
        built = BuiltClient.of({"model": self.model_name, **self._for_client()}, self.embed_batch_size, before)
        if built is not before:
            self._built = built
        return built

    @property
    def async_client(self) -> AsyncClient:
        """The core client, for asyncio."""
        return self.client.as_async()

    @property
    def usage(self) -> Usage:
        """Tokens, cost and requests so far, in this process, whatever has been assigned meanwhile."""
        return self._current().usage

    def _embed(self, inputs: Sequence[Input], input_type: InputType, method: str, **more: Any) -> EmbeddingResult:
        with WORDS.for_errors(method=method):
            return self.client.embed(inputs, input_type=input_type, **more)

    async def _aembed(
        self, inputs: Sequence[Input], input_type: InputType, method: str, **more: Any
    ) -> EmbeddingResult:
        with WORDS.for_errors(method=method):
            return await self.async_client.embed(inputs, input_type=input_type, **more)

    def _get_query_embedding(self, query: str) -> Embedding:
        return self._embed([query], "query", "get_query_embedding").tolist()[0]

    async def _aget_query_embedding(self, query: str) -> Embedding:
        return (await self._aembed([query], "query", "aget_query_embedding")).tolist()[0]

    def _get_text_embedding(self, text: str) -> Embedding:
        return self._embed([text], "document", "get_text_embedding").tolist()[0]

    async def _aget_text_embedding(self, text: str) -> Embedding:
        return (await self._aembed([text], "document", "aget_text_embedding")).tolist()[0]

    def _get_text_embeddings(self, texts: list[str]) -> list[Embedding]:
        return self._embed(texts, "document", "get_text_embedding_batch").tolist()

    async def _aget_text_embeddings(self, texts: list[str]) -> list[Embedding]:
        return (await self._aembed(texts, "document", "aget_text_embedding_batch")).tolist()

    # The base class would look into its own cache and ask its own limiter here, by the text and without its size.

    def get_query_embedding(self, query: str, **unknown: Any) -> Embedding:
        """Return the embedding of a query."""
        WORDS.check_call(unknown)
        with observed(self, [query]) as (_, ended):
            return ended(self._embed([query], "query", "get_query_embedding"))[0]

    async def aget_query_embedding(self, query: str, **unknown: Any) -> Embedding:
        """Return the embedding of a query, on the running event loop."""
        WORDS.check_call(unknown)
        with observed(self, [query]) as (_, ended):
            return ended(await self._aembed([query], "query", "aget_query_embedding"))[0]

    def get_text_embedding(self, text: str, **unknown: Any) -> Embedding:
        """Return the embedding of a text."""
        WORDS.check_call(unknown)
        with observed(self, [text]) as (_, ended):
            return ended(self._embed([text], "document", "get_text_embedding"))[0]

    async def aget_text_embedding(self, text: str, **unknown: Any) -> Embedding:
        """Return the embedding of a text, on the running event loop."""
        WORDS.check_call(unknown)
        with observed(self, [text]) as (_, ended):
            return ended(await self._aembed([text], "document", "aget_text_embedding"))[0]

    def get_text_embedding_batch(
        self, texts: list[str], show_progress: bool = False, *, resume: Partial | None = None, **unknown: Any
    ) -> list[Embedding]:
        """Return one embedding per text, in input order. The texts are one call of the core, however many they are.

        Args:
            texts: The texts. An empty list makes no request.
            show_progress: Whether to show a bar.
            resume: `error.partial` of an earlier call with the same texts: only the rest is paid for.
            **unknown: None. What is tried is named in an error that says where it belongs.

        Raises:
            EmbeddingError: It could not be done; what had landed is in `.partial`.
        """
        WORDS.check_call(unknown)
        if not texts:
            return []
        with observed(self, texts, bar=show_progress) as (landed, ended):
            return ended(self._embed(texts, "document", "get_text_embedding_batch", resume=resume, on_progress=landed))

    async def aget_text_embedding_batch(
        self, texts: list[str], show_progress: bool = False, *, resume: Partial | None = None, **unknown: Any
    ) -> list[Embedding]:
        """Do what `get_text_embedding_batch` does, on the running event loop."""
        WORDS.check_call(unknown)
        if not texts:
            return []
        method = "aget_text_embedding_batch"
        with observed(self, texts, bar=show_progress) as (landed, ended):
            return ended(await self._aembed(texts, "document", method, resume=resume, on_progress=landed))

    def __call__(self, nodes: Sequence[BaseNode], **for_all: Any) -> Sequence[BaseNode]:
        """Embed the nodes of a pipeline, which hands each transformation the keywords of all."""
        with _naming(nodes):
            return super().__call__(nodes, **_of_a_batch(for_all))

    async def acall(self, nodes: Sequence[BaseNode], **for_all: Any) -> Sequence[BaseNode]:
        """Do what a call does, on the running event loop."""
        with _naming(nodes):
            return await super().acall(nodes, **_of_a_batch(for_all))

    def to_dict(self, **kwargs: Any) -> dict[str, Any]:
        """Return what names the embeddings, and only what was set: pipelines key their caches by it. Never the key.

        An address from the environment is among it, as another server gives other numbers; loading leaves it out.
        """
        given = super().to_dict(**kwargs).items()
        named = {name: value for name, value in given if value is not None and value != DEFAULTS.get(name)}
        address = self.client.gateway.base_url
        if self.base_url is None and address != self.client.options.service.base_url:
            named["address"] = address
        return named

    def to_payload(self) -> dict[str, Any]:
        """Return what events may show."""
        shown = {name: value for name in _PAYLOAD if (value := getattr(self, name)) != DEFAULTS.get(name)}
        if isinstance(self.gateway, Gateway):
            shown["gateway"] = self.gateway.name
        return {"class_name": self.class_name(), **shown}

    def __repr_args__(self) -> Any:
        """Show what events may show."""
        return [item for item in self.to_payload().items() if item[0] != "class_name"]

    def __getstate__(self) -> dict[str, Any]:
        """Carry the options, never the client."""
        # The base class deletes what cannot be pickled from the very object it is asked about: let that be a copy.
        twin = self.model_copy()
        twin._built = None  # noqa: SLF001 - our own class
        return BaseEmbedding.__getstate__(twin)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Build the options, and take the client that others of the same options use in this process."""
        super().__setstate__(state)
        if self._built is not None:
            self._built = self._built.in_this_process()

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> OpenRouterEmbedding:
        """Copy the options and share what is alive: locks and sockets cannot be copied."""
        memo = {} if memo is None else memo
        for alive in (getattr(self, name) for name in _ALIVE):
            memo[id(alive)] = alive
        memo[id(self._built)] = None
        twin = super().__deepcopy__(memo)
        _ = twin.client
        return twin


@contextmanager
def _naming(nodes: Sequence[BaseNode]) -> Iterator[None]:
    """Have an error name the nodes that it is about, and the documents that they are of."""
    documents = [node.ref_doc_id or "" for node in nodes]
    with (
        WORDS.for_errors(things="Documents", ids=documents),
        WORDS.for_errors(things="Nodes", ids=[node.node_id for node in nodes]),
    ):
        yield


def _of_a_batch(keywords: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in keywords.items() if name in {"show_progress", "resume"}}


@when_imported("llama_index.core.embeddings.loading")
def _make_known(loading: ModuleType) -> None:
    """Have `load_embed_model` know this class too.

    Not at once: that module imports every other provider's package that is installed, which may cost a second.
    """
    loading.RECOGNIZED_EMBEDDINGS[OpenRouterEmbedding.class_name()] = OpenRouterEmbedding
