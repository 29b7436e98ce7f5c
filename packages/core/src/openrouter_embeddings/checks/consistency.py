"""Do a model's providers agree? Each is asked for the same texts, and what they answer is compared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from openrouter_embeddings._flows import Flow, gather, list_endpoints
from openrouter_embeddings._protocol import Endpoint, merged, narrowed
from openrouter_embeddings.errors import ConfigurationError, EmbeddingError, InputError
from openrouter_embeddings.inputs import Input, check_inputs
from openrouter_embeddings.options import Options
from openrouter_embeddings.results import Matrix

from .reports import ConsistencyCheck, Cosines, ProviderCheck
from .session import ENDS_A_CHECK, PROBES, CheckSession, cosines, run_alone

_PIN = ("order", "only", "allow_fallbacks")


def check_consistency(session: CheckSession, texts: Iterable[Input] | None) -> Flow[ConsistencyCheck]:
    """Ask every provider of the model for the same texts, and compare what they answer."""
    inputs = check_inputs(PROBES if texts is None else texts, on_empty="error")
    if not inputs:
        raise InputError("check_consistency takes at least one text, or None for its own.")
    listed = yield from list_endpoints(session.gateway, session.given.model, timeout=session.options.timeout)
    endpoints = narrowed(listed, _preferences(session.options))
    if not endpoints:
        raise ConfigurationError(
            f"The provider preferences leave no provider of model {session.given.model!r} to check. "
            "Change only, ignore or quantizations."
        )
    outcomes = yield from gather([_provider(session, one, inputs) for one in endpoints])
    failures = [one for one in outcomes if isinstance(one, BaseException)]
    if failures:
        raise failures[0]
    asked = [one for one in outcomes if isinstance(one, _Asked)]
    lowest, mean = agreement([one.rows for one in asked])
    return ConsistencyCheck(
        model=session.given.model,
        gateway=session.gateway.name,
        texts=len(inputs),
        providers=tuple(one.row for one in asked),
        lowest=lowest,
        mean=mean,
        usage=session.usage(),
    )


@dataclass(frozen=True, slots=True)
class _Asked:
    row: ProviderCheck
    rows: Matrix | None


def _provider(session: CheckSession, endpoint: Endpoint, inputs: Sequence[Input]) -> Flow[_Asked]:
    """Ask one provider. What is its own fault is a row of the table; what is the account's ends the check."""
    options = pinned_to(session.options, endpoint.tag)
    row = ProviderCheck(tag=endpoint.tag, name=endpoint.name, quantization=endpoint.quantization)
    try:
        result = yield from run_alone(session.call(options, inputs, session.initial_limits(options)))
    except ENDS_A_CHECK:
        raise
    except EmbeddingError as error:
        return _Asked(replace(row, error=error), None)
    lengths = np.linalg.norm(result.embeddings.astype(np.float64), axis=1)
    norms = (float(lengths.min()), float(lengths.max()))
    row = replace(row, dimensions=result.dimensions, norms=norms, served_by=result.providers)
    return _Asked(row, result.embeddings)


def _preferences(options: Options) -> Mapping[str, Any]:
    """Return the provider preferences as they would be sent."""
    extra = (options.extra_body or {}).get("provider")
    return merged(options.provider or {}, extra if isinstance(extra, Mapping) else {})


def pinned_to(options: Options, tag: str) -> Options:
    """Return options by which this provider alone may answer; every other preference holds on."""
    pin = {"only": [tag], "allow_fallbacks": False}
    provider = {name: value for name, value in (options.provider or {}).items() if name not in _PIN}
    extra = dict(options.extra_body or {})
    theirs = extra.get("provider")
    if isinstance(theirs, Mapping):  # it is merged in last, and would undo the pin
        extra["provider"] = {name: value for name, value in theirs.items() if name not in _PIN}
    return replace(options, provider={**provider, **pin}, extra_body=extra or None)


def agreement(answers: Sequence[Matrix | None]) -> tuple[Cosines, Cosines]:
    """Return the lowest and the mean cosine between every two answers; NaN where they cannot be compared."""
    lowest = np.full((len(answers), len(answers)), np.nan)
    mean = lowest.copy()
    for a, first in enumerate(answers):
        for b, second in enumerate(answers[: a + 1]):
            if first is None or second is None or first.shape != second.shape:
                continue
            found = cosines(first, second)
            lowest[a, b] = lowest[b, a] = found.min()
            mean[a, b] = mean[b, a] = found.mean()
    return lowest, mean
