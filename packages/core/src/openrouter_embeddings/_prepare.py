"""From options and inputs to a job: which side, which marking, which fields, which inputs are left to send."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol, cast

import numpy as np
from pydantic_core import to_json

from ._company import Company
from ._effects import Flight
from ._job import Ask, Job
from ._learned import Learned
from ._plan import estimated_tokens, unique
from ._wire import merged
from .cache import Keyer
from .errors import ConfigurationError, InputError
from .inputs import Content, Input, InputType, Progress, TextPart, check_inputs, wire_inputs
from .options import Options
from .profiles import UNKNOWN, Marking, Profile, profile_for, wire_model_id
from .results import Partial


class Flights(Protocol):
    """What all calls of a client have in flight."""

    def begin(self, kind: tuple[str, str], /) -> Flight:
        """Return one call's share."""
        ...


QUERY_PATIENCE = 30.0
QUERY_RETRIES = 2
"""A query has a person waiting for it: three attempts and half a minute at most."""
_TOKENS_OF_A_PART = 1000


def marking(options: Options, profile: Profile, side: InputType) -> Marking:
    """Return how a side is marked: what the user set wins over the profile, which wins over the gateway's values.

    A prefix from the profile is left out where the user sends an `input_type` of their own: both would double it.
    """
    chosen = profile.query if side == "query" else profile.document
    if profile is UNKNOWN and options.service.input_types is not None and not _filters_by_parameter(options):
        chosen = Marking(input_type=options.service.input_types[0 if side == "query" else 1])
    input_type = options.query_input_type if side == "query" else options.document_input_type
    prefix = options.query_prefix if side == "query" else options.document_prefix
    if input_type is None and prefix is None:
        return chosen
    if prefix is None:
        prefix = "" if input_type else chosen.prefix
    if input_type is None:
        input_type = "" if prefix else chosen.input_type
    return Marking(input_type=input_type or None, prefix=prefix)


def _filters_by_parameter(options: Options) -> bool:
    """Say whether naming a parameter would rule out providers that do not list it."""
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


def check_side(side: object) -> None:
    """Raise `ConfigurationError` for a side that does not exist."""
    if side not in {"query", "document"}:
        raise ConfigurationError(
            f"Unknown input_type {side!r}. Use 'query' or 'document'; to change what goes over the wire set"
            f" document_input_type={side!r}."
        )


def prepare(
    options: Options,
    learned: Learned,
    inputs: Iterable[Input],
    side: InputType,
    *,
    resume: Partial | None = None,
    on_progress: Progress | None = None,
    address: Callable[[], str] | None = None,
    flights: Flights | None = None,
) -> Job:
    """Return the job: what to embed, how it is marked and asked for, and what is already known of it.

    Raises:
        InputError: An input cannot be embedded.
        ConfigurationError: `side` is unknown, `resume` is of another call, or the gateway takes no such content.
    """
    check_side(side)
    profile = profile_for(options.model)
    marks = marking(options, profile, side)
    given = check_inputs(inputs, on_empty=options.on_empty)
    multimodal = any(isinstance(one, Content) for one in given)
    if multimodal:
        _check_multimodal(options, profile, given)
        names: list[Any] = [one if isinstance(one, str) else to_json(one.to_wire()) for one in given]
        firsts, places = unique(names)
        distinct = [given[at] for at in firsts]
        sizes = [_size(one) for one in distinct]
        items = _wired(distinct, marks.prefix)
    else:
        texts = cast("list[str]", given)
        firsts, places = unique(texts)
        items = texts if len(firsts) == len(texts) else [texts[at] for at in firsts]
        extra = estimated_tokens(marks.prefix) - 1
        sizes = [estimated_tokens(text) + extra for text in items]
    ask = _ask(options, profile, marks, side, on_progress=on_progress, multimodal=multimodal)
    job = Job(ask, learned, items, sizes, places)
    if flights is not None:
        shares = options.coalesce_queries and side == "query" and len(items) == 1 and not multimodal
        flight = flights.begin((side, ask.encoding))
        job.company = Company(flight, [names[at] for at in firsts] if multimodal else items, shares=shares)
    if options.cache is not None:
        job.key_of = _namer(options, marks, ask.prefix, address=(address or options.address)())
        job.keys = [job.key_of(one) for one in items]
    if resume is not None:
        _resume(job, resume)
    return job


