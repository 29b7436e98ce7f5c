"""What a client can be told, each option once: its name, its type, its default, its check."""

from __future__ import annotations

import difflib
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypedDict

from ._secret import Secret, SecretHolder, holds_secret
from .cache import Cache, open_cache
from .errors import ConfigurationError
from .gateways import Gateway, check_base_url, gateway_named
from .preferences import ProviderPreferences, validate_preferences

if TYPE_CHECKING:
    import httpx

ApiKey: TypeAlias = str | SecretHolder | Callable[[], str]
"""`SecretHolder` stands for pydantic's `SecretStr`, which is not imported for it."""
EncodingFormat: TypeAlias = Literal["auto", "base64", "float"]
_LONGEST_SERVER_CACHE = 86_400


class ClientOptions(TypedDict, total=False):
    """The keyword options of `Client` and `AsyncClient`; `Options` has their defaults and meanings."""

    api_key: ApiKey | None
    gateway: str | Gateway
    base_url: str | None
    dimensions: int | None
    provider: ProviderPreferences | Mapping[str, Any] | None
    user: str | None
    session_id: str | None
    trace: Mapping[str, Any] | None
    query_input_type: str | None
    document_input_type: str | None
    query_prefix: str | None
    document_prefix: str | None
    encoding_format: EncodingFormat
    normalize: bool | None
    batch_size: int | None
    batch_tokens: int | None
    max_concurrency: int
    timeout: float
    max_retries: int
    max_replays: int
    retry_timeout: float
    cache: Cache | str | os.PathLike[str] | None
    server_cache: int | None
    max_cost: float | None
    on_empty: Literal["error", "zero"]
    on_too_long: Literal["error", "truncate", "average"]
    dimensions_fallback: bool
    coalesce_queries: bool
    app_url: str | None
    app_title: str | None
    app_categories: Sequence[str] | None
    extra_headers: Mapping[str, str] | None
    extra_body: Mapping[str, Any] | None
    http_client: httpx.Client | None
    async_http_client: httpx.AsyncClient | None


