"""What `OpenRouterEmbedding` takes: the core's options, with their defaults and meanings, in LlamaIndex's words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Never

from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.bridge.pydantic import ConfigDict, Field, SecretStr, TypeAdapter
from llama_index.core.callbacks import CallbackManager
from llama_index.core.storage.kvstore.types import BaseKVStore
from pydantic.json_schema import SkipJsonSchema

from openrouter_embeddings import ClientOptions, ConfigurationError, Gateway, Options
from openrouter_embeddings.option_types import Compression, EncodingFormat, ErrorOrZero, OnTooLong
from openrouter_embeddings.options import ERROR_OR_ZERO, meaning_of
from openrouter_embeddings.words import NO_NULL, Words, with_plain_values

from ._store import StoreCache

if TYPE_CHECKING:  # not in every LlamaIndex that is allowed
    from llama_index.core.rate_limiter import BaseRateLimiter

_PROGRESS = ("show_progress_bar", "show_progress", "progress_bar")
_ALIASES = {"model": "model_name", "api_base": "base_url"}
DEFAULTS = {option.name: option.default for option in fields(Options) if option.name not in {"model", "on_error"}}


class EmbeddingOptions(ClientOptions, total=False):
    """The options of the core's `Client`, and LlamaIndex's own words."""

    model: str
    api_base: str | None
    embed_batch_size: int
    embeddings_cache: BaseKVStore | None
    num_workers: int | None
    rate_limiter: BaseRateLimiter | None
    callback_manager: CallbackManager | None
    on_empty: ErrorOrZero  # type: ignore[misc]  # fewer than the core's
    on_error: Never  # type: ignore[misc]


WORDS = Words(
    options=["model_name", *DEFAULTS, *(name for name in EmbeddingOptions.__annotations__ if name != "on_error")],
    names={" list_models()": " .client.list_models()"},
    reasons={"on_error": NO_NULL, **dict.fromkeys(_PROGRESS, "the batch methods take show_progress=True")},
    calls=dict.fromkeys(_PROGRESS, "show_progress"),
    values={("on_empty", "null"): NO_NULL},
    resume="The same batch call with resume=error.partial embeds only the rest, and so does the call or pipeline without it"
    " where the embedder has a cache=.",
)


def by_name(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options under their own names, as a dump or a user gives them; None is none."""
    given = with_plain_values({name: value for name, value in options.items() if value is not None})
    for only_in_a_dump in ("class_name", "address"):
        given.pop(only_in_a_dump, None)
    for alias, name in _ALIASES.items():
        if (value := given.pop(alias, None)) is not None and given.setdefault(name, value) != value:
            raise ConfigurationError(f"{alias}= and {name}= differ. Give one of them.")
    if isinstance(given.get("gateway"), Mapping):
        given["gateway"] = TypeAdapter(Gateway).validate_python(given["gateway"])
    return given


def saved(name: str) -> Any:
    """A field with the core's own default and meaning, of what changes the numbers or is needed to ask for the same."""
    return Field(default=DEFAULTS[name], description=meaning_of(name))


def unsaved(name: str) -> Any:
    """A field that changes no number: in no dump, so that changing it spoils no pipeline's cache; in a pickle."""
    return Field(default=DEFAULTS[name], description=meaning_of(name), exclude=True, repr=False)


def own(default: Any, meaning: str, **rules: Any) -> Any:
    """A field of the base class, likewise in no dump."""
    return Field(default=default, description=meaning, exclude=True, repr=False, **rules)


class OptionFields(BaseEmbedding):
    """Every option as a field."""

    # A refused value is never printed: it may be a key or a text.
    model_config = ConfigDict(hide_input_in_errors=True)

    gateway: str | Gateway = saved("gateway")
    base_url: str | None = saved("base_url")
    allow_plain_http: bool = saved("allow_plain_http")
    profile: str | None = saved("profile")
    dimensions: int | None = saved("dimensions")
    provider: Mapping[str, Any] | None = saved("provider")
    query_input_type: str | None = saved("query_input_type")
    document_input_type: str | None = saved("document_input_type")
    query_prefix: str | None = saved("query_prefix")
    document_prefix: str | None = saved("document_prefix")
    normalize: bool | None = saved("normalize")
    on_empty: ErrorOrZero = Field(default="error", description=ERROR_OR_ZERO)
    on_too_long: OnTooLong = saved("on_too_long")
    dimensions_fallback: bool = saved("dimensions_fallback")
    extra_body: Mapping[str, Any] | None = saved("extra_body")

    api_key: SecretStr | SkipJsonSchema[Callable[[], str]] | None = unsaved("api_key")
    user: str | None = unsaved("user")
    session_id: str | None = unsaved("session_id")
    trace: Mapping[str, Any] | None = unsaved("trace")
    encoding_format: EncodingFormat = unsaved("encoding_format")
    compression: Compression = unsaved("compression")
    batch_size: int | None = unsaved("batch_size")
    batch_tokens: int | None = unsaved("batch_tokens")
    max_concurrency: int = unsaved("max_concurrency")
    timeout: float = unsaved("timeout")
    call_timeout: float | None = unsaved("call_timeout")
    max_retries: int = unsaved("max_retries")
    max_replays: int = unsaved("max_replays")
    retry_timeout: float = unsaved("retry_timeout")
    cache: Any = unsaved("cache")
    server_cache: int | None = unsaved("server_cache")
    max_cost: float | None = unsaved("max_cost")
    coalesce_queries: bool = unsaved("coalesce_queries")
    app_url: str | None = unsaved("app_url")
    app_title: str | None = unsaved("app_title")
    app_categories: Sequence[str] | None = unsaved("app_categories")
    extra_headers: Mapping[str, str | SecretStr | SkipJsonSchema[Callable[[], str]]] | None = unsaved("extra_headers")
    limiter: Any = unsaved("limiter")
    before_request: Any = unsaved("before_request")
    http_client: Any = unsaved("http_client")
    async_http_client: Any = unsaved("async_http_client")

    # The base class allows 2048 at most, as OpenAI does. Here more is no bound, where the model's own is narrower.
    embed_batch_size: int = own(8192, "Most texts a request, where `batch_size` or the model allows more.", gt=0)
    num_workers: int | None = own(None, "Most requests at a time, where `max_concurrency` allows more.", gt=0)
    embeddings_cache: Any = own(
        None, "A key-value store to keep embeddings in, in place of `cache`, and under its keys."
    )
    rate_limiter: Any = own(None, "Asked for each request, with its estimated tokens, in place of `before_request`.")

    def _for_client(self) -> dict[str, Any]:
        """Return the core's options that were set, with what the base class has its own words for."""
        given = {name: getattr(self, name) for name in DEFAULTS}
        options = {name: value for name, value in given.items() if value is not None and value is not DEFAULTS[name]}
        if self.num_workers is not None:
            options["max_concurrency"] = min(self.num_workers, self.max_concurrency)
        same = (("embeddings_cache", "cache"), ("rate_limiter", "before_request"), ("rate_limiter", "limiter"))
        for theirs, ours in same:
            if getattr(self, theirs) is not None and ours in options:
                raise ConfigurationError(f"{theirs}= and {ours}= do the same. Give one of them.")
        if self.embeddings_cache is not None:
            options["cache"] = StoreCache(self.embeddings_cache)
        if self.rate_limiter is not None:
            if not callable(getattr(self.rate_limiter, "acquire", None)):
                raise ConfigurationError(f"rate_limiter has no acquire: {type(self.rate_limiter).__name__}.")
            options["before_request"] = self.rate_limiter.acquire
        return options
