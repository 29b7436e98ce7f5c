"""`OpenRouterEmbeddings`: the core client, spoken to in LangChain's words."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from copy import deepcopy
from typing import Any, Self, Unpack

from langchain_core.embeddings import Embeddings
from pydantic import (
    ConfigDict,
    ModelWrapValidatorHandler,
    PrivateAttr,
    SecretStr,
    ValidationError,
    field_serializer,
    model_validator,
)

from langchain_openrouter_embeddings._options import DEFAULTS, WORDS, OpenRouterOptions, OptionFields, by_name
from langchain_openrouter_embeddings._pictures import EmbedsPictures
from langchain_openrouter_embeddings._traced import atraced, traced
from openrouter_embeddings import (
    AsyncClient,
    Client,
    ConfigurationError,
    Input,
    InputType,
    Options,
    Usage,
)
from openrouter_embeddings.client import one_per_process
from openrouter_embeddings.words import without_values

_FROM_ENVIRONMENT = ("api_key", "base_url")


class OpenRouterEmbeddings(OptionFields, EmbedsPictures, Embeddings):
    """OpenRouter embedding model integration.

    Queries and documents are marked as the model wants it, so one object is right in any vector store. Batches,
    retries, limits and checks are the core client's. One object may be used from any thread, any event loop and,
    after pickling, copying or fork, any process. It does not change: `model_copy(update={...})` gives another.

    Setup:
        Install `langchain-openrouter-embeddings` and set environment variable `OPENROUTER_API_KEY`.

        ```bash
        pip install -U langchain-openrouter-embeddings
        export OPENROUTER_API_KEY="your-api-key"
        ```

    Key init args — embedding params:
        model: Model id as OpenRouter lists it, e.g. `qwen/qwen3-embedding-8b`.
        dimensions: Width of the embeddings; left out, the model's own.
        provider: Provider preferences, keys as on the wire, e.g. `{"data_collection": "deny"}`. Sent verbatim.
        query_input_type, document_input_type, query_prefix, document_prefix: Override how the sides are marked;
            `""` sends none.

    Key init args — client params:
        api_key (or openrouter_api_key): Left out, `OPENROUTER_API_KEY` is read. A string, a `SecretStr` or a callable.
        base_url (or openrouter_api_base): Left out, `OPENROUTER_API_BASE` is read.

    Each field has its description; `openrouter_embeddings.Options` has them all. What the core can do besides (`Content`,
    streams, `resume=`) is at `.client` and `.async_client`, within the same limits, totals and cache.

    Instantiate:
        ```python
        from langchain_openrouter_embeddings import OpenRouterEmbeddings

        embeddings = OpenRouterEmbeddings(
            model="qwen/qwen3-embedding-8b",
            # dimensions=1024,
            # provider={"data_collection": "deny"},
        )
        ```

    Embed single text:
        ```python
        embeddings.embed_query("What is the meaning of life?")
        ```

    Embed multiple texts:
        ```python
        embeddings.embed_documents(["Document 1...", "Document 2..."])
        ```

    Async:
        ```python
        await embeddings.aembed_query("What is the meaning of life?")
        await embeddings.aembed_documents(["Document 1...", "Document 2..."])
        ```

    Usage, of this object and of a block of code:
        ```python
        from langchain_openrouter_embeddings import track_usage

        with track_usage() as usage:
            retriever.invoke("What is the meaning of life?")
        usage.total_tokens, usage.cost, embeddings.usage.cost
        ```
    """

    # Frozen, because the client is made once: an option set later would change nothing. A refused value may be a key.
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    _client: Client = PrivateAttr()
    _async_client: AsyncClient = PrivateAttr()

    def __init__(self, model: str | None = None, **options: Unpack[OpenRouterOptions]) -> None:
        """Check every option before any request.

        Args:
            model: The gateway's model id.
            **options: Those of `openrouter_embeddings.Client`, and LangChain's names for two of them.

        Raises:
            ConfigurationError: An option is unknown, given twice, or cannot be right.
        """
        given = by_name(options)
        WORDS.check_options([name for name in given if name not in type(self).model_fields])
        WORDS.check_values(given)
        if model is None:
            raise ConfigurationError("No model. Pass model=..., e.g. 'qwen/qwen3-embedding-8b'.")
        given["model"] = model
        for name in _FROM_ENVIRONMENT:
            if given.get(name, ...) is None:
                del given[name]
        for_core = {name: value for name, value in given.items() if name in DEFAULTS}
        checked = Options(**for_core)
        super().__init__(**given)
        # What the environment says is read once, to be used and shown. It does not count as given: copies and pickles
        # leave it out, and read the environment that they are made in.
        found: dict[str, Any] = {"base_url": checked.address(), "api_key": checked.api_key}
        if not callable(found["api_key"]):
            with suppress(ConfigurationError):  # no key yet: the first request says so
                key = checked.key()
                found["api_key"] = SecretStr(key) if key else None  # "": the server needs none
        self.__dict__.update(found)
        self._client = Client(**{**for_core, **found})
        self._async_client = self._client.as_async()

    @property
    def openrouter_api_key(self) -> SecretStr | Callable[[], str] | None:
        """Another name of `api_key`."""
        return self.api_key

    @property
    def openrouter_api_base(self) -> str | None:
        """Another name of `base_url`."""
        return self.base_url

    @property
    def usage(self) -> Usage:
        """Tokens, cost and requests of this object so far, in this process."""
        return self._client.usage

    @property
    def client(self) -> Client:
        """The core client."""
        return self._client

    @property
    def async_client(self) -> AsyncClient:
        """The core client, for asyncio."""
        return self._async_client

    def embed_documents(self, texts: list[str], **unknown: Any) -> list[list[float]]:
        """Return one embedding per text, in input order, marked as documents.

        Args:
            texts: The texts. An empty list makes no request.
            **unknown: None. What other classes take here is named in an error that says where it belongs.

        Raises:
            EmbeddingError: It could not be done; what had landed is in `.partial`.
        """
        WORDS.check_call(unknown)
        return self._embed(texts, "document", "embed_documents")

    def embed_query(self, text: str, **unknown: Any) -> list[float]:
        """Return the embedding of a text, marked as a query.

        Args:
            text: The query.
            **unknown: See `embed_documents`.

        Raises:
            EmbeddingError: It could not be done.
        """
        WORDS.check_call(unknown)
        return self._embed([text], "query", "embed_query")[0]

    async def aembed_documents(self, texts: list[str], **unknown: Any) -> list[list[float]]:
        """Do what `embed_documents` does, on the running event loop."""
        WORDS.check_call(unknown)
        return await self._aembed(texts, "document", "aembed_documents")

    async def aembed_query(self, text: str, **unknown: Any) -> list[float]:
        """Do what `embed_query` does, on the running event loop."""
        WORDS.check_call(unknown)
        return (await self._aembed([text], "query", "aembed_query"))[0]

    def _embed(self, inputs: Iterable[Input], input_type: InputType, method: str) -> list[list[float]]:
        with traced(self._client, inputs, input_type) as served, WORDS.for_errors(method=method):
            served(result := self._client.embed(inputs, input_type=input_type))
        return result.tolist()

    async def _aembed(self, inputs: Iterable[Input], input_type: InputType, method: str) -> list[list[float]]:
        async with atraced(self._client, inputs, input_type) as served:
            with WORDS.for_errors(method=method):
                served(result := await self._async_client.embed(inputs, input_type=input_type))
        return result.tolist()

    @model_validator(mode="wrap")
    @classmethod
    def _without_values(cls, given: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        """As a field of a user's own model, name each option that is refused, and show no value: it may be a key."""
        try:
            return handler(given)
        except ValidationError as refused:
            raise without_values(refused, given) from None

    @classmethod
    def model_construct(cls, *_: Any, **__: Any) -> Self:  # type: ignore[override]  # it never returns
        """Raise: an object that skips the checks would have no client."""
        raise ConfigurationError(f"model_construct skips the checks that make the client. Write {cls.__name__}(...).")

    def _given(self) -> dict[str, Any]:
        """Return what copies and pickles are built anew from: they share no connection and no totals."""
        return {name: getattr(self, name) for name in self.model_fields_set}

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return another object with the same options, but for those in `update`, which are checked."""
        given = self._given()
        if deep:  # containers are copied; a callable key and an HTTP client of the user's are alive, and shared
            given = {name: deepcopy(one) if isinstance(one, (dict, list)) else one for name, one in given.items()}
        return type(self)(**{**given, **by_name(update or {})})

    def __copy__(self) -> Self:
        return self.model_copy()

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        return self.model_copy(deep=True)

    def __reduce__(self) -> tuple[Any, ...]:
        self._client.__reduce__()  # refuses what cannot travel
        return _rebuilt, (type(self), self._given())

    @field_serializer("cache", when_used="json")
    def _path_of_cache(self, cache: Any) -> str | None:
        """Return what JSON can say of a cache: the path it was given as. An object is alive, and stays out."""
        return os.fspath(cache) if isinstance(cache, (str, os.PathLike)) else None

    def __setattr__(self, name: str, value: Any) -> None:
        if not name.startswith("_"):  # pydantic's own refusal would show the value, which may be a key
            raise ConfigurationError(f"{name} is set once. Make another object: model_copy(update={{{name!r}: ...}}).")
        super().__setattr__(name, value)

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        """Show what was given; the secrets are not among it."""
        return [(name, value) for name, value in super().__repr_args__() if name in self.model_fields_set]

    # Two objects are equal only if they are one (each has a client of its own), so identity is the hash to it.
    __hash__ = object.__hash__


def _rebuilt(cls: type[OpenRouterEmbeddings], options: dict[str, Any]) -> OpenRouterEmbeddings:
    """Unpickle, with the client that others of the same options use in this process."""
    embeddings = cls(**options)
    embeddings._client = one_per_process(embeddings._client)
    embeddings._async_client = embeddings._client.as_async()
    return embeddings
