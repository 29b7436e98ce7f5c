"""`OpenRouterEmbeddings`: the core client, spoken to in LangChain's words."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from copy import deepcopy
from typing import Any, Self, Unpack

from langchain_core.embeddings import Embeddings
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    PrivateAttr,
    SecretStr,
    ValidationError,
    field_serializer,
    model_validator,
)
from pydantic.json_schema import SkipJsonSchema

from langchain_openrouter_embeddings._options import DEFAULTS, WORDS, OpenRouterOptions, by_name, option
from openrouter_embeddings import AsyncClient, Client, ConfigurationError, Gateway, InputType, Options, Usage
from openrouter_embeddings.option_types import Compression, EncodingFormat, OnEmpty, OnTooLong
from openrouter_embeddings.options import meaning_of
from openrouter_embeddings.words import without_values

_FROM_ENVIRONMENT = ("api_key", "base_url")


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

    model: str = Field(description=meaning_of("model"))
    # A key may be a callable, and so may a header's value: JSON has no word for that, its schema leaves them out.
    api_key: SecretStr | SkipJsonSchema[Callable[[], str]] | None = option("api_key", exclude=True, repr=False)
    gateway: str | Gateway = option("gateway")
    base_url: str | None = option("base_url")
    allow_plain_http: bool = option("allow_plain_http")
    profile: str | None = option("profile")
    dimensions: int | None = option("dimensions")
    provider: Mapping[str, Any] | None = option("provider")
    user: str | None = option("user")
    session_id: str | None = option("session_id")
    trace: Mapping[str, Any] | None = option("trace")
    query_input_type: str | None = option("query_input_type")
    document_input_type: str | None = option("document_input_type")
    query_prefix: str | None = option("query_prefix")
    document_prefix: str | None = option("document_prefix")
    encoding_format: EncodingFormat = option("encoding_format")
    compression: Compression = option("compression")
    normalize: bool | None = option("normalize")
    batch_size: int | None = option("batch_size")
    batch_tokens: int | None = option("batch_tokens")
    max_concurrency: int = option("max_concurrency")
    timeout: float = option("timeout")
    call_timeout: float | None = option("call_timeout")
    max_retries: int = option("max_retries")
    max_replays: int = option("max_replays")
    retry_timeout: float = option("retry_timeout")
    cache: Any = option("cache")
    server_cache: int | None = option("server_cache")
    max_cost: float | None = option("max_cost")
    on_empty: OnEmpty = option("on_empty")
    on_too_long: OnTooLong = option("on_too_long")
    dimensions_fallback: bool = option("dimensions_fallback")
    coalesce_queries: bool = option("coalesce_queries")
    app_url: str | None = option("app_url")
    app_title: str | None = option("app_title")
    app_categories: Sequence[str] | None = option("app_categories")
    extra_headers: Mapping[str, str | SecretStr | SkipJsonSchema[Callable[[], str]]] | None = option(
        "extra_headers", exclude=True, repr=False
    )
    extra_body: Mapping[str, Any] | None = option("extra_body")
    before_request: Any = option("before_request", exclude=True, repr=False)
    http_client: Any = option("http_client", exclude=True, repr=False)
    async_http_client: Any = option("async_http_client", exclude=True, repr=False)

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
        return self._embed(texts, "document")

    def embed_query(self, text: str, **unknown: Any) -> list[float]:
        """Return the embedding of a text, marked as a query.

        Args:
            text: The query.
            **unknown: See `embed_documents`.

        Raises:
            EmbeddingError: It could not be done.
        """
        WORDS.check_call(unknown)
        return self._embed([text], "query")[0]

    async def aembed_documents(self, texts: list[str], **unknown: Any) -> list[list[float]]:
        """Do what `embed_documents` does, on the running event loop."""
        WORDS.check_call(unknown)
        return await self._aembed(texts, "document")

    async def aembed_query(self, text: str, **unknown: Any) -> list[float]:
        """Do what `embed_query` does, on the running event loop."""
        WORDS.check_call(unknown)
        return (await self._aembed([text], "query"))[0]

    def _embed(self, texts: list[str], input_type: InputType) -> list[list[float]]:
        with WORDS.for_errors():
            return self._client.embed(texts, input_type=input_type).tolist()

    async def _aembed(self, texts: list[str], input_type: InputType) -> list[list[float]]:
        with WORDS.for_errors():
            return (await self._async_client.embed(texts, input_type=input_type)).tolist()

    @model_validator(mode="wrap")
    @classmethod
    def _without_values(cls, given: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        """As a field of a user's own model, name each option that is refused, and show no value: it may be a key."""
        try:
            return handler(given)
        except ValidationError as refused:
            raise without_values(refused, given) from None

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
    """Unpickle."""
    return cls(**options)
