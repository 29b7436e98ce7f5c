"""What `OpenRouterEmbeddings` takes: the core's options, with their defaults and meanings, in LangChain's words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

from pydantic import Field, SecretStr

from openrouter_embeddings import ClientOptions, ConfigurationError, Options
from openrouter_embeddings.options import meaning_of
from openrouter_embeddings.words import Words, with_numbers

_ALIASES = {"openrouter_api_key": "api_key", "openrouter_api_base": "base_url"}
DEFAULTS = {option.name: option.default for option in fields(Options)}
WORDS = Words(
    options=[*DEFAULTS, *_ALIASES],
    names={" list_models()": " .client.list_models()"},
    resume='embeddings.client.embed(texts, input_type="document", resume=error.partial) embeds only the rest, and so does'
    " this call again where the embeddings have a cache=.",
)


class OpenRouterOptions(ClientOptions, total=False):
    """The options of the core's `Client`, and LangChain's names for two of them."""

    openrouter_api_key: str | SecretStr | Callable[[], str] | None
    openrouter_api_base: str | None


def option(name: str, **rules: Any) -> Any:
    """A field with the core's own default and meaning."""
    return Field(default=DEFAULTS[name], description=meaning_of(name), **rules)


def by_name(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options under their own names, as a settings class or a user gives them."""
    for alias, name in _ALIASES.items():
        if alias in options and name in options:
            raise ConfigurationError(f"{alias} and {name} are the same option. Give one of them.")
    return with_numbers({_ALIASES.get(name, name): value for name, value in options.items()})
