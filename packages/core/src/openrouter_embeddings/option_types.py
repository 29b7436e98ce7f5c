"""The types of options: what a type checker knows of a client's keywords."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypedDict

from ._secret import SecretHolder
from .cache import Cache
from .gateways import Gateway
from .limiter import Limiter
from .preferences import ProviderPreferences

if TYPE_CHECKING:
    import httpx

ApiKey: TypeAlias = str | SecretHolder | Callable[[], str]
"""`SecretHolder` stands for pydantic's `SecretStr`, which is not imported for it."""
HeaderValue: TypeAlias = str | SecretHolder | Callable[[], str]
EncodingFormat: TypeAlias = Literal["auto", "base64", "float"]
OnEmpty: TypeAlias = Literal["error", "zero", "null"]
OnError: TypeAlias = Literal["raise", "null"]
ErrorOrZero: TypeAlias = Literal["error", "zero"]
"""`OnEmpty` where every text must have an embedding, as frameworks have it."""
OnTooLong: TypeAlias = Literal["error", "truncate", "average"]
Compression: TypeAlias = Literal["auto", "gzip", "none"]


class ClientOptions(TypedDict, total=False):
    """The keyword options of `Client` and `AsyncClient`; `Options` has their defaults and meanings."""

    api_key: ApiKey | None
    gateway: str | Gateway
    base_url: str | None
    allow_plain_http: bool
    profile: str | None
    dimensions: int | None
    provider: ProviderPreferences | None
    user: str | None
    session_id: str | None
    trace: Mapping[str, Any] | None
    query_input_type: str | None
    document_input_type: str | None
    query_prefix: str | None
    document_prefix: str | None
    encoding_format: EncodingFormat
    compression: Compression
    normalize: bool | None
    batch_size: int | None
    batch_tokens: int | None
    max_concurrency: int
    timeout: float
    call_timeout: float | None
    max_retries: int
    max_replays: int
    retry_timeout: float
    cache: Cache | str | os.PathLike[str] | None
    server_cache: int | None
    max_cost: float | None
    on_empty: OnEmpty
    on_error: OnError
    on_too_long: OnTooLong
    dimensions_fallback: bool
    coalesce_queries: bool
    app_url: str | None
    app_title: str | None
    app_categories: Sequence[str] | None
    extra_headers: Mapping[str, HeaderValue] | None
    extra_body: Mapping[str, Any] | None
    limiter: Limiter | None
    before_request: Callable[[int], object] | None
    http_client: httpx.Client | Callable[[], httpx.Client] | None
    async_http_client: httpx.AsyncClient | Callable[[], httpx.AsyncClient] | None
