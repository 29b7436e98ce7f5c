"""What both embedders share: one core client, one saved form, one shape of `meta`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from inspect import signature
from types import MappingProxyType
from typing import Any, Self

from haystack import default_from_dict, default_to_dict
from haystack.tracing.tracer import tracer
from haystack.utils import Secret
from pydantic import TypeAdapter

from openrouter_embeddings import (
    AsyncClient,
    Client,
    ConfigurationError,
    EmbeddingError,
    EmbeddingResult,
    Gateway,
    InputType,
    Usage,
    UsageTracker,
)
from openrouter_embeddings.words import Words, with_plain_values

from ._kwargs import check_kwargs, check_saved, made
from ._options import API_KEY, DEFAULTS

_GATEWAY = TypeAdapter(Gateway)
_LEFT_OUT = {**DEFAULTS, "skip_embedded": False}
"""Saved only where they were stated: the core's options, and what the first saved pipelines do not have."""


class Embedder:
    """The part of an embedder that knows neither text nor documents. Each option is an attribute."""

    api_key: Secret
    api_base_url: str | None
    model: str
    prefix: str
    suffix: str
    input_type: InputType
    on_empty: str
    extra_headers: Mapping[str, Any] | None
    http_client_kwargs: Mapping[str, Any] | None
    _client: Client
    _stated: frozenset[str]
    """The options that were given, as opposed to left at their defaults."""

    def _keep(self, options: Mapping[str, Any], words: Words, **for_client: Any) -> None:
        """Hold the options under their own names, as plain values, check them all, and make the client of them.

        Args:
            options: As given. None leaves one at its default.
            words: What the options are called.
            for_client: What the client gets in place of what was given.
        """
        parameters = signature(type(self).__init__).parameters
        words.check_options(name for name in options if name not in parameters)
        given = {name: _plain(value) for name, value in with_plain_values(options).items() if value is not None}
        words.check_values(given)
        if "model" not in given:
            raise ConfigurationError("No model. Pass model=..., e.g. 'qwen/qwen3-embedding-8b'.")
        defaults = {name: parameter.default for name, parameter in parameters.items() if name != "self"}
        for name, value in given.items():
            if (
                name not in DEFAULTS
                and isinstance(defaults[name], (str, bool))
                and type(value) is not type(defaults[name])
            ):
                kind = "a string" if isinstance(defaults[name], str) else "True or False"
                raise ConfigurationError(f"{name} takes {kind}, not {type(value).__name__}.")
        vars(self).update(defaults | given)
        self._stated = frozenset(given)
        if not isinstance(self.api_key, Secret):
            message = "api_key must be a Secret. Write Secret.from_env_var('NAME') or Secret.from_token(...)."
            raise ConfigurationError(message)
        if self.input_type not in ("query", "document"):
            message = (
                f"Unknown input_type {self.input_type!r}. Use 'query' or 'document'; to change what goes over the wire "
                f"set query_input_type or document_input_type."
            )
            raise ConfigurationError(message)
        check_kwargs(self.http_client_kwargs)
        self._connect(words, {name: value for name, value in given.items() if name in DEFAULTS} | for_client)

    def _connect(self, words: Words, for_core: dict[str, Any]) -> None:
        """Make the client, which opens no connection and asks for no key before the first request: pipelines load without."""
        # Left at its default, the key is the core's business: it knows which variable belongs to which gateway,
        # so that OpenRouter's key never travels to another one.
        key = None if self.api_key == API_KEY else partial(_value_of, self.api_key, "API key")
        if isinstance(for_core.get("extra_headers"), dict):
            for_core["extra_headers"] = {
                name: partial(_value_of, value, _header(name)) if isinstance(value, Secret) else value
                for name, value in for_core["extra_headers"].items()
            }
        with words.for_errors():
            options = {**for_core, "api_key": key, "base_url": self.api_base_url}
            if kwargs := self.http_client_kwargs:
                options["http_client"] = partial(made, kwargs, is_async=False)
                options["async_http_client"] = partial(made, kwargs, is_async=True)
            self._client = Client(**options)

    def warm_up(self) -> None:
        """Raises if a key is needed and there is none, or the variable of a header is not set, before a pipeline has begun.

        The client connects by itself at first use, from whichever thread that is.
        """
        self._client.options.key()
        for name, value in (self.extra_headers or {}).items():
            if isinstance(value, Secret):
                _value_of(value, _header(name))

    async def warm_up_async(self) -> None:
        """Does what `warm_up` does."""
        self.warm_up()

    def close(self) -> None:
        """Close the connections. The embedder can be used again and connects anew."""
        self.client.close()

    async def close_async(self) -> None:
        """Close the connections of the running event loop. The embedder can be used again and connects anew."""
        await self.async_client.aclose()

    @property
    def client(self) -> Client:
        """The core client. Where `raise_on_failure=False` it gives zeros for an empty text, which the embedder names."""
        return self._client

    @property
    def async_client(self) -> AsyncClient:
        """The core client, for asyncio."""
        return self._client.as_async()

    @property
    def usage(self) -> Usage:
        """Tokens, dollars and requests that this embedder has spent so far."""
        return self._client.usage

    def to_dict(self) -> dict[str, Any]:
        """Serializes the component to a dictionary.

        What was left to the core's defaults stays out of it, so that a later release's hold for what is loaded.

        :returns:
            Dictionary with serialized data.
        :raises ValueError:
            If the API key or a header is a token or a function, the cache an object, or an object is in
            `http_client_kwargs`: only `Secret.from_env_var`, a path and plain values can be saved.
        """
        saved: dict[str, Any] = {}
        for name in signature(type(self).__init__).parameters:
            value = _plain(getattr(self, name, None))
            left_out = name not in self._stated and value == _LEFT_OUT.get(name, ...)
            if value is not None and not left_out:
                saved[name] = value
        if not isinstance(saved.get("cache", ""), str):
            message = f"A {type(saved['cache']).__name__} cannot be saved. Give the cache as the path of its file."
            raise ConfigurationError(message)
        check_saved(saved.get("http_client_kwargs"))
        if isinstance(saved.get("gateway"), Gateway):
            saved["gateway"] = _GATEWAY.dump_python(saved["gateway"], mode="json", exclude_defaults=True)
        if "extra_headers" in saved:
            saved["extra_headers"] = {
                name: _saved_header(name, value) for name, value in saved["extra_headers"].items()
            }
        return default_to_dict(self, **saved)

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
        if isinstance(saved.get("gateway"), Mapping):
            saved["gateway"] = _GATEWAY.validate_python(dict(saved["gateway"]))
        if saved.get("extra_headers"):
            saved["extra_headers"] = {
                name: Secret.from_dict(value) if isinstance(value, dict) else value
                for name, value in saved["extra_headers"].items()
            }
        return default_from_dict(cls, {**data, "init_parameters": saved})

    @contextmanager
    def _traced(self) -> Iterator[Callable[[EmbeddingResult], EmbeddingResult]]:
        """Trace a call below the span of the component: what it asks for, has spent, and who served it; no text, no key.

        Yield what is handed the result, and returns it.
        """
        tags, parent = {"model": self.model, "input_type": self.input_type}, tracer.current_span()
        with (
            tracer.trace("openrouter_embeddings.embed", tags=tags, parent_span=parent) as span,
            UsageTracker().counting() as usage,
        ):

            def served(result: EmbeddingResult) -> EmbeddingResult:
                span.set_tag("providers", list(result.providers))
                return result

            try:
                yield served
            except EmbeddingError as error:
                span.set_tag("error", type(error).__name__)
                span.set_tag("providers", [error.provider] if error.provider else [])
                raise
            finally:
                span.set_tags(usage.total.to_dict())

    def _around(self, text: str) -> str:
        """Return a text between prefix and suffix. An empty one stays empty, so that `on_empty` decides about it."""
        return f"{self.prefix}{text}{self.suffix}" if text else ""


