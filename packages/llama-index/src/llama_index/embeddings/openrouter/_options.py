"""What `OpenRouterEmbedding` takes: the core's options, with their defaults and meanings, in LlamaIndex's words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from llama_index.core.bridge.pydantic import Field, TypeAdapter
from llama_index.core.callbacks import CallbackManager

from openrouter_embeddings import ClientOptions, ConfigurationError, Gateway, Options
from openrouter_embeddings.options import meaning_of
from openrouter_embeddings.words import Words

_ALIASES = {"model": "model_name", "api_base": "base_url"}
DEFAULTS = {option.name: option.default for option in fields(Options) if option.name != "model"}


class EmbeddingOptions(ClientOptions, total=False):
    """The options of the core's `Client`, and LlamaIndex's own words."""

    model: str
    api_base: str | None
    embed_batch_size: int
    num_workers: int | None
    callback_manager: CallbackManager | None


WORDS = Words(
    options=["model_name", *DEFAULTS, *EmbeddingOptions.__annotations__],
    names={" list_models()": " .client.list_models()"},
    reasons={
        "embeddings_cache": "it keys by the text alone, so that queries would get documents' embeddings, and one width or"
        " model another's. Use the client's own: cache='embeddings.sqlite'",
        "rate_limiter": "it would be asked once for all the requests of a call. The client learns the pace from what the"
        " gateway refuses, and max_concurrency= bounds it",
    },
    resume="get_text_embedding_batch(texts, resume=error.partial) embeds only the rest, and so does the same call or"
    " pipeline again where the embedder has a cache=.",
)


def by_name(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options under their own names, as a dump or a user gives them; None is none."""
    given = {name: value for name, value in options.items() if value is not None}
    for only_in_a_dump in ("class_name", "address"):
        given.pop(only_in_a_dump, None)
    for alias, name in _ALIASES.items():
        if (value := given.pop(alias, None)) is not None and given.setdefault(name, value) != value:
            raise ConfigurationError(f"{alias}= and {name}= differ. Give one of them.")
    if isinstance(given.get("gateway"), Mapping):
        given["gateway"] = TypeAdapter(Gateway).validate_python(given["gateway"])
    return given


def saved(name: str) -> Any:
    """A field with the core's own default and meaning, of what changes the numbers or is needed to ask for the same."""
    return Field(default=DEFAULTS[name], description=meaning_of(name))


def unsaved(name: str) -> Any:
    """A field that changes no number: in no dump, so that changing it spoils no pipeline's cache; in a pickle."""
    return Field(default=DEFAULTS[name], description=meaning_of(name), exclude=True, repr=False)


def own(default: Any, meaning: str, **rules: Any) -> Any:
    """A field of the base class, likewise in no dump."""
    return Field(default=default, description=meaning, exclude=True, repr=False, **rules)
