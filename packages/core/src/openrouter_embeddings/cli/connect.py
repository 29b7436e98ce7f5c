"""A client from what the command line says. The key comes from the environment only: arguments are seen by others."""

from __future__ import annotations

import json
from typing import Any

from openrouter_embeddings import Client, ConfigurationError
from openrouter_embeddings.gateways import gateway_named


def client_for(model: str, *, needs_key: bool = True, provider: str | None = None, **options: Any) -> Client:
    """Return a client with those options that were given.

    Raises:
        ConfigurationError: An option cannot be right, or there is no key.
    """
    given = {name: value for name, value in options.items() if value is not None}
    if provider is not None:
        given["provider"] = _provider(provider)
    client = Client(model, **given)
    if needs_key and not client.options.key(required=False):
        names = " or ".join(gateway_named(client.gateway).key_env)
        raise ConfigurationError(f"No API key. Set {names} in the environment.")
    return client


def _provider(text: str) -> dict[str, Any]:
    try:
        preferences = json.loads(text)
    except ValueError:
        preferences = None
    if not isinstance(preferences, dict):
        raise ConfigurationError("""--provider takes a JSON object, such as '{"only": ["azure"]}'.""")
    return preferences
