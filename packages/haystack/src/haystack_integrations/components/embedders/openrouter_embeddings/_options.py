"""What both embedders share: one core client, one saved form, one shape of `meta`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import partial
from inspect import signature
from types import MappingProxyType
from typing import Any, Self

from haystack import default_from_dict, default_to_dict
from haystack.utils import Secret

from openrouter_embeddings import Cache, Client, ClientOptions, ConfigurationError, EmbeddingResult, InputType, Usage

API_KEY = Secret.from_env_var("OPENROUTER_API_KEY", strict=False)
"""The default: the core reads the variable itself, and names it if it is not set."""

# The core's own list says what goes to it, so no default stands twice.
_CORE_OPTIONS = frozenset(ClientOptions.__annotations__) | {"model"}


class Embedder:
    """The part of an embedder that knows neither text nor documents."""

    api_key: Secret
    api_base_url: str | None
    model: str
    prefix: str
    suffix: str
    input_type: InputType
    cache: Cache | str | None
    _client: Client

    def _keep(self, given: Mapping[str, Any]) -> None:
        """Hold the constructor's arguments under their own names, as plain values, and check them all."""
        vars(self).update({name: _plain(value) for name, value in given.items() if name != "self"})
        if not isinstance(self.api_key, Secret):
            message = "api_key must be a Secret. Write Secret.from_env_var('NAME') or Secret.from_token(...)."
            raise ConfigurationError(message)
        if self.input_type not in ("query", "document"):
            message = (
                f"Unknown input_type {self.input_type!r}. Use 'query' or 'document'; to change what goes over the wire "
                f"set query_input_type or document_input_type."
            )
            raise ConfigurationError(message)
        options = {name: value for name, value in vars(self).items() if name in _CORE_OPTIONS and value is not None}
        # Left at its default, the key is the core's business: it knows which variable belongs to which gateway,
        # so that OpenRouter's key never travels to another one.
        options["api_key"] = None if self.api_key == API_KEY else partial(_token, self.api_key)
        # It opens no connection and asks for no key before the first request: pipelines load without either.
        self._client = Client(**options, base_url=self.api_base_url)

    def warm_up(self) -> None:
        """Do nothing: the client connects by itself at first use, from whichever thread that is."""

    async def warm_up_async(self) -> None:
        """Do nothing: the client connects by itself at first use, on whichever event loop that is."""

    def close(self) -> None:
        """Close the connections. The embedder can be used again and connects anew."""
        self._client.close()

    async def close_async(self) -> None:
        """Close the connections of the running event loop. The embedder can be used again and connects anew."""
        await self._client.as_async().aclose()

    @property
    def usage(self) -> Usage:
        """Tokens, dollars and requests that this embedder has spent so far."""
        return self._client.usage

    def to_dict(self) -> dict[str, Any]:
        """Serializes the component to a dictionary.

        What was left to the core's defaults (None) stays out of it.

        :returns:
            Dictionary with serialized data.
        :raises ValueError:
            If the API key is a token or the cache an object: only `Secret.from_env_var` and a path can be saved.
        """
        if self.cache is not None and not isinstance(self.cache, str):
            message = f"A {type(self.cache).__name__} cannot be saved. Give the cache as the path of its file."
            raise ConfigurationError(message)
        given = {name: _plain(vars(self)[name]) for name in signature(type(self).__init__).parameters if name != "self"}
        return default_to_dict(self, **{name: value for name, value in given.items() if value is not None})

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Deserializes the component from a dictionary.

        :param data:
            Dictionary to deserialize from. It is not changed.
        :returns:
            Deserialized component.
        """
        # default_from_dict takes any dict with a "type" key for an object to import; `provider` and `extra_body` are
        # the user's own data and may hold one. A mapping that is not a dict passes through untouched.
        saved = {
            name: MappingProxyType(value) if isinstance(value, dict) and name != "api_key" else value
            for name, value in data.get("init_parameters", {}).items()
        }
        return default_from_dict(cls, {**data, "init_parameters": saved})


def meta_of(model: str, usage: Usage, providers: Sequence[str] = (), shortened: Sequence[int] = ()) -> dict[str, Any]:
    """Return what a run reports: the names Haystack's tracers read, and the sums over all requests."""
    meta = {"model": model, "usage": usage.to_dict(), "providers": list(providers)}
    return {**meta, "shortened": list(shortened)} if shortened else meta


def meta_of_result(result: EmbeddingResult) -> dict[str, Any]:
    """Return what a run reports that embedded everything."""
    return meta_of(result.model, result.usage, result.providers, result.shortened)


def _token(key: Secret) -> str:
    """Return the key as it is now. At module level, so that it pickles."""
    value = key.resolve_value()
    if value is None:
        message = f"No API key. Set {' or '.join(key.to_dict()['env_vars'])}."
        raise ConfigurationError(message)
    return str(value)


def _plain(value: Any) -> Any:
    """Copy containers and paths into what YAML can hold, so that no caller's object is shared."""
    if isinstance(value, Mapping):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    return os.fspath(value) if isinstance(value, os.PathLike) else value
