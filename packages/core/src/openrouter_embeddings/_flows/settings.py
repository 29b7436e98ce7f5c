"""What a call asks for, the same for each of its batches: from the options, the profile and the gateway's own ways."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from openrouter_embeddings._protocol import merged
from openrouter_embeddings.errors import ConfigurationError
from openrouter_embeddings.gateways import ErrorHint
from openrouter_embeddings.inputs import InputType
from openrouter_embeddings.options import Options
from openrouter_embeddings.profiles import UNKNOWN, Marking, Profile, wire_model_id

QUERY_SECONDS = 30.0
QUERY_RETRIES = 2
"""A single query has a person waiting for it: three attempts and half a minute at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallSettings:
    """What a call asks for.

    Attributes:
        model: As given.
        gateway: Its name, with its address where that is not the gateway's own, for messages.
        fields: The body but for `input` and `encoding_format`.
        prefix: Put before each text.
        encoding: `"auto"`, `"base64"` or `"float"`.
        dimensions: Asked for, or None.
        native_dimensions: The profile's, or None.
        cost_at_top: Whether the gateway puts the cost beside `usage`.
        hints: Errors that mean something else than their status says, at this gateway.
        urgent: Whether the call is a single query, which goes before bulk work.
        wait_budget: Seconds that a batch may spend waiting for an open breaker, or pausing.
        max_retries: Most further attempts after failures that are not waits.
        max_replays: Most further attempts after one that may have been billed.
        timeout: Seconds of one exchange.
        call_timeout: Seconds of the whole call, waiting included, or None.
        max_concurrency: Most requests of the call in flight.
        normalize: Whether to scale each embedding to unit length.
        cuttable: Whether the first `dimensions` numbers of a wider embedding are an embedding by themselves.
        cuts: Whether wider ones may be cut to these.
        on_empty: What becomes of an empty text: `"error"`, `"zero"` or `"null"`.
        on_error: What becomes of an input that cannot be embedded: `"raise"` or `"null"`.
        on_too_long: What becomes of a text that is too long: `"error"`, `"truncate"` or `"average"`.
        max_tokens: Most tokens of one input, where the profile knows, or None.
        max_cost: USD that the client may spend, or None.
        on_progress: Told how many of how many inputs are done, whenever a batch lands.
    """

    model: str
    gateway: str
    fields: Mapping[str, Any]
    prefix: str
    encoding: str
    dimensions: int | None
    native_dimensions: int | None
    cost_at_top: bool
    hints: Sequence[ErrorHint]
    urgent: bool
    wait_budget: float
    max_retries: int
    max_replays: int
    timeout: float
    call_timeout: float | None
    max_concurrency: int
    normalize: bool
    cuttable: bool = False
    cuts: bool = False
    on_empty: str = "error"
    on_error: str = "raise"
    on_too_long: str = "error"
    max_tokens: int | None = None
    max_cost: float | None = None
    on_progress: Callable[[int, int], None] | None = None

    @classmethod
    def of(
        cls,
        options: Options,
        profile: Profile,
        marks: Marking,
        *,
        urgent: bool,
        multimodal: bool = False,
        address: str | None = None,
        on_error: str | None = None,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> CallSettings:
        """Return the settings of one call."""
        service = options.service
        return cls(
            model=options.model,
            gateway=service.described(address),
            fields=body_fields(options, marks.input_type),
            prefix="" if multimodal else marks.prefix,
            encoding="float" if multimodal and options.encoding_format == "auto" else options.encoding_format,
            dimensions=options.dimensions,
            native_dimensions=profile.native_dimensions,
            cost_at_top=service.cost_location == "top",
            hints=service.error_hints,
            urgent=urgent,
            wait_budget=min(options.retry_timeout, QUERY_SECONDS) if urgent else options.retry_timeout,
            max_retries=min(options.max_retries, QUERY_RETRIES) if urgent else options.max_retries,
            max_replays=options.max_replays,
            timeout=options.timeout,
            call_timeout=QUERY_SECONDS if urgent and options.call_timeout is None else options.call_timeout,
            max_concurrency=options.max_concurrency,
            normalize=_normalizes(options, profile),
            cuttable=_is_selectable(profile, options.dimensions),
            cuts=options.dimensions_fallback,
            on_empty=options.on_empty,
            on_error=on_error or options.on_error,
            on_too_long=options.on_too_long,
            max_tokens=profile.max_tokens,
            max_cost=options.max_cost,
            on_progress=on_progress,
        )


def marking(options: Options, profile: Profile, input_type: InputType) -> Marking:
    """Return how an input type is marked: what the user set wins over the profile, which wins over the gateway's values.

    A prefix from the profile is left out where the user sends an `input_type` of their own: both would double it.
    """
    is_query = input_type == "query"
    chosen = profile.query if is_query else profile.document
    if profile is UNKNOWN and options.service.input_types is not None and not _filters_by_parameter(options):
        chosen = Marking(input_type=options.service.input_types[0 if is_query else 1])
    wire_value = options.query_input_type if is_query else options.document_input_type
    prefix = options.query_prefix if is_query else options.document_prefix
    if wire_value is None and prefix is None:
        return chosen
    if prefix is None:
        prefix = "" if wire_value else chosen.prefix
    if wire_value is None:
        wire_value = "" if prefix else chosen.input_type
    return Marking(input_type=wire_value or None, prefix=prefix)


def is_guessed(options: Options, profile: Profile, input_type: InputType) -> bool:
    """Return whether neither a profile nor the user says how an input type is marked."""
    is_query = input_type == "query"
    wire_value = options.query_input_type if is_query else options.document_input_type
    prefix = options.query_prefix if is_query else options.document_prefix
    return profile is UNKNOWN and wire_value is None and prefix is None


def _filters_by_parameter(options: Options) -> bool:
    """Return whether naming a parameter would rule out providers that do not list it."""
    provider: Mapping[str, Any] = options.provider or {}
    return provider.get("require_parameters") is True


def body_fields(options: Options, input_type: str | None) -> dict[str, Any]:
    """Return the fields of the body, in stable order, none of them null; `extra_body` is merged in last."""
    fields = {
        "model": wire_model_id(options.model),
        "dimensions": options.dimensions,
        "input_type": input_type,
        "provider": options.provider,
        "user": options.user,
        "trace": options.trace,
    }
    return merged({name: value for name, value in fields.items() if value is not None}, options.extra_body or {})


def check_input_type(input_type: object) -> None:
    """Raise `ConfigurationError` for an input type that does not exist."""
    if input_type not in {"query", "document"}:
        raise ConfigurationError(
            f"Unknown input_type {input_type!r}. Use 'query' or 'document'; to change what goes over the wire set"
            f" document_input_type={input_type!r}."
        )


def _normalizes(options: Options, profile: Profile) -> bool:
    """Return whether embeddings are scaled to unit length here: as the user says, else where the profile asks for it."""
    if options.normalize is not None:
        return options.normalize
    cut = options.dimensions is not None and profile.selectable is not None
    cut = cut and options.dimensions != profile.native_dimensions
    return profile.renormalize or (cut and profile.normalized is not False)


def _is_selectable(profile: Profile, dimensions: int | None) -> bool:
    """Return whether the family was trained so that its first `dimensions` numbers are an embedding by themselves."""
    allowed = profile.selectable
    if dimensions is None or allowed is None:
        return False
    return dimensions in allowed if isinstance(allowed, frozenset) else allowed[0] <= dimensions <= allowed[1]
