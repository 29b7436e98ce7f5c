"""The words that users bring from other clients and frameworks, what they are called here, and the hints made of both."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, get_args

from .errors import RESUME_HINT, ConfigurationError, EmbeddingError, InputError
from .option_types import EncodingFormat, OnTooLong
from .options import Options

if TYPE_CHECKING:
    from pydantic import ValidationError

_ELSEWHERE: Mapping[str, str] = {
    "model": "model_name model_id engine embedding_model embed_model",
    "api_key": "openai_api_key openrouter_api_key openrouter_key cohere_api_key voyage_api_key jina_api_key"
    " mistral_api_key nvidia_api_key google_api_key huggingfacehub_api_token api_token token key",
    "base_url": "openai_api_base openrouter_api_base openai_base_url nvidia_base_url api_base api_base_url api_url server_url url host"
    " endpoint endpoint_url azure_endpoint",
    "dimensions": "output_dimension output_dimensionality embedding_dim embedding_dimensions truncate_dim",
    "provider": "provider_preferences provider_options openrouter_provider",
    "encoding_format": "embedding_type embedding_types output_dtype",
    "normalize": "normalize_embeddings",
    "batch_size": "chunk_size embed_batch_size max_batch_size embedding_batch_size",
    "max_concurrency": "max_workers num_workers max_concurrent_requests concurrency_limit concurrency",
    "timeout": "request_timeout default_timeout httpx_timeout",
    "max_retries": "retries num_retries",
    "cache": "cache_path cache_dir cache_folder embeddings_cache",
    "max_cost": "budget max_budget",
    "on_too_long": "truncate truncation truncate_input_tokens truncate_prompt_tokens trucate",  # the last one is NVIDIA's
    "query_prefix": "query_instruction query_instruct",
    "document_prefix": "text_instruction embed_instruction document_instruction text_prefix passage_prefix",
    "app_url": "site_url http_referer",
    "app_title": "site_name x_title app_name",
    "extra_headers": "default_headers headers additional_headers",
    "extra_body": "additional_kwargs model_kwargs extra_parameters",
    "http_client": "httpx_client",
    "async_http_client": "http_async_client async_httpx_client httpx_async_client",
    "meta_fields_to_embed": "metadata_fields_to_embed",
    "progress_bar": "show_progress_bar show_progress",
}
"""Our name, and what others call the same."""

_INPUT_TYPE = {"input_type", "task_type", "embed_type", "task"}
_OF_EMBED = _INPUT_TYPE | {"resume", "on_progress", "show_progress_bar", "show_progress", "progress_bar"}
_CHOICES = {"on_too_long": OnTooLong, "encoding_format": EncodingFormat}

_NOT_NEEDED: Mapping[str, str] = {
    "check_embedding_ctx_length embedding_ctx_length allowed_special disallowed_special tiktoken_enabled"
    " tiktoken_model_name tiktoken_encoding_name": "texts are sent as text, not as tokens, and on_too_long= says what"
    " becomes of one that is too long",
    "skip_empty strip_new_lines": "texts are sent byte for byte, and on_empty= says what becomes of an empty one",
    "show_progress_bar show_progress progress_bar": "the client's embed(texts, input_type=..., on_progress=...) tells how"
    " far it is",
    "deployment azure_deployment api_version openai_api_version openai_api_type custom_llm_provider": "the gateway finds"
    " who serves the model, and provider= narrows that",
    "organization openai_organization project openai_project": "the key says whose account it is",
    "retry_min_seconds retry_max_seconds wait_time": "waits follow what the gateway asks for, and retry_timeout= bounds"
    " them",
    "rate_limiter requests_per_minute tokens_per_minute rpm tpm": "the pace is learnt from what the gateway refuses,"
    " limiter= takes a limiter that other clients share, and before_request= a function that waits, as a limiter's acquire does",
    "openai_proxy proxy proxies": "the proxy of HTTPS_PROXY is used, and http_client= takes a client with another",
    "http_client_kwargs httpx_client_kwargs": "timeout=, extra_headers= and the proxy of HTTPS_PROXY cover most of it,"
    " and http_client= takes an httpx.Client, or a function that makes one",
    "client async_client use_async_client": "the client is made of the options, in both colours: .client and .async_client",
    "verify_ssl verify ssl_verify": "certificates are checked, SSL_CERT_FILE names a CA of yours, and http_client= takes a"
    " client with other rules",
    "default_query": "no address here takes a query, and extra_body= takes further fields",
    "user_agent": "extra_headers={'user-agent': ...} replaces it",
    "reuse_client": "one client serves every thread and every event loop",
    "mode": "the method that is called says whether a text is a query or a document",
    "usage_telemetry_enabled": "nothing is reported to anybody",
    "device trust_remote_code tokenizer_kwargs": "the model runs at the provider's",
}
"""What others need, and why there is nothing to set here."""

_CALLED_HERE = {word: ours for ours, words in _ELSEWHERE.items() for word in words.split()}
_REASONS = {word: reason for words, reason in _NOT_NEEDED.items() for word in words.split()}


@dataclass(frozen=True, kw_only=True)
class Words:
    """What the users of one framework write and can do, where the core's own differ.

    Attributes:
        options: Every option that the constructor takes.
        names: What the framework calls something of the core's: an option, a method.
        reasons: Options that are not taken, and why not: in front of what is said to everybody.
        values: Values of options that are not taken, and why not.
        calls: Keywords of calls elsewhere, and what those of the calls here are called.
        resume: What to do about the rest where some embeddings have landed.
    """

    options: Collection[str]
    names: Mapping[str, str] = field(default_factory=dict)
    reasons: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[tuple[str, str], str] = field(default_factory=dict)
    calls: Mapping[str, str] = field(default_factory=dict)
    resume: str = RESUME_HINT

    def check_options(self, given: Iterable[str]) -> None:
        """Raise `ConfigurationError` for an option that does not exist, and say what to write instead."""
        for name in given:
            if name not in self.options:
                raise ConfigurationError(self._hint(name))

    def check_values(self, given: Mapping[str, Any]) -> None:
        """Raise `ConfigurationError` for a value that the framework has no place for, and say why."""
        for (name, value), reason in self.values.items():
            if isinstance(given.get(name), str) and given[name] == value:
                raise ConfigurationError(f"{name}={value!r} is not taken: {reason}.")

    def check_call(self, given: Iterable[str]) -> None:
        """Raise `ConfigurationError` for a keyword that a call does not take, and say where it belongs."""
        for name in given:
            ours = self._ours(name)
            if name in self.calls:
                raise ConfigurationError(f"{name}= is called {self.calls[name]}= in the methods that take many texts.")
            if name in _OF_EMBED:
                raise ConfigurationError(
                    f"{name}= is for .client.embed(texts, input_type=..., resume=..., on_progress=...) and"
                    " .async_client.embed, not for this method."
                )
            if ours is not None:
                raise ConfigurationError(f"{name}= is no keyword of a call. Pass {ours}= when the object is made.")
            raise ConfigurationError(f"{name}= is no keyword of a call.{self._near(name)}")

    def said(self, text: str) -> str:
        """Return a text of the core's with the framework's names in it."""
        for name, theirs in self.names.items():
            text = text.replace(name, theirs)
        return text

    def reworded(
        self, error: EmbeddingError, *, things: str = "Ids", ids: Sequence[str] = (), method: str | None = None
    ) -> EmbeddingError:
        """Return an error in these words, naming the framework's own objects that it is about.

        Args:
            error: Of the core.
            things: What the objects are, at the start of the sentence that names them.
            ids: Theirs, one for each input of the call; an empty one is none.
            method: What was called: an `InputError` names it.
        """
        message = self.said(error.message.replace(RESUME_HINT, self.resume))
        if method and isinstance(error, InputError):
            named = message.replace("embed takes", f"{method} takes")
            message = named if named != message else f"{method}: {message}"
        about = list(dict.fromkeys(ids[place] for place in error.positions if place < len(ids) and ids[place]))
        return error.reworded(f"{message} {things}: {_listed(about)}." if about else message)

    @contextmanager
    def for_errors(self, *, things: str = "Ids", ids: Sequence[str] = (), method: str | None = None) -> Iterator[None]:
        """Have an error that leaves this block say it in these words. See `reworded`."""
        try:
            yield
        except EmbeddingError as error:
            reworded = self.reworded(error, things=things, ids=ids, method=method)
            raise reworded.with_traceback(error.__traceback__) from error.__cause__

    def _hint(self, name: str) -> str:
        ours, reason = self._ours(name), self.reasons.get(name)
        if reason is not None:
            return f"Option {name!r} is not taken: {reason}."
        if name in _INPUT_TYPE and "input_type" not in self.options:
            return (
                f"Option {name!r} is two options here, query_input_type and document_input_type. Left out, both are as the"
                " model wants them, and the method chooses."
            )
        if ours is not None:
            choices = ", ".join(map(repr, get_args(_CHOICES.get(ours))))
            return f"Option {name!r} is called {ours} here{f', and takes {choices}' if choices else ''}."
        if name in _REASONS:
            return f"Option {name!r} is not needed: {_REASONS[name]}. Leave it out."
        return f"Option {name!r} is unknown.{self._near(name)} A request field newer than this release goes under extra_body."

    def _ours(self, name: str) -> str | None:
        """Return the option that means the same, where there is one under another name."""
        ours = "input_type" if name in _INPUT_TYPE else _CALLED_HERE.get(name, name)
        ours = self.names.get(ours, ours)
        return ours if ours in self.options else None

    def _near(self, name: str) -> str:
        near = difflib.get_close_matches(name, self.options, n=1)
        return f" Did you mean {near[0]!r}?" if near else ""


NO_NULL = (
    "here an embedding is a list of floats, and stores take no None. The error that is raised has what landed in .partial,"
    " and openrouter_embeddings.Client gives rows without an embedding"
)
"""Why `on_error` and `on_empty="null"` are not taken where a framework's methods return a list of floats for each text."""

