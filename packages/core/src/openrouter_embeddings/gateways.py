"""The gateways: where each one is, and what it does in its own way. One transport, two dialects, all of it data.

Facts of OpenRouter: its documentation and OpenAPI file of 2026-08-22. Facts of Infron (formerly OneRouter):
its documentation and public clients, read 2026-11-20; what it documents nowhere is assumed absent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from difflib import get_close_matches
from ipaddress import ip_address
from typing import Any, Literal
from urllib.parse import urlsplit

from .errors import ConfigurationError

_EXAMPLE = "https://openrouter.ai/api/v1"


_UNFIT = re.compile(r"[\x00-\x20\x7f\\]")


def check_base_url(url: str, *, allow_plain_http: bool = False) -> str:
    """Return the address without a slash at its end.

    Raises:
        ConfigurationError: It is not http or https, is plain http to another machine (unless allowed), or holds a
            user, a query or a fragment. The address is not shown: a key may have been put there by mistake.
    """
    if not isinstance(url, str):
        raise ConfigurationError(f"base_url takes a str such as {_EXAMPLE!r}, not {type(url).__name__}.")
    if _UNFIT.search(url):
        raise ConfigurationError(f"base_url holds white space, a control character or a backslash. Write {_EXAMPLE!r}.")
    if not url.isascii():
        raise ConfigurationError(
            "base_url holds characters other than ASCII. Write a host's name as DNS has it (xn--), and a path's as %xx."
        )
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname, parts.port
    except ValueError:
        raise ConfigurationError(f"base_url is not an address. Write it as in {_EXAMPLE!r}.") from None
    if parts.scheme not in {"http", "https"} or not host:
        raise ConfigurationError(
            f"base_url does not begin with https:// and a host. Write it in full, as in {_EXAMPLE!r}."
        )
    if not is_host(host):
        raise ConfigurationError(f"base_url holds no name that a host can have. Write it as in {_EXAMPLE!r}.")
    if "@" in parts.netloc:
        raise ConfigurationError("base_url holds a user name or password. Remove it, and pass the key as api_key.")
    if "?" in url or "#" in url:
        raise ConfigurationError("base_url holds a query or a fragment. Remove everything from '?' or '#' on.")
    if parts.scheme == "http" and not allow_plain_http and not _on_this_machine(host):
        raise ConfigurationError(
            f"base_url would send the API key unencrypted to {host!r}. "
            "Write https://, or set allow_plain_http=True where the network between is yours."
        )
    return url.rstrip("/")


def is_host(name: str) -> bool:
    """Return whether a host can have this name: parts of 1 to 63 ASCII characters (RFC 1035, section 2.3.4), or an address.

    Python raises a bare UnicodeError where it looks up any other.
    """
    parts = name.removesuffix(".").split(".")
    return name.isascii() and all(0 < len(part) < 64 for part in parts)


def _on_this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


@dataclass(frozen=True, slots=True)
class ErrorHint:
    """An error that means something else than its status says."""

    status: int
    contains: str
    """Words of the message, in lower case."""
    means: Literal["insufficient_credits", "model_not_found"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """A service that routes embedding requests to providers. Without more than name and address: OpenRouter's dialect.

    Raises:
        ConfigurationError: The address cannot be used.
    """

    name: str
    """For messages."""
    base_url: str
    """Kept without a slash at its end."""
    key_env: tuple[str, ...] = ()
    """Environment variables that may hold the API key; the first that is set wins."""
    key_required: bool = True
    """Whether a request without a key would be refused."""
    base_url_env: tuple[str, ...] = ()
    """Environment variables that may hold another address."""
    models_path: str = "/embeddings/models"
    models_base_url: str | None = None
    """Where the listing is, if not under `base_url`."""
    listing: Literal["openrouter", "infron", "openai"] = "openrouter"
    """How the listing is written: prices per token as text and pages, prices per million and all kinds of models, or ids
    alone."""
    input_types: tuple[str, str] | None = ("search_query", "search_document")
    """Documented values of `input_type` (query, document) for models without a profile; None: send none."""
    sends_attribution: bool = True
    """Whether the headers that name an app are documented."""
    multimodal: bool = True
    """Whether `input` may hold more than texts."""
    caches_answers: bool = True
    """Whether it keeps answers for a while, and does not charge for those."""
    cost_location: Literal["usage", "top"] = "usage"
    """Whether the cost is inside `usage` or beside it."""
    error_hints: tuple[ErrorHint, ...] = ()
    allow_plain_http: bool = False
    """True: the key may travel unencrypted to a host that is not this machine."""

    def __post_init__(self) -> None:
        name: object = self.name
        if not isinstance(name, str) or not name:
            raise ConfigurationError("Gateway takes a name, such as 'mine'.")
        for option in ("key_env", "base_url_env"):
            if isinstance(getattr(self, option), str):
                raise ConfigurationError(f"Gateway {option} takes a tuple of names, not one str. Write ('NAME',).")
        object.__setattr__(self, "base_url", check_base_url(self.base_url, allow_plain_http=self.allow_plain_http))
        if self.models_base_url is not None:
            checked = check_base_url(self.models_base_url, allow_plain_http=self.allow_plain_http)
            object.__setattr__(self, "models_base_url", checked)

    @property
    def embeddings_url(self) -> str:
        """Where embeddings are asked for."""
        return f"{self.base_url}/embeddings"

    @property
    def models_url(self) -> str:
        """Where models are listed."""
        return f"{self.models_base_url or self.base_url}{self.models_path}"

    @property
    def models_take_key(self) -> bool:
        """Whether the listing may see the key: only on the host that gets it anyway."""
        return urlsplit(self.models_url)[:2] == urlsplit(self.base_url)[:2]

    def described(self, address: str | None) -> str:
        """Return its name for messages, with the address where that is not the gateway's own."""
        if address is None or address == self.base_url:
            return self.name
        return f"{self.name} ({address})"

    def at(self, base_url: str, *, allow_plain_http: bool = False) -> Gateway:
        """Return the same dialect at another address, the listing included."""
        allowed = self.allow_plain_http or allow_plain_http
        return replace(self, base_url=base_url, models_base_url=None, allow_plain_http=allowed)


