"""`OpenRouterEmbeddings`: the core client, spoken to in LangChain's words."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from copy import deepcopy
from dataclasses import fields
from typing import Any, Required, Self, Unpack

from langchain_core.embeddings import Embeddings
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, SecretStr, field_serializer

from openrouter_embeddings import AsyncClient, Client, ClientOptions, ConfigurationError, Gateway, Options, Usage
from openrouter_embeddings.words import check_known

_ALIASES = {"openrouter_api_key": "api_key", "openrouter_api_base": "base_url"}
_FROM_ENVIRONMENT = ("api_key", "base_url")
_DEFAULTS = {option.name: option.default for option in fields(Options)}


class OpenRouterOptions(ClientOptions, total=False):
    """What `OpenRouterEmbeddings` takes: the options of the core's `Client`, and LangChain's names for two of them."""

    model: Required[str]
    openrouter_api_key: str | SecretStr | Callable[[], str] | None
    openrouter_api_base: str | None


def _core(name: str, **rules: Any) -> Any:
    """A field with the core's own default."""
    return Field(default=_DEFAULTS[name], **rules)


class OpenRouterEmbeddings(BaseModel, Embeddings):
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
        timeout: Seconds a request may take.
        max_concurrency: Most requests in flight from this object, over all threads and event loops.

    See `openrouter_embeddings.Options` for all others.

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

        embeddings.usage.total_tokens, embeddings.usage.cost
        with track_usage() as usage:
            retriever.invoke("What is the meaning of life?")
        usage.total_tokens, usage.cost
        ```
    """

    # Frozen, because the client is made once: an option set later would change nothing. A refused value may be a key.
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    model: str
    api_key: SecretStr | Callable[[], str] | None = _core("api_key", exclude=True, repr=False)
    gateway: str | Gateway = _core("gateway")
    base_url: str | None = _core("base_url")
    allow_plain_http: bool = _core("allow_plain_http")
    profile: str | None = _core("profile")
    dimensions: int | None = _core("dimensions")
    provider: Mapping[str, Any] | None = _core("provider")
    user: str | None = _core("user")
    session_id: str | None = _core("session_id")
    trace: Mapping[str, Any] | None = _core("trace")
    query_input_type: str | None = _core("query_input_type")
    document_input_type: str | None = _core("document_input_type")
    query_prefix: str | None = _core("query_prefix")
    document_prefix: str | None = _core("document_prefix")
    encoding_format: str = _core("encoding_format")
    compression: str = _core("compression")
    normalize: bool | None = _core("normalize")
    batch_size: int | None = _core("batch_size")
    batch_tokens: int | None = _core("batch_tokens")
    max_concurrency: int = _core("max_concurrency")
    timeout: float = _core("timeout")
    call_timeout: float | None = _core("call_timeout")
    max_retries: int = _core("max_retries")
    max_replays: int = _core("max_replays")
    retry_timeout: float = _core("retry_timeout")
    cache: Any = _core("cache")
    server_cache: int | None = _core("server_cache")
    max_cost: float | None = _core("max_cost")
    on_empty: str = _core("on_empty")
    on_too_long: str = _core("on_too_long")
    dimensions_fallback: bool = _core("dimensions_fallback")
    coalesce_queries: bool = _core("coalesce_queries")
    app_url: str | None = _core("app_url")
    app_title: str | None = _core("app_title")
    app_categories: Sequence[str] | None = _core("app_categories")
    extra_headers: Mapping[str, str] | None = _core("extra_headers", exclude=True, repr=False)  # may hold a secret
    extra_body: Mapping[str, Any] | None = _core("extra_body")
    http_client: Any = _core("http_client", exclude=True, repr=False)
    async_http_client: Any = _core("async_http_client", exclude=True, repr=False)

    _client: Client = PrivateAttr()
    _async_client: AsyncClient = PrivateAttr()

    def __init__(self, **options: Unpack[OpenRouterOptions]) -> None:
        """Check every option before any request.

        Args:
            **options: Those of `openrouter_embeddings.Client`. `openrouter_api_key` says the same as `api_key`,
                `openrouter_api_base` the same as `base_url`.

        Raises:
            ConfigurationError: An option is unknown, given twice, or cannot be right.
        """
        given = _by_name(options)
        check_known([name for name in given if name not in type(self).model_fields])
        if "model" not in given:
            raise ConfigurationError("No model. Pass model=..., e.g. 'qwen/qwen3-embedding-8b'.")
        for name in _FROM_ENVIRONMENT:
            if given.get(name, ...) is None:
                del given[name]
        for_core = {name: value for name, value in given.items() if name in _DEFAULTS}
        checked = Options(**for_core)
        super().__init__(**given)
        # What the environment says is read once, to be used and shown. It does not count as given: copies and pickles
        # leave it out, and read the environment that they are made in.
        found: dict[str, Any] = {"base_url": checked.address(), "api_key": checked.api_key}
        if not callable(found["api_key"]):
            with suppress(ConfigurationError):  # no key yet: the first request says so
                found["api_key"] = SecretStr(checked.key())
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

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Return one embedding per text, in input order, marked as documents.

        Args:
            texts: The texts. An empty list makes no request.

        Raises:
            EmbeddingError: It could not be done; what had landed is in `.partial`.
        """
        return self._client.embed_documents(texts).tolist()

    def embed_query(self, text: str) -> list[float]:
        """Return the embedding of a text, marked as a query.

        Args:
            text: The query.

        Raises:
            EmbeddingError: It could not be done.
        """
        return self._client.embed_query(text).tolist()[0]

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        """Do what `embed_documents` does, on the running event loop."""
        return (await self._async_client.embed_documents(texts)).tolist()

    async def aembed_query(self, text: str) -> list[float]:
        """Do what `embed_query` does, on the running event loop."""
        return (await self._async_client.embed_query(text)).tolist()[0]

    def _given(self) -> dict[str, Any]:
        """Return what copies and pickles are built anew from: they share no connection and no totals."""
        return {name: getattr(self, name) for name in self.model_fields_set}

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return another object with the same options, but for those in `update`, which are checked."""
        given = self._given()
        if deep:  # containers are copied; a callable key and an HTTP client of the user's are alive, and shared
            given = {name: deepcopy(one) if isinstance(one, (dict, list)) else one for name, one in given.items()}
        return type(self)(**{**given, **_by_name(update or {})})

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


def _by_name(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options under their own names."""
    for alias, name in _ALIASES.items():
        if alias in options and name in options:
            raise ConfigurationError(f"{alias} and {name} are the same option. Give one of them.")
    return {_ALIASES.get(name, name): value for name, value in options.items()}


def _rebuilt(cls: type[OpenRouterEmbeddings], options: dict[str, Any]) -> OpenRouterEmbeddings:
    """Unpickle."""
    return cls(**options)