def _ask(
    options: Options,
    profile: Profile,
    marks: Marking,
    side: InputType,
    *,
    on_progress: Progress | None,
    multimodal: bool,
) -> Ask:
    query = side == "query"
    return Ask(
        model=options.model,
        gateway=options.service.name,
        fields=body_fields(options, marks.input_type),
        prefix="" if multimodal else marks.prefix,
        encoding="float" if multimodal and options.encoding_format == "auto" else options.encoding_format,
        dimensions=options.dimensions,
        native_dimensions=profile.native_dimensions,
        cost_at_top=options.service.cost_location == "top",
        hints=options.service.error_hints,
        patience=min(options.retry_timeout, QUERY_PATIENCE) if query else options.retry_timeout,
        max_retries=min(options.max_retries, QUERY_RETRIES) if query else options.max_retries,
        max_replays=options.max_replays,
        timeout=options.timeout,
        normalize=_normalizes(options, profile),
        cuttable=_selectable(profile, options.dimensions),
        cuts=options.dimensions_fallback,
        on_too_long=options.on_too_long,
        max_tokens=profile.max_tokens,
        max_cost=options.max_cost,
        on_progress=on_progress,
    )


def _normalizes(options: Options, profile: Profile) -> bool:
    """Say whether embeddings are scaled to unit length here: as the user says, else where the profile asks for it."""
    if options.normalize is not None:
        return options.normalize
    cut = options.dimensions is not None and profile.selectable is not None
    cut = cut and options.dimensions != profile.native_dimensions
    return profile.renormalize or (cut and profile.normalized is not False)


def _selectable(profile: Profile, dimensions: int | None) -> bool:
    """Say whether the family was trained so that its first `dimensions` numbers are an embedding by themselves."""
    allowed = profile.selectable
    if dimensions is None or allowed is None:
        return False
    return dimensions in allowed if isinstance(allowed, frozenset) else allowed[0] <= dimensions <= allowed[1]


_CHANGES_WEIGHTS = ("order", "only", "ignore", "allow_fallbacks", "quantizations")
"""Preferences by which another copy of the weights may answer. The others say who may not, at what price, how fast."""


def _namer(options: Options, marks: Marking, prefix: str, *, address: str) -> Callable[[Any], bytes]:
    """Return what names an input in the cache: a hash of everything that changes its numbers, nothing else."""
    provider: Mapping[str, Any] = options.provider or {}
    routing = {name: provider[name] for name in _CHANGES_WEIGHTS if name in provider}
    facts = [
        address,
        wire_model_id(options.model),
        options.dimensions,
        marks.input_type,
        json.dumps(routing, sort_keys=True) if routing else None,
        json.dumps(options.extra_body, sort_keys=True, default=str) if options.extra_body else None,
    ]
    keyer = Keyer(facts, secret=getattr(options.cache, "secret", None))
    return lambda one: keyer.key((prefix + one).encode() if isinstance(one, str) else to_json(one))


def _wired(distinct: list[Input], prefix: str) -> list[Any]:
    """Return the inputs as they go over the wire, texts marked; an empty text, which is never sent, stays as it is."""
    sent = iter(wire_inputs([prefix + one if isinstance(one, str) else one for one in distinct if one != ""]))
    return ["" if one == "" else next(sent) for one in distinct]


def _check_multimodal(options: Options, profile: Profile, given: list[Input]) -> None:
    if not options.service.multimodal:
        raise ConfigurationError(f"{options.service.name} takes texts only, no Content.")
    kinds = {kind for one in given if isinstance(one, Content) for kind in one.modalities}
    if profile is not UNKNOWN and kinds - set(profile.modalities):
        missing = ", ".join(sorted(kinds - set(profile.modalities)))
        wrong = [
            i for i, one in enumerate(given) if isinstance(one, Content) and one.modalities - set(profile.modalities)
        ]
        raise InputError(
            f"Model {options.model!r} takes no {missing}. See list_models() for one that does.", positions=wrong
        )


def _size(one: Input) -> int:
    if isinstance(one, str):
        return estimated_tokens(one)
    return sum(estimated_tokens(part.text) if isinstance(part, TextPart) else _TOKENS_OF_A_PART for part in one.parts)


def _resume(job: Job, partial: Partial) -> None:
    """Take over what an earlier, failed call has paid for."""
    if not isinstance(partial, Partial):
        raise ConfigurationError(f"resume takes error.partial, not {type(partial).__name__}.")
    count = len(partial.positions_done) + len(partial.positions_failed)
    if count != len(job.places):
        raise ConfigurationError(f"resume is of a call with {count} inputs; this one has {len(job.places)}.")
    if not partial.positions_done:
        return
    first = {job.places[at]: at for at in reversed(partial.positions_done)}
    members = sorted(first)
    job.place(members, partial.embeddings[np.asarray([first[one] for one in members])])
