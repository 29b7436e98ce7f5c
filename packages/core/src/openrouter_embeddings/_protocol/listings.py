"""Listings of models and of a model's providers, read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from math import isfinite
from typing import Any

from pydantic_core import from_json

from openrouter_embeddings.errors import ResponseError
from openrouter_embeddings.gateways import Gateway, ModelInfo
from openrouter_embeddings.profiles import profile_for

from .error_bodies import BOM, text_or_none


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One provider of a model, as listed."""

    tag: str
    name: str
    quantization: str | None


def read_endpoints(body: bytes) -> list[Endpoint] | None:
    """Return the endpoints of a listing, or None if it is none. What has no tag cannot be pinned and is left out."""
    try:
        data = from_json(body).get("data")
        listed = data["endpoints"]
        rows = [row for row in listed if isinstance(row, dict)]
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    by_tag: dict[str, Endpoint] = {}
    for row in rows:
        tag, name = row.get("tag"), text_or_none(row.get("provider_name"))
        if isinstance(tag, str) and tag.strip():
            by_tag.setdefault(tag, Endpoint(tag, name or tag, text_or_none(row.get("quantization"))))
    return list(by_tag.values())


def narrowed(endpoints: Sequence[Endpoint], preferences: Mapping[str, Any]) -> list[Endpoint]:
    """Return the endpoints that the user's own preferences allow."""
    only, ignored = preferences.get("only"), preferences.get("ignore") or ()
    quantizations = preferences.get("quantizations")
    return [
        endpoint
        for endpoint in endpoints
        if (not only or any(_slug_matches(slug, endpoint.tag) for slug in only))
        and not any(_slug_matches(slug, endpoint.tag) for slug in ignored)
        and (not quantizations or (endpoint.quantization or "unknown") in quantizations)
    ]


def _slug_matches(slug: str, tag: str) -> bool:
    """Say whether a slug names an endpoint: a provider's names all of its own."""
    slug, tag = slug.lower(), tag.lower()
    return tag == slug or tag.startswith(f"{slug}/")


def parse_models(gateway: Gateway, body: bytes) -> tuple[list[ModelInfo], str | None]:
    """Return the embedding models of one page of the listing, and the address of the next page or None.

    Fields that are not known are kept in `raw`; fields that are missing or odd read as not known.
    The next page is always asked for at the gateway's own address: of the link only the query is used.

    Raises:
        ResponseError: It is no listing.
    """
    where = f"The model listing of {gateway.name}"
    try:
        page = from_json(body.removeprefix(BOM))
    except ValueError:
        raise ResponseError(f"{where} was not complete JSON ({len(body)} bytes). Check base_url.") from None
    if not isinstance(page, dict) or page.get("error") or page.get("success") is False:
        held = "held an error" if isinstance(page, dict) else "was not a JSON object"
        raise ResponseError(f"{where} {held}. Check base_url, or try again later.")
    rows = page.get("data")
    if not isinstance(rows, list):
        raise ResponseError(f"{where} had no list of models under 'data'. Check base_url.")
    named = [row for row in rows if isinstance(row, dict) and isinstance(row.get("id"), str) and row["id"]]
    if rows and not named:
        raise ResponseError(f"{where} held {len(rows)} entries, none of them a model. Check base_url.")
    if gateway.listing == "infron":
        return [_of_infron(row) for row in named if row.get("category_type") == "Embeddings"], None
    if gateway.listing == "openai":
        return [_of_openai(row) for row in named], None
    return [_of_openrouter(row) for row in named], _next_page(gateway, page.get("links"))


def _next_page(gateway: Gateway, links: object) -> str | None:
    link = links.get("next") if isinstance(links, dict) else None
    if not isinstance(link, str):
        return None
    query = link.partition("#")[0].partition("?")[2]
    return f"{gateway.models_url}?{query}" if query else None


def _of_openrouter(row: dict[str, Any]) -> ModelInfo:
    pricing, architecture = row.get("pricing"), row.get("architecture")
    return _model(
        row,
        name=row.get("name"),
        lengths=[row.get("context_length")],
        modalities=architecture.get("input_modalities") if isinstance(architecture, dict) else None,
        price=_dollars(pricing.get("prompt") if isinstance(pricing, dict) else None, times=1_000_000),
    )


def _of_openai(row: dict[str, Any]) -> ModelInfo:
    return _model(row, name=row.get("id"), lengths=[row.get("max_model_len")], modalities=None, price=None)


def _of_infron(row: dict[str, Any]) -> ModelInfo:
    return _model(
        row,
        name=row.get("display_name"),
        lengths=[row.get("context_length"), row.get("max_input_tokens")],
        modalities=row.get("input_modalities"),
        price=_dollars(row.get("min_prompt_price"), times=1),
    )


def _model(
    row: dict[str, Any], *, name: object, lengths: list[object], modalities: object, price: float | None
) -> ModelInfo:
    profile = profile_for(row["id"])
    known = [length for length in map(_whole, [*lengths, profile.max_tokens]) if length]
    listed = tuple(name for name in modalities if isinstance(name, str)) if isinstance(modalities, list) else ()
    return ModelInfo(
        id=row["id"],
        name=text_or_none(name) or row["id"],
        description=text_or_none(row.get("description")) or "",
        context_length=min(known, default=None),
        dimensions=profile.native_dimensions,
        input_modalities=listed or profile.modalities,
        prompt_price=price,
        max_inputs=profile.max_inputs,
        created=_moment(row.get("created")),
        expires=_day(row.get("expiration_date")),
        raw=row,
    )


def _dollars(value: object, *, times: int) -> float | None:
    """Return a price, by way of decimals so that 0.00000002 per token is 0.02 per million. Below zero means unknown."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return None
    try:
        price = float(Decimal(str(value)) * times)
    except (InvalidOperation, OverflowError, ValueError):
        return None
    return price if isfinite(price) and price >= 0 else None


def _whole(value: object) -> int | None:
    return int(value) if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < 2**53 else None


def _moment(value: object) -> datetime | None:
    seconds = _whole(value)
    try:
        return datetime.fromtimestamp(seconds, UTC) if seconds else None
    except (ValueError, OverflowError, OSError):
        return None


def _day(value: object) -> date | None:
    try:
        return date.fromisoformat(value[:10]) if isinstance(value, str) else None
    except ValueError:
        return None