@dataclass(frozen=True, kw_only=True)
class Options:
    """Checked options. Anything that cannot be right is a `ConfigurationError` here, before any request.

    Attributes:
        model: The gateway's model id, passed through untouched (a leading `openrouter/` aside).
        api_key: A string, a `SecretStr` or a callable that gives one; None reads the gateway's variable at each use.
        gateway: `"openrouter"`, `"infron"` or a `Gateway`.
        base_url: None: `OPENROUTER_API_BASE` or its like, else the gateway's own.
        dimensions: Width to ask for; None leaves it to the model.
        provider: Provider preferences, keys as on the wire.
        user: Your end user's id, passed on to the provider.
        session_id: Groups requests in the gateway's logs; at most 256 characters.
        trace: Trace fields for the gateway's log forwarding.
        query_input_type: None: from the model's profile; `""` sends none.
        document_input_type: Likewise.
        query_prefix: None: from the model's profile; `""` puts nothing before a query.
        document_prefix: Likewise.
        encoding_format: `"auto"` asks for base64 and falls back to floats once, remembered.
        normalize: None: where the profile says so.
        batch_size: Most inputs a request; None: from the profile, then learnt.
        batch_tokens: Most estimated tokens a request; likewise.
        max_concurrency: Most requests in flight, over all threads, tasks and loops.
        timeout: Seconds for one whole exchange.
        max_retries: Most further attempts where the answer is not a plain "wait".
        max_replays: How often a request that may have been billed (no answer in time, a cut one, 500, 502) is sent
            again; 0 leaves the decision to you.
        retry_timeout: Seconds a batch may spend waiting in all.
        cache: A `Cache`, or a path to a SQLite file: what is in it is not paid for again.
        server_cache: Seconds (1 to 86400) for which the gateway keeps its answers, so that a request sent again within
            them is not charged again.
        max_cost: USD; no request starts that would pass it.
        on_empty: `"error"`, or `"zero"`: an empty text is not sent and gets a zero embedding.
        on_too_long: `"error"`; `"truncate"`: a text too long for the model is cut; `"average"`: it is embedded in pieces
            and their embeddings are averaged by length. `result.shortened` names the positions.
        dimensions_fallback: Where a provider ignores `dimensions`, cut its embeddings here and restore unit length, if
            the model's family was trained for that.
        coalesce_queries: Single queries made at the same time share requests, a few milliseconds later.
        app_url: Your app's address, for the gateway's rankings.
        app_title: Its name; Latin-1.
        app_categories: At most two, lower-case with hyphens.
        extra_headers: Added to each request.
        extra_body: Merged into each request's body, field by field: for what is newer than this release.
        http_client: Your own `httpx.Client`; it stays yours to close and does not pickle.
        async_http_client: Your own `httpx.AsyncClient`, good for one event loop.
    """

    model: str
    api_key: ApiKey | None = None
    gateway: str | Gateway = "openrouter"
    base_url: str | None = None
    dimensions: int | None = None
    provider: ProviderPreferences | Mapping[str, Any] | None = None
    user: str | None = None
    session_id: str | None = None
    trace: Mapping[str, Any] | None = None
    query_input_type: str | None = None
    document_input_type: str | None = None
    query_prefix: str | None = None
    document_prefix: str | None = None
    encoding_format: EncodingFormat = "auto"
    normalize: bool | None = None
    batch_size: int | None = None
    batch_tokens: int | None = None
    max_concurrency: int = 16
    timeout: float = 60.0
    max_retries: int = 5
    max_replays: int = 1
    retry_timeout: float = 300.0
    cache: Cache | str | os.PathLike[str] | None = None
    server_cache: int | None = None
    max_cost: float | None = None
    on_empty: Literal["error", "zero"] = "error"
    on_too_long: Literal["error", "truncate", "average"] = "error"
    dimensions_fallback: bool = False
    coalesce_queries: bool = False
    app_url: str | None = None
    app_title: str | None = None
    app_categories: Sequence[str] | None = None
    extra_headers: Mapping[str, str] | None = None
    extra_body: Mapping[str, Any] | None = None
    http_client: httpx.Client | None = None
    async_http_client: httpx.AsyncClient | None = None

    def __post_init__(self) -> None:
        """Check each option, and turn keys into secrets."""
        self._set("gateway", gateway_named(self.gateway))
        self._set("api_key", _secret(self.api_key))
        self._set("provider", validate_preferences(self.provider))
        if self.base_url is not None:
            self._set("base_url", check_base_url(self.base_url, allow_plain_http=self.gateway.allow_plain_http))  # type: ignore[union-attr]
        _text("model", self.model, empty=False)
        for name in (
            "user",
            "session_id",
            "query_input_type",
            "document_input_type",
            "query_prefix",
            "document_prefix",
        ):
            if getattr(self, name) is not None:
                _text(name, getattr(self, name))
        for name in ("dimensions", "batch_size", "batch_tokens"):
            if getattr(self, name) is not None:
                _whole(name, getattr(self, name), least=1)
        _whole("max_concurrency", self.max_concurrency, least=1)
        _whole("max_retries", self.max_retries, least=0)
        _whole("max_replays", self.max_replays, least=0)
        _amount("timeout", self.timeout, above_zero=True)
        _amount("retry_timeout", self.retry_timeout)
        if self.max_cost is not None:
            _amount("max_cost", self.max_cost)
        if self.normalize not in {None, True, False}:
            raise ConfigurationError(f"normalize takes True, False or None, not {self.normalize!r}.")
        _one_of("encoding_format", self.encoding_format, ("auto", "base64", "float"))
        _one_of("on_empty", self.on_empty, ("error", "zero"))
        _one_of("on_too_long", self.on_too_long, ("error", "truncate", "average"))
        for name in ("dimensions_fallback", "coalesce_queries"):
            _one_of(name, getattr(self, name), (True, False))
        self._check_server_cache()
        self._set("cache", open_cache(self.cache))
        if self.session_id is not None and len(self.session_id) > 256:
            raise ConfigurationError(f"session_id has {len(self.session_id)} characters; the gateway takes 256.")
        for name in ("trace", "extra_body"):
            _mapping(name, getattr(self, name))
        self._check_headers()

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    def _check_server_cache(self) -> None:
        if self.server_cache is None:
            return
        _whole("server_cache", self.server_cache, least=1)
        if self.server_cache > _LONGEST_SERVER_CACHE:
            raise ConfigurationError(
                f"server_cache takes at most {_LONGEST_SERVER_CACHE} seconds, not {self.server_cache}."
            )
        if not self.service.caches_answers:
            raise ConfigurationError(f"{self.service.name} keeps no answers. Leave server_cache out.")

    def _check_headers(self) -> None:
        _mapping("extra_headers", self.extra_headers)
        for name, value in (self.extra_headers or {}).items():
            check_header(f"extra_headers[{name!r}]", name)
            check_header(f"extra_headers[{name!r}]", value)
        for name in ("app_url", "app_title", "session_id"):
            if getattr(self, name) is not None:
                check_header(name, getattr(self, name))
        categories = self.app_categories
        if categories is not None and (isinstance(categories, str) or not all(isinstance(c, str) for c in categories)):
            raise ConfigurationError("app_categories takes a list of strings.")
        if categories is not None and len(categories) > 2:
            raise ConfigurationError(f"app_categories holds {len(categories)} names; the gateway takes at most 2.")
        for one in categories or ():
            check_header("app_categories", one)

    @property
    def service(self) -> Gateway:
        """The gateway's facts."""
        return gateway_named(self.gateway)

    def address(self) -> str:
        """Return the base URL: as given, else from the environment, else the gateway's own."""
        if self.base_url is not None:
            return self.base_url
        for name in self.service.base_url_env:
            if os.environ.get(name):
                return check_base_url(os.environ[name], allow_plain_http=self.service.allow_plain_http)
        return self.service.base_url

    def key(self, *, required: bool = True) -> str:
        """Return the key as it is now, or raise `ConfigurationError` naming the variable to set.

        Where none is required, none is the empty string.
        """
        given = self.api_key
        if callable(given):
            found = given()
            if not isinstance(found, str) and not holds_secret(found):
                raise ConfigurationError(f"The callable api_key gave {type(found).__name__}, not a string.")
            return _checked_key(found)
        if given is not None:
            assert isinstance(given, Secret)
            return given.get_secret_value()
        for name in self.service.key_env:
            if os.environ.get(name, "").strip():
                return check_header(name, os.environ[name].strip(), secret=True)
        if not required:
            return ""
        names = " or ".join(self.service.key_env)
        raise ConfigurationError(
            f"No API key for {self.service.name}. Pass api_key=...{f' or set {names}' if names else ''}."
        )

    def given(self) -> dict[str, Any]:
        """Return the options that differ from their defaults, for a copy or a pickle."""
        return {one.name: getattr(self, one.name) for one in fields(self) if getattr(self, one.name) is not one.default}


