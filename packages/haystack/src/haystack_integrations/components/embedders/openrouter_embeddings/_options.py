"""What the embedders take: the core's options, with their defaults and meanings, and Haystack's own words."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from inspect import Parameter, Signature
from typing import Annotated, Any, Literal, NamedTuple, Never, TypeVar, get_args, get_type_hints

from haystack.utils import Secret

from openrouter_embeddings import ClientOptions, Options
from openrouter_embeddings.option_types import ErrorOrZero, HeaderValue
from openrouter_embeddings.options import ERROR_OR_ZERO, meaning_of
from openrouter_embeddings.words import Words

API_KEY = Secret.from_env_var("OPENROUTER_API_KEY", strict=False)
"""The default: the core reads the variable itself, and names it if it is not set."""

DEFAULTS = {option.name: option.default for option in fields(Options)}
Constructor = TypeVar("Constructor", bound=Callable[..., None])


class Own(NamedTuple):
    """What is said of an option that the core does not have, or has otherwise."""

    default: Any
    meaning: str


class TextEmbedderOptions(ClientOptions, total=False):
    """The options of the core's `Client`, and Haystack's own words."""

    api_key: Annotated[  # type: ignore[misc]  # Haystack's own class for a key
        Secret, Own(API_KEY, "A `Secret`; by default the gateway's own variable, `OPENROUTER_API_KEY` for OpenRouter.")
    ]
    api_base_url: Annotated[str | None, Own(DEFAULTS["base_url"], meaning_of("base_url"))]
    base_url: Never  # type: ignore[misc]  # Haystack says api_base_url
    limiter: Never  # type: ignore[misc]  # alive, and cannot be saved
    before_request: Never  # type: ignore[misc]
    on_error: Never  # type: ignore[misc]  # Haystack says raise_on_failure
    on_empty: Annotated[ErrorOrZero, Own("error", ERROR_OR_ZERO)]  # type: ignore[misc]  # fewer than the core's
    http_client: Never  # type: ignore[misc]
    async_http_client: Never  # type: ignore[misc]
    extra_headers: Annotated[  # type: ignore[misc]  # a Secret too
        Mapping[str, HeaderValue | Secret] | None,
        Own(None, f"{meaning_of('extra_headers')} A `Secret` is saved by its variable's name, a string in the clear."),
    ]
    http_client_kwargs: Annotated[
        Mapping[str, Any] | None,
        Own(
            None,
            "Keyword arguments of `httpx.Client` and `httpx.AsyncClient`, such as `proxy`, `verify`, `limits`, `headers`:"
            " requests go through clients made of them, which the embedder closes. Saved as they are, so plain values only"
            " in what is saved.",
        ),
    ]
    prefix: Annotated[str, Own("", "Put before a text that is not empty, after what the model itself wants there.")]
    suffix: Annotated[str, Own("", "Put after a text that is not empty.")]
    input_type: Annotated[
        Literal["query", "document"], Own("query", 'What the text is: `"query"`, or `"document"` to compare documents.')
    ]


class DocumentEmbedderOptions(TextEmbedderOptions, total=False):
    """Likewise, and what says how a document becomes a text."""

    input_type: Annotated[
        Literal["query", "document"],
        Own("document", 'What the documents are: `"document"`, or `"query"` to compare queries.'),
    ]
    progress_bar: Annotated[bool, Own(True, "Whether to show a progress bar on a terminal or in a notebook.")]
    meta_fields_to_embed: Annotated[Sequence[str] | None, Own(None, "Metadata to embed before the document's text.")]
    embedding_separator: Annotated[str, Own("\n", "Put between the metadata and the text.")]
    raise_on_failure: Annotated[
        bool,
        Own(
            True,
            "If `True`, a document that cannot be embedded raises, and the error holds what had landed: `partial`, and"
            " `documents`, the copies with an embedding. If `False`, there is an output `failed_documents` for them and"
            ' `meta["failed"]` says why; what is the fault of none (401, 402, 403, 404) still raises.',
        ),
    ]
    skip_embedded: Annotated[
        bool, Own(False, "Whether a document that has an embedding keeps it, and is neither sent nor paid for.")
    ]


class DocumentImageEmbedderOptions(DocumentEmbedderOptions, total=False):
    """Likewise, and what says where a document's picture is."""

    prefix: Never  # type: ignore[misc]  # of texts
    suffix: Never  # type: ignore[misc]
    meta_fields_to_embed: Never  # type: ignore[misc]
    embedding_separator: Never  # type: ignore[misc]
    file_path_meta_field: Annotated[str, Own("file_path", "The metadata that names a document's file.")]
    root_path: Annotated[
        str | os.PathLike[str] | None,
        Own(
            None,
            "The folder that files are named from, and must be in. Without it any file of the machine may be named: set it"
            " where the metadata may come from others.",
        ),
    ]
    image_size: Annotated[
        Sequence[int] | None,
        Own(
            None, "Width and height in pixels to shrink pictures to, whose shape stays. `None` sends files as they are."
        ),
    ]