OPENROUTER = Gateway(
    name="openrouter",
    base_url=_EXAMPLE,
    key_env=("OPENROUTER_API_KEY",),
    base_url_env=("OPENROUTER_API_BASE",),
)


INFRON = Gateway(
    name="infron",
    base_url="https://llm.onerouter.pro/v1",
    key_env=("INFRON_API_KEY", "ONEROUTER_API_KEY"),
    models_path="/models",
    models_base_url="https://api.infron.ai/v1",
    listing="infron",
    input_types=None,
    sends_attribution=False,
    multimodal=False,
    caches_answers=False,
    cost_location="top",
    error_hints=(
        ErrorHint(403, "credit", "insufficient_credits"),
        ErrorHint(503, "no available providers for model", "model_not_found"),
    ),
)


ADDRESS_NOT_SET = "https://base-url-not-set.invalid/v1"
OPENAI_COMPATIBLE = Gateway(
    name="openai-compatible",
    base_url=ADDRESS_NOT_SET,
    key_env=("OPENAI_COMPATIBLE_API_KEY",),
    key_required=False,
    models_path="/models",
    listing="openai",
    input_types=None,
    sends_attribution=False,
    multimodal=False,
    caches_answers=False,
)
"""A server that speaks OpenAI's dialect (infinity, TEI, vLLM, llama.cpp, LiteLLM), at the `base_url` that is given."""

GATEWAYS = {gateway.name: gateway for gateway in (OPENROUTER, INFRON, OPENAI_COMPATIBLE)}


def gateway_named(name: str | Gateway) -> Gateway:
    """Return the gateway of this name; a `Gateway` is its own answer.

    Raises:
        ConfigurationError: There is none.
    """
    if isinstance(name, Gateway):
        return name
    if not isinstance(name, str):
        raise ConfigurationError(
            f"gateway takes 'openrouter', 'infron', 'openai-compatible' or a Gateway(...), not {type(name).__name__}."
        )
    if name in GATEWAYS:
        return GATEWAYS[name]
    near = get_close_matches(name[:60].strip().lower(), GATEWAYS, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise ConfigurationError(
        f"Gateway {name[:60]!r} is unknown.{hint} Use {', '.join(map(repr, GATEWAYS))} or a Gateway(name=..., base_url=...)."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInfo:
    """What is known of one model, from the gateway's listing and, where that is known to be wrong, our own profile."""

    id: str
    """What to pass as the model."""
    name: str
    description: str = field(default="", repr=False)
    context_length: int | None = None
    """Most tokens of one input: the lower of the listing's number and the profile's."""
    dimensions: int | None = None
    """Native width, from the profile: no listing tells it."""
    input_modalities: tuple[str, ...] = ("text",)
    prompt_price: float | None = None
    """USD per million tokens."""
    max_inputs: int | None = None
    """Most inputs of one request, from the profile."""
    created: datetime | None = None
    expires: date | None = None
    """When the gateway will stop serving it, if it says so."""
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, hash=False)
    """The whole entry, as listed."""
