"""The options of a client, each written once: its name, its type, its default, its meaning, its check."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from . import _validate as must_be
from ._secret import Secret, holds_secret
from .cache import Cache, open_cache
from .errors import ConfigurationError
from .gateways import ADDRESS_NOT_SET, Gateway, check_base_url, gateway_named
from .limiter import BeforeRequest, Limiter
from .option_types import ApiKey, Compression, EncodingFormat, HeaderValue, OnEmpty, OnError, OnTooLong
from .preferences import ProviderPreferences, validate_preferences
from .profiles import UNKNOWN, Profile, profile_for

if TYPE_CHECKING:
    import httpx

ERROR_OR_ZERO = '`"error"`, or `"zero"`: an empty text or None is not sent and gets a zero embedding.'
"""What `on_empty` means where every text must have an embedding, as frameworks have it."""


def _option(default: Any, check: must_be.Check, meaning: str, *, shown: bool = True) -> Any:
    """Return the field of one option. None, where it is the default, is not checked."""
    return field(default=default, repr=shown, metadata={"check": check, "meaning": meaning})


@dataclass(frozen=True, kw_only=True)
class Options:
    """Checked options. Anything that cannot be right is a `ConfigurationError` here, before any request."""

    model: str = field(
        metadata={
            "check": must_be.filled_text,
            "meaning": "The gateway's model id, passed through untouched (a leading `openrouter/` of another tool aside).",
        }
    )
    api_key: ApiKey | None = _option(
        None,
        must_be.api_key,
        "A string, a `SecretStr` or a callable that gives one; None reads the gateway's variable at each use.",
    )
    gateway: str | Gateway = _option(
        "openrouter",
        lambda _, value: gateway_named(value),
        '`"openrouter"`, `"infron"`, `"openai-compatible"` (which needs `base_url`) or a `Gateway`.',
    )
    base_url: str | None = _option(
        None, must_be.text, "None: `OPENROUTER_API_BASE` or its like, else the gateway's own."
    )
    allow_plain_http: bool = _option(
        False,
        must_be.one_of(True, False),
        "Whether texts and the key may travel unencrypted to another machine: a container, a LAN.",
    )
    profile: str | None = _option(
        None,
        must_be.filled_text,
        "The model whose facts hold (its marks, widths, limits), where `model` is an alias that hides it.",
    )
    dimensions: int | None = _option(None, must_be.whole(least=1), "Width to ask for; None leaves it to the model.")
    provider: ProviderPreferences | Mapping[str, Any] | None = _option(
        None, lambda _, value: validate_preferences(value), "Provider preferences, keys as on the wire."
    )
    user: str | None = _option(None, must_be.text, "Your end user's id, passed on to the provider.")
    session_id: str | None = _option(
        None, must_be.header_text, "Groups requests in the gateway's logs; at most 256 characters."
    )
    trace: Mapping[str, Any] | None = _option(
        None, must_be.json_mapping, "Trace fields for the gateway's log forwarding."
    )
    query_input_type: str | None = _option(
        None, must_be.text, 'What goes over the wire as `input_type` of a query. None: by the profile; `""` sends none.'
    )
    document_input_type: str | None = _option(None, must_be.text, "Likewise for documents.")
    query_prefix: str | None = _option(
        None, must_be.text, 'What is put before a query. None: by the profile; `""` puts nothing.'
    )
    document_prefix: str | None = _option(None, must_be.text, "Likewise for documents.")
    encoding_format: EncodingFormat = _option(
        "auto",
        must_be.one_of("auto", "base64", "float"),
        '`"auto"` asks for base64, and for floats where base64 is refused.',
    )
    compression: Compression = _option(
        "auto",
        must_be.one_of("auto", "gzip", "none"),
        'How answers may be compressed: `"auto"` asks for zstd where it can be unpacked, else for none; `"gzip"` is for'
        " slow links.",
    )
    normalize: bool | None = _option(
        None,
        must_be.one_of(True, False, None),
        "Whether to scale embeddings to unit length. None: where the profile says so.",
    )
    batch_size: int | None = _option(
        None, must_be.whole(least=1), "Most inputs a request; None: by the profile, then learnt."
    )
    batch_tokens: int | None = _option(None, must_be.whole(least=1), "Most estimated tokens a request; likewise.")
    max_concurrency: int = _option(
        16, must_be.whole(least=1), "Most requests in flight, over all threads, tasks and loops."
    )
    timeout: float = _option(60.0, must_be.amount(above_zero=True), "Seconds for one whole exchange.")
    call_timeout: float | None = _option(
        None,
        must_be.amount(above_zero=True),
        "Seconds that one call may take in all, waiting and retries included. None: 30 for a single query, no bound of its"
        " own for other calls. In a stream: of each request.",
    )
    max_retries: int = _option(
        5, must_be.whole(least=0), "Most further attempts at a request that failed in itself; 2 for a single query."
    )
    max_replays: int = _option(
        1,
        must_be.whole(least=0),
        "How often a request that may have been billed (no answer in time, a cut one, 500, 502) is sent again; 0 leaves"
        " the decision to you.",
    )
    retry_timeout: float = _option(
        300.0,
        must_be.amount(),
        "Seconds that a batch may spend waiting for a gateway that is busy, down or restarting (429, 503, no connection).",
    )
    cache: Cache | str | os.PathLike[str] | None = _option(
        None,
        lambda _, value: open_cache(value),
        "A `Cache`, or a path to a SQLite file: what is in it is not paid for again.",
    )
    server_cache: int | None = _option(
        None,
        must_be.whole(least=1, most=86_400),
        "Seconds (1 to 86400) for which the gateway keeps its answers, so that a request sent again within them is not"
        " charged again.",
    )
    max_cost: float | None = _option(None, must_be.amount(), "USD; no request starts that would pass it.")
    on_empty: OnEmpty = _option(
        "error",
        must_be.one_of("error", "zero", "null"),
        f'{ERROR_OR_ZERO} `"null"`: it gets none, and no error (`result.missing`).',
    )
    on_error: OnError = _option(
        "raise",
        must_be.one_of("raise", "null"),
        '`"raise"`, or `"null"`: an input that cannot be embedded costs its own row, and `result.errors` says why. What'
        " ends a job (the key, no credit, an outage, `max_cost`, `call_timeout`) is raised still.",
    )
    on_too_long: OnTooLong = _option(
        "error",
        must_be.one_of("error", "truncate", "average"),
        '`"error"`; `"truncate"`: a text too long for the model is cut; `"average"`: it is embedded in pieces and their'
        " embeddings are averaged by length. `result.shortened` names the positions.",
    )
    dimensions_fallback: bool = _option(
        False,
        must_be.one_of(True, False),
        "Where a provider ignores `dimensions`, cut its embeddings here and restore unit length, if the model's family was"
        " trained for that.",
    )
    coalesce_queries: bool = _option(
        False,
        must_be.one_of(True, False),
        "Whether single queries made at the same time share requests, a few milliseconds later.",
    )
    app_url: str | None = _option(None, must_be.header_text, "Your app's address, for the gateway's rankings.")
    app_title: str | None = _option(None, must_be.header_text, "Its name; Latin-1.")
    app_categories: Sequence[str] | None = _option(None, must_be.categories, "At most two, lower-case with hyphens.")
    extra_headers: Mapping[str, HeaderValue] | None = _option(
        None,
        must_be.headers,
        "Added to each request. A value is a string, a `SecretStr`, or a callable that gives one; none is ever shown.",
        shown=False,
    )
    extra_body: Mapping[str, Any] | None = _option(
        None,
        must_be.json_mapping,
        "Merged into each request's body, field by field: for what is newer than this release.",
    )
    limiter: Limiter | None = _option(
        None,
        must_be.limiter,
        "A `Limiter` that other clients share, here or on other machines: it gives each request a lease or says when to"
        " ask again, and is told what became of it. The client's own limits hold beneath it.",
        shown=False,
    )
    before_request: Callable[[int], object] | None = _option(
        None,
        must_be.function,
        "Called before each request with its estimated tokens, in a thread, and waited for: the simplest limiter. In place"
        " of `limiter`.",
        shown=False,
    )
    http_client: httpx.Client | Callable[[], httpx.Client] | None = _option(
        None,
        must_be.http_client(is_async=False),
        "Your own `httpx.Client`, which stays yours to close and does not pickle; or a function that makes one: it is called in"
        " each process, and what it has made is closed with the client.",
        shown=False,
    )
    async_http_client: httpx.AsyncClient | Callable[[], httpx.AsyncClient] | None = _option(
        None,
        must_be.http_client(is_async=True),
        "Your own `httpx.AsyncClient`, good for one event loop; or a function that makes one, called on each.",
        shown=False,
    )

    def __post_init__(self) -> None:
        """Check each option, then those that depend on each other."""
        for option in fields(self):
            value = getattr(self, option.name)
            if value is not None or option.default is not None:
                object.__setattr__(self, option.name, option.metadata["check"](option.name, value))
        if self.base_url is not None:
            object.__setattr__(self, "base_url", self._checked_address(self.base_url))
        if self.profile is not None and self.facts is UNKNOWN:
            raise ConfigurationError(
                f"profile names a model that is not known: {self.profile!r}. Name the one behind the alias, such as"
                " 'qwen/qwen3-embedding-8b', or leave it out and set the marks yourself."
            )
        if self.session_id is not None and len(self.session_id) > 256:
            raise ConfigurationError(f"session_id has {len(self.session_id)} characters; the gateway takes 256.")
        if self.server_cache is not None and not self.service.caches_answers:
            raise ConfigurationError(f"{self.service.name} keeps no answers. Leave server_cache out.")
        if self.limiter is not None and self.before_request is not None:
            raise ConfigurationError("limiter= and before_request= do the same. Give one of them.")

    @property
    def service(self) -> Gateway:
        """The gateway's facts."""
        return gateway_named(self.gateway)

    @property
    def shared_limiter(self) -> Limiter | None:
        """The limiter that is asked before each request, in whichever way it was given."""
        return BeforeRequest(self.before_request) if self.before_request is not None else self.limiter

    def address(self) -> str:
        """Return the base URL: as given, else from the environment, else the gateway's own."""
        if self.base_url is not None:
            return self.base_url
        for name in self.service.base_url_env:
            if os.environ.get(name):
                return self._checked_address(os.environ[name])
        if self.service.base_url == ADDRESS_NOT_SET:
            raise ConfigurationError(f"{self.service.name} has no address of its own. Pass base_url=...")
        return self.service.base_url

    def _checked_address(self, url: str) -> str:
        return check_base_url(url, allow_plain_http=self.allow_plain_http or self.service.allow_plain_http)

    @property
    def facts(self) -> Profile:
        """What is known of the model, or of the one that `profile` names."""
        return profile_for(self.profile or self.model)

    def key(self, *, required: bool = True) -> str:
        """Return the key as it is now, or raise `ConfigurationError` naming the variable to set.

        Where none is required, none is the empty string.
        """
        given = self.api_key
        if callable(given):
            key = given()
            if not isinstance(key, str) and not holds_secret(key):
                raise ConfigurationError(f"The callable api_key gave {type(key).__name__}, not a string.")
            return must_be.key(key)
        if given is not None:
            assert isinstance(given, Secret)
            return given.get_secret_value()
        for name in self.service.key_env:
            if os.environ.get(name, "").strip():
                return must_be.check_header(name, os.environ[name].strip(), secret=True)
        if not required or not self.service.key_required:
            return ""
        names = " or ".join(self.service.key_env)
        raise ConfigurationError(
            f"No API key for {self.service.name}. Pass api_key=...{f' or set {names}' if names else ''}."
        )

    def given(self) -> dict[str, Any]:
        """Return the options that differ from their defaults, for a copy or a pickle."""
        return {
            option.name: getattr(self, option.name)
            for option in fields(self)
            if getattr(self, option.name) is not option.default
        }


def meaning_of(name: str) -> str:
    """Return what an option means, in one sentence or two."""
    return str(next(option.metadata["meaning"] for option in fields(Options) if option.name == name))


Options.__doc__ = f"{Options.__doc__}\n\n    Attributes:\n" + "\n".join(
    f"        {option.name}: {option.metadata['meaning']}" for option in fields(Options)
)
