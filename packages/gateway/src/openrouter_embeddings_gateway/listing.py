"""The model listings: OpenRouter's, and one that clients of OpenAI read too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from openrouter_embeddings.profiles import Profile

from .catalog import Catalog
from .errors import Refused, classic, invalid
from .model import Model
from .providers import LOCAL

_CREATED = 1_763_596_800
_MOST = 1000


def all_models(catalog: Catalog, model: Model) -> dict[str, Any]:
    """Return every model, as `GET /models` answers OpenAI's clients, with OpenRouter's fields besides."""
    entries = [_entry(name, profile, model) for name, profile in catalog.models.items()]
    data = [{"object": "model", "owned_by": entry["id"].partition("/")[0], **entry} for entry in entries]
    return {"object": "list", "data": data}


def listing_page(query: Mapping[str, str], catalog: Catalog, model: Model, path: str) -> dict[str, Any]:
    """Return the page that `offset` and `limit` ask for; all models where both are left out."""
    everything = [_entry(name, profile, model) for name, profile in catalog.models.items()]
    offset = _number(query, "offset", low=0)
    limit = _number(query, "limit", low=1, high=_MOST)
    if offset is None and limit is None:
        page, following = everything, None
    else:
        start, size = offset or 0, limit or 500
        page = everything[start : start + size]
        following = f"{path}?offset={start + size}&limit={size}" if start + size < len(everything) else None
    return {"data": page, "links": {"next": following}, "total_count": len(everything)}


def endpoints_of(name: str, catalog: Catalog, model: Model) -> dict[str, Any]:
    """Return a model with its endpoints: this gateway, under the name of each provider it plays."""
    profile = catalog.find(name)
    if profile is None:
        raise Refused(404, classic(404, "Model not found"))
    entry = _entry(name, profile, model)
    kept = ("id", "name", "created", "description", "architecture")
    endpoints = [_endpoint(provider, entry, profile) for provider in LOCAL]
    return {**{key: entry[key] for key in kept}, "endpoints": endpoints}


def _endpoint(provider: str, entry: Mapping[str, Any], profile: Profile) -> dict[str, Any]:
    return {
        "name": f"{provider} | {entry['id']}",
        "model_id": entry["id"],
        "model_name": entry["name"],
        "provider_name": provider,
        "tag": provider,
        "context_length": profile.max_tokens or 0,
        "max_prompt_tokens": profile.max_tokens,
        "max_completion_tokens": None,
        "pricing": entry["pricing"],
        "quantization": "fp32",
        "status": 0,
        "supports_implicit_caching": False,
        "uptime_last_1d": 100.0,
        "uptime_last_30m": 100.0,
        "uptime_last_5m": 100.0,
        "latency_last_30m": None,
        "throughput_last_30m": None,
        "supported_parameters": [],
    }


def _entry(name: str, profile: Profile, model: Model) -> dict[str, Any]:
    price = (profile.price_per_million or 0.0) / 1e6
    inputs = list(profile.modalities)
    return {
        "id": name,
        "canonical_slug": name.partition(":")[0],
        "name": name.partition("/")[2],
        "created": _CREATED,
        "description": f"Stands for {name} at {profile.native_dimensions} dimensions. Served by {model.description}.",
        "context_length": profile.max_tokens,
        "architecture": {
            "modality": f"{'+'.join(inputs)}->embeddings",
            "input_modalities": inputs,
            "output_modalities": ["embeddings"],
            "tokenizer": "Other",
            "instruct_type": None,
        },
        "pricing": {"prompt": f"{price:.12f}".rstrip("0").rstrip(".") or "0", "completion": "0"},
        "top_provider": {
            "context_length": profile.max_tokens,
            "max_completion_tokens": None,
            "is_moderated": False,
        },
        "per_request_limits": None,
        "supported_parameters": [],
        "supported_voices": None,
        "default_parameters": None,
        "links": {"details": f"/api/v1/models/{name}/endpoints"},
    }


def _number(query: Mapping[str, str], name: str, *, low: int, high: int | None = None) -> int | None:
    given = query.get(name)
    if given is None:
        return None
    try:
        number = int(given)
    except ValueError:
        raise invalid(f"{name}: expected a whole number") from None
    if number < low or (high is not None and number > high):
        raise invalid(f"{name}: out of range")
    return number