def check_known(names: Sequence[str]) -> None:
    """Raise `ConfigurationError` for an option that does not exist, naming the nearest that does."""
    known = [one.name for one in fields(Options)]
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise ConfigurationError(
                f"Option {name!r} is unknown.{hint} A request field newer than this release goes under extra_body."
            )


def check_header(name: str, value: object, *, secret: bool = False) -> str:
    """Return a header value that HTTP can carry, or raise `ConfigurationError` without showing a secret one."""
    if not isinstance(value, str):
        raise ConfigurationError(f"{name} must be a string, not {type(value).__name__}.")
    shown = "it" if secret else repr(value)
    if any(ord(char) < 32 or ord(char) == 127 for char in value):
        raise ConfigurationError(
            f"{name} holds a line break or control character ({shown}), which no header can carry."
        )
    try:
        value.encode("ascii" if secret else "latin-1")
    except UnicodeEncodeError:
        raise ConfigurationError(f"{name} holds characters that no header can carry ({shown}).") from None
    return value


def _secret(value: ApiKey | None) -> ApiKey | None:
    """Return a key as a secret; what is called for the key at each use stays as it is."""
    if value is None or (callable(value) and not holds_secret(value)):
        return value
    return Secret(_checked_key(value))


def _checked_key(value: object) -> str:
    """Return a key. A line feed at its end is a copying accident and goes; anything else is an error."""
    text = value.get_secret_value() if holds_secret(value) else value
    if not isinstance(text, str):
        raise ConfigurationError(f"api_key takes a string, a SecretStr or a callable, not {type(text).__name__}.")
    text = text.strip()
    if not text:
        raise ConfigurationError("api_key is empty. Leave it out to use the environment's.")
    return check_header("api_key", text, secret=True)


def _text(name: str, value: object, *, empty: bool = True) -> None:
    if not isinstance(value, str):
        raise ConfigurationError(f"{name} takes a string, not {type(value).__name__}.")
    if not empty and not value.strip():
        raise ConfigurationError(f"{name} is empty.")


def _whole(name: str, value: object, *, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ConfigurationError(f"{name} takes a whole number, not {value!r}.")
    if value < least:
        raise ConfigurationError(f"{name} must be at least {least}, not {value}.")


def _amount(name: str, value: object, *, above_zero: bool = False) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ConfigurationError(f"{name} takes a number, not {value!r}.")
    if not math.isfinite(value) or value < 0 or (above_zero and value == 0):
        raise ConfigurationError(
            f"{name} must be a finite number {'above' if above_zero else 'of at least'} 0, not {value!r}."
        )


def _one_of(name: str, value: object, allowed: Sequence[object]) -> None:
    if value not in allowed:
        choices = ", ".join(map(repr, allowed))
        raise ConfigurationError(f"{name} takes {choices}, not {value!r}.")


def _mapping(name: str, value: object) -> None:
    if value is not None and not (isinstance(value, Mapping) and all(isinstance(key, str) for key in value)):
        raise ConfigurationError(f"{name} takes a mapping with string keys, not {type(value).__name__}.")