_TRUTH = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
_READ: Mapping[str, Callable[[str], Any]] = {"int": int, "float": float, "bool": lambda text: _TRUTH[text.lower()]}
"""What makes a value of each type of option out of its text, as pydantic does."""
_CORE = Words(options=[option.name for option in fields(Options)])
check_known = _CORE.check_options


def with_plain_values(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options with the numbers and truths that settings files write as text, and those of numpy, as Python's own."""
    kinds = {option.name: str(option.type).removesuffix(" | None") for option in fields(Options)}
    return {name: _plain(kinds.get(name), value) for name, value in options.items()}


def _plain(kind: str | None, value: Any) -> Any:
    read = _READ.get(kind or "")
    is_text = isinstance(value, str)
    if read is None or not (is_text or hasattr(value, "dtype")):
        return value
    try:
        return read(value) if is_text else value.item()
    except (ValueError, KeyError):
        return value  # the option's own check says what it takes


def _listed(ids: Sequence[str], *, most: int = 8) -> str:
    """Return some ids, each cut to the length of a hash."""
    shown = [repr(f"{name[:64]}..." if len(name) > 64 else name) for name in map(str, ids[:most])]
    if len(ids) > most:
        return f"{', '.join(shown)} and {len(ids) - most:,} more"
    return " and ".join(filter(None, [", ".join(shown[:-1]), shown[-1]]))


def without_values(refused: ValidationError, given: Any) -> ValidationError:
    """Return pydantic's error about an object of ours with one line for each option refused, and no value: it may be a key.

    Args:
        refused: What pydantic raises; where the object is a field of another, its input is every option at once.
        given: What the object was to be made of.
    """
    from pydantic_core import InitErrorDetails, PydanticCustomError, ValidationError

    found: list[tuple[tuple[int | str, ...], str]] = []
    for option in fields(Options):
        value = given.get(option.name) if isinstance(given, Mapping) else None
        try:
            if value is not None:
                option.metadata["check"](option.name, value)
        except ConfigurationError as error:
            found.append(((option.name,), error.message))
    if not found:
        lines = refused.errors(include_url=False, include_input=False)
        found = [(line["loc"], str(line.get("ctx", {}).get("error", line["msg"]))) for line in lines]
    hidden = [
        InitErrorDetails(
            type=PydanticCustomError("value_error", "{reason}", {"reason": reason}), loc=place, input="**********"
        )
        for place, reason in found
    ]
    return ValidationError.from_exception_data(refused.title, hidden)
