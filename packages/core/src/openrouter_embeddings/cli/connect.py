"""A client from what the command line says. The key comes from the environment only: arguments are seen by others."""

from __future__ import annotations

import json
from typing import Any

from openrouter_embeddings import Client, ConfigurationError


def client_for(model: str, *, needs_key: bool = True, provider: str | None = None, **options: Any) -> Client:
    """Return a client with those options that were given.

    Raises:
        ConfigurationError: An option cannot be right, or there is no key.
    """
    given = {name: value for name, value in options.items() if value is not None}
    if provider is not None:
        given["provider"] = _provider(provider)
    client = Client(model, **given)
    gateway = client.gateway
    if needs_key and gateway.key_required and not client.options.key(required=False):
        raise ConfigurationError(f"No API key. Set {' or '.join(gateway.key_env)} in the environment.")
    return client


def _provider(text: str) -> dict[str, Any]:
    try:
        preferences = json.loads(text)
    except ValueError:
        preferences = None
    if not isinstance(preferences, dict):
        raise ConfigurationError("""--provider takes a JSON object, such as '{"only": ["azure"]}'.""")
    return preferences