def _taken(options: type) -> dict[str, Any]:
    """Return the options of a TypedDict, with their types."""
    return {name: hint for name, hint in get_type_hints(options).items() if hint is not Never}


_NOT_TAKEN = {
    "http_client async_http_client http_async_client httpx_client": "a component is saved, and a live client cannot be."
    " http_client_kwargs= takes what one is made of",
    "openai_proxy proxy proxies": "the proxy of HTTPS_PROXY is used, and http_client_kwargs={'proxy': ...} names another",
    "verify_ssl verify ssl_verify": "certificates are checked, SSL_CERT_FILE names a CA of yours, and"
    " http_client_kwargs={'verify': ...} sets other rules",
    "on_error": "raise_on_failure=False of the document embedders says so here, and names the documents",
    "limiter before_request rate_limiter requests_per_minute tokens_per_minute": "a component is saved, and a limiter cannot be."
    " The pace is learnt from what the gateway refuses, and max_concurrency= bounds it",
}
WORDS = Words(
    options=["model", *_taken(DocumentEmbedderOptions)],
    names={
        "base_url": "api_base_url",
        " list_models()": " .client.list_models()",
        "pass an http_client that trusts it": "name that file in http_client_kwargs={'verify': ...}",
        **dict.fromkeys(["httpx_client_kwargs", "async_http_client_kwargs", "http_kwargs"], "http_client_kwargs"),
    },
    reasons={word: reason for words, reason in _NOT_TAKEN.items() for word in words.split()},
    values={
        (
            "on_empty",
            "null",
        ): "what a run hands out has an embedding. raise_on_failure=False of the document embedders gives"
        " documents without a text as failed_documents"
    },
    resume="`documents` of this error, which is the `__cause__` of a pipeline's, holds those that have an embedding. With a"
    " cache= another run pays only for the rest.",
)
_OF_DOCUMENTS = DocumentEmbedderOptions.__annotations__.keys() - TextEmbedderOptions.__annotations__.keys()
TEXT_WORDS = replace(
    WORDS,
    options=[name for name in WORDS.options if name not in _OF_DOCUMENTS],
    reasons={**WORDS.reasons, **dict.fromkeys(_OF_DOCUMENTS, "it belongs to OpenRouterDocumentEmbedder")},
)
_OF_TEXTS = {"prefix", "suffix", "meta_fields_to_embed", "embedding_separator"}
IMAGE_WORDS = replace(
    WORDS,
    options=["model", *_taken(DocumentImageEmbedderOptions)],
    reasons={**WORDS.reasons, **dict.fromkeys(_OF_TEXTS, "a picture is embedded without a text")},
)


def takes(options: type) -> Callable[[Constructor], Constructor]:
    """Write the model and the options of a TypedDict into a constructor's signature and docstring, where Haystack's tools look."""

    def written(constructor: Constructor) -> Constructor:
        annotated = get_type_hints(options, include_extras=True)
        parameters = [
            Parameter("self", Parameter.POSITIONAL_OR_KEYWORD),
            Parameter("model", Parameter.POSITIONAL_OR_KEYWORD, annotation=str),
        ]
        lines = [f"        :param model: {meaning_of('model')}"]
        for name, type_ in _taken(options).items():
            stated = next((extra for extra in get_args(annotated[name]) if isinstance(extra, Own)), None)
            own = stated or Own(DEFAULTS[name], meaning_of(name))
            parameters.append(Parameter(name, Parameter.KEYWORD_ONLY, default=own.default, annotation=type_))
            lines.append(f"        :param {name}: {WORDS.said(own.meaning)}")
        lines.append("        :raises ConfigurationError: If an option is unknown or cannot be right.")
        constructor.__defaults__ = (None,)  # a model that is left out is an error of ours
        constructor.__signature__ = Signature(parameters, return_annotation=None)  # type: ignore[attr-defined]
        constructor.__doc__ = f"{(constructor.__doc__ or '').rstrip()}\n\n" + "\n".join(lines) + "\n        "
        return constructor

    return written