def meta_of(
    model: str, usage: Usage, dimensions: int | None, *, providers: Sequence[str] = (), shortened: Sequence[int] = ()
) -> dict[str, Any]:
    """Return what a run reports: the names Haystack's tracers read, and the sums over all requests."""
    meta = {"model": model, "usage": usage.to_dict(), "dimensions": dimensions, "providers": list(providers)}
    return {**meta, "shortened": list(shortened)} if shortened else meta


def meta_of_result(result: EmbeddingResult) -> dict[str, Any]:
    """Return what a run reports that embedded everything."""
    width = result.embeddings.shape[1]
    return meta_of(result.model, result.usage, width, providers=result.providers, shortened=result.shortened)


def _value_of(secret: Secret, what: str) -> str:
    """Return a secret as it is now. At module level, so that it pickles."""
    try:
        value = secret.resolve_value()
    except ValueError:  # a strict one: it does not say what it is for
        value = None
    if value is None:
        raise ConfigurationError(f"No {what}. Set {' or '.join(secret.to_dict()['env_vars'])}.")
    return str(value)


def _header(name: str) -> str:
    return f"value of header {name!r}"


def _saved_header(name: str, value: Any) -> str | dict[str, Any]:
    """Return a header as a saved pipeline can hold it."""
    if isinstance(value, Secret):
        return value.to_dict()
    if not isinstance(value, str):
        message = f"The value of header {name!r} cannot be saved. Give it as Secret.from_env_var('NAME')."
        raise ConfigurationError(message)
    return value


def _plain(value: Any) -> Any:
    """Copy containers and paths into what YAML can hold, so that no caller's object is shared."""
    if isinstance(value, Mapping):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    return os.fspath(value) if isinstance(value, os.PathLike) else value
