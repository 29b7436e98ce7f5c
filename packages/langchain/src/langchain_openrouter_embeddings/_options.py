"""What `OpenRouterEmbeddings` takes: the core's options, with their defaults and meanings, in LangChain's words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Any, Never

from pydantic import BaseModel, Field, SecretStr
from pydantic.json_schema import SkipJsonSchema

from openrouter_embeddings import ClientOptions, ConfigurationError, Gateway, Options
from openrouter_embeddings.option_types import Compression, EncodingFormat, ErrorOrZero, OnTooLong
from openrouter_embeddings.options import ERROR_OR_ZERO, meaning_of
from openrouter_embeddings.words import NO_NULL, Words, with_plain_values

_ALIASES = {"openrouter_api_key": "api_key", "openrouter_api_base": "base_url"}
DEFAULTS = {option.name: option.default for option in fields(Options) if option.name != "on_error"}
WORDS = Words(
    options=[*DEFAULTS, *_ALIASES],
    names={" list_models()": " .client.list_models()"},
    reasons={"on_error": NO_NULL},
    values={("on_empty", "null"): NO_NULL},
    resume='embeddings.client.embed(texts, input_type="document", resume=error.partial) embeds only the rest, and so does'
    " this call again where the embeddings have a cache=.",
)


class OpenRouterOptions(ClientOptions, total=False):
    """The options of the core's `Client`, and LangChain's names for two of them."""

    openrouter_api_key: str | SecretStr | Callable[[], str] | None
    openrouter_api_base: str | None
    on_empty: ErrorOrZero  # type: ignore[misc]  # fewer than the core's
    on_error: Never  # type: ignore[misc]


def option(name: str, **rules: Any) -> Any:
    """A field with the core's own default and meaning."""
    return Field(default=DEFAULTS[name], description=meaning_of(name), **rules)


class OptionFields(BaseModel):
    """Every option as a field."""

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
    on_empty: ErrorOrZero = Field(default="error", description=ERROR_OR_ZERO)
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
    limiter: Any = option("limiter", exclude=True, repr=False)
    before_request: Any = option("before_request", exclude=True, repr=False)
    http_client: Any = option("http_client", exclude=True, repr=False)
    async_http_client: Any = option("async_http_client", exclude=True, repr=False)


def by_name(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options under their own names, as a settings class or a user gives them."""
    for alias, name in _ALIASES.items():
        if alias in options and name in options:
            raise ConfigurationError(f"{alias} and {name} are the same option. Give one of them.")
    return with_plain_values({_ALIASES.get(name, name): value for name, value in options.items()})
