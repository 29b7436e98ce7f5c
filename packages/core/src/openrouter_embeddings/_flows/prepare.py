"""From options and inputs to a call: inputs checked and made unique, settings, cache keys, and what is known already."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from pydantic_core import to_json

from openrouter_embeddings.cache import Keyer
from openrouter_embeddings.content import Content
from openrouter_embeddings.errors import ConfigurationError, InputError, Partial
from openrouter_embeddings.inputs import Input, InputType, Progress, check_inputs, refuse
from openrouter_embeddings.option_types import OnError
from openrouter_embeddings.options import Options
from openrouter_embeddings.profiles import UNKNOWN, Marking, Profile, wire_model_id
from openrouter_embeddings.usage import Usage

from .call import EmbedCall
from .distinct import distinct_content, distinct_texts
from .inflight import InFlightRegistry
from .learned import LearnedLimits
from .settings import CallSettings, check_input_type, marking

_CHANGES_WEIGHTS = ("order", "only", "ignore", "allow_fallbacks", "quantizations", "options")
"""Preferences by which other weights, or the same with other options, may answer. The rest say who may not, at what
price, how fast."""


def prepare_call(
    options: Options,
    learned: LearnedLimits,
    inputs: Iterable[Input | None],
    input_type: InputType,
    *,
    resume: Partial | None = None,
    on_error: OnError | None = None,
    on_progress: Progress | None = None,
    urgent: bool | None = None,
    address: str | None = None,
    registry: InFlightRegistry | None = None,
    count: Callable[[Usage], None] | None = None,
) -> EmbedCall:
    """Return the call: what to embed, how it is marked and asked for, and what is already known of it.

    Args:
        options: The client's.
        learned: What it knows of its model.
        inputs: What to embed.
        input_type: `"query"` or `"document"`.
        resume: What an earlier, failed call has paid for.
        on_error: Whether an input that cannot be embedded raises, or costs its own row; None: as the options say.
        on_progress: Told how many of how many inputs are done.
        urgent: Whether the call goes before bulk work; None: if it is a single query.
        address: The base URL that is used; None: as the options say.
        registry: What the client's other calls have in flight; None: the call is alone.
        count: Told each bit of usage at once.

    Raises:
        InputError: An input cannot be embedded.
        ConfigurationError: `input_type` is unknown, `resume` is of another call, or the gateway takes no such content.
    """
    check_input_type(input_type)
    profile, address = options.facts, address or options.address()
    marks = marking(options, profile, input_type)
    on_error = on_error or options.on_error
    given, refused, multimodal = _checked(options, profile, inputs, on_error)
    distinct = distinct_content(given, marks) if multimodal else distinct_texts(given, marks, refused)
    if urgent is None:
        urgent = input_type == "query" and len(given) == 1
    settings = CallSettings.of(
        options,
        profile,
        marks,
        urgent=urgent,
        multimodal=multimodal,
        address=address,
        on_error=on_error,
        on_progress=on_progress,
    )
    call = EmbedCall(
        settings,
        learned,
        distinct,
        count=count,
        share=registry.join((input_type, settings.encoding), distinct.names) if registry is not None else None,
        key_of=_cache_keyer(options, marks, settings.prefix, address=address) if options.cache is not None else None,
    )
    for position, error in refused.items():
        call.fail([distinct.index_of_position[position]], error)
    if resume is not None:
        _resume(call, resume)
    return call


def _checked(
    options: Options, profile: Profile, inputs: Iterable[Input | None], on_error: OnError
) -> tuple[list[Any], dict[int, InputError], bool]:
    """Return the inputs, what cannot be embedded of them unless that is raised, and whether there is content to send."""
    refused: dict[int, InputError] = {}
    noted = None if on_error == "raise" else refused
    given = check_inputs(inputs, on_empty=options.on_empty, refused=noted)
    multimodal = any(isinstance(item, Content) for item in given)
    if multimodal:
        _check_multimodal(options, profile, given, noted)
        multimodal = any(isinstance(item, Content) for item in given)
    return given, refused, multimodal


def _check_multimodal(
    options: Options, profile: Profile, given: list[Any], refused: dict[int, InputError] | None
) -> None:
    if not options.service.multimodal:
        raise ConfigurationError(f"{options.service.name} takes texts only, no Content.")
    taken = set(profile.modalities)
    wrong = {
        position: item.modalities - taken
        for position, item in enumerate(given)
        if isinstance(item, Content) and item.modalities - taken
    }

    def error_of(found: dict[int, set[str]]) -> InputError:
        missing = ", ".join(sorted(set().union(*found.values())))
        return InputError(
            f"Model {options.model!r} takes no {missing}. See list_models() for one that does.", positions=found
        )

    if profile is not UNKNOWN:
        refuse(given, wrong, error_of, refused)


def _cache_keyer(options: Options, marks: Marking, prefix: str, *, address: str) -> Callable[[Any], bytes]:
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
    return lambda item: (
        keyer.key((prefix + item).encode()) if isinstance(item, str) else keyer.key_of_content(to_json(item))
    )


def _resume(call: EmbedCall, partial: Partial) -> None:
    """Take over what an earlier, failed call has paid for."""
    if not isinstance(partial, Partial):
        raise ConfigurationError(f"resume takes error.partial, not {type(partial).__name__}.")
    index_of_position = call.inputs.index_of_position
    count = len(partial.embeddings)
    if count != len(index_of_position):
        raise ConfigurationError(f"resume is of a call with {count} inputs; this one has {len(index_of_position)}.")
    if partial.fingerprint not in {b"", call.fingerprint()}:
        raise ConfigurationError(
            "resume is of a call with other inputs, or another model, input_type, prefix or width. Pass the same ones."
        )
    empty = set(call.empty_inputs)
    position_of = {index_of_position[position]: position for position in reversed(partial.positions_done)}
    members = sorted(position_of.keys() - empty)
    if not members:
        return
    width = call.settings.dimensions
    if width is not None and partial.embeddings.shape[1] != width:
        found = partial.embeddings.shape[1]
        raise ConfigurationError(f"resume holds embeddings of {found} dimensions; this call asks for {width}.")
    call.take_resumed(members, partial.embeddings[np.asarray([position_of[index] for index in members])])
    again = set(partial.shortened)
    call.outcome.shortened += [index for index in members if position_of[index] in again]
