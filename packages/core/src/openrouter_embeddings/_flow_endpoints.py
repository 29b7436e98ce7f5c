"""The story of a model's providers: listed by the gateway, narrowed by the user's own preferences. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from pydantic_core import from_json

from ._effects import Flow
from ._flow_models import page
from .errors import ConfigurationError, ModelNotFoundError, ResponseError
from .gateways import Gateway
from .profiles import wire_model_id


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One provider of a model, as listed."""

    tag: str
    name: str
    quantization: str | None


def list_endpoints(gateway: Gateway, model: str, *, timeout: float) -> Flow[list[Endpoint]]:
    """Return the model's endpoints as the gateway lists them, each tag once.

    Raises:
        ConfigurationError: The gateway does not list them.
        ModelNotFoundError: It lists none.
    """
    if gateway.listing != "openrouter":
        raise ConfigurationError(
            f"{gateway.name} does not list the providers of a model, so they cannot be compared. "
            "check_consistency needs OpenRouter, or a gateway with its listing."
        )
    url = f"{gateway.base_url}/models/{quote(wire_model_id(model), safe='/:@')}/endpoints"
    what = f"the providers of model {model!r} at {gateway.name}"
    body = yield from page(gateway, url, what=what, keyed=True, timeout=timeout)
    endpoints = read_endpoints(body)
    if endpoints is None:
        raise ResponseError(
            f"The answer was no list of providers of model {model!r} at {gateway.name}. Check base_url.", model=model
        )
    if not endpoints:
        raise ModelNotFoundError(f"{gateway.name} lists no provider of model {model!r}.", model=model)
    return endpoints


def read_endpoints(body: bytes) -> list[Endpoint] | None:
    """Return the endpoints of a listing, or None if it is none. What has no tag cannot be pinned and is left out."""
    try:
        data = from_json(body).get("data")
        listed = data["endpoints"]
        rows = [row for row in listed if isinstance(row, dict)]
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    found: dict[str, Endpoint] = {}
    for row in rows:
        tag, name, quantization = row.get("tag"), row.get("provider_name"), row.get("quantization")
        if isinstance(tag, str) and tag.strip():
            endpoint = Endpoint(
                tag,
                name if isinstance(name, str) and name else tag,
                quantization if isinstance(quantization, str) and quantization else None,
            )
            found.setdefault(tag, endpoint)
    return list(found.values())


def narrowed(endpoints: Sequence[Endpoint], preferences: Mapping[str, Any]) -> list[Endpoint]:
    """Return the endpoints that the user's own preferences allow."""
    only, ignored = preferences.get("only"), preferences.get("ignore") or ()
    quantizations = preferences.get("quantizations")
    return [
        one
        for one in endpoints
        if (not only or any(_names(slug, one.tag) for slug in only))
        and not any(_names(slug, one.tag) for slug in ignored)
        and (not quantizations or (one.quantization or "unknown") in quantizations)
    ]


def _names(slug: str, tag: str) -> bool:
    """Say whether a slug names an endpoint: a provider's names all of its own."""
    slug, tag = slug.lower(), tag.lower()
    return tag == slug or tag.startswith(f"{slug}/")
