"""Do a model's providers agree? Each is asked for the same texts, twice, and what they answer is compared."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, product

import numpy as np

from openrouter_embeddings._flows import Flow, gather, list_endpoints
from openrouter_embeddings._matrix import Matrix
from openrouter_embeddings._protocol import Endpoint, narrowed
from openrouter_embeddings.errors import ConfigurationError, EmbeddingError, InputError, ResponseError
from openrouter_embeddings.inputs import Input, check_inputs

from .reports import ConsistencyCheck, Cosines, ProviderCheck
from .session import ENDS_A_CHECK, PROBES, CheckSession, cosines, endpoints_named, pinned_to, preferences, run_alone


def check_consistency(session: CheckSession, texts: Iterable[Input] | None) -> Flow[ConsistencyCheck]:
    """Ask every provider of the model for the same texts, twice, and compare what they answer."""
    inputs = check_inputs(PROBES if texts is None else texts, on_empty="error")
    if not inputs:
        raise InputError("check_consistency takes at least one text, or None for its own.")
    listed = yield from list_endpoints(session.gateway, session.given.model, timeout=session.options.timeout)
    endpoints = narrowed(listed, preferences(session.options))
    if not endpoints:
        raise ConfigurationError(
            f"The provider preferences leave no provider of model {session.given.model!r} to check. "
            "Change only, ignore or quantizations."
        )
    outcomes = yield from gather([_provider(session, endpoint, listed, inputs) for endpoint in endpoints])
    asked = list[_Asked]()
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
        asked.append(outcome)
    lowest, mean = agreement([provider.answers for provider in asked])
    return ConsistencyCheck(
        model=session.given.model,
        gateway=session.gateway.name,
        texts=len(inputs),
        providers=tuple(provider.row for provider in asked),
        lowest=lowest,
        mean=mean,
        norm_ratio=norm_ratio([provider.answers for provider in asked]),
        usage=session.usage(),
    )


@dataclass(frozen=True, slots=True)
class _Asked:
    row: ProviderCheck
    answers: Sequence[Matrix] = ()
    """One, where the gateway had stored the other."""


def _provider(
    session: CheckSession, endpoint: Endpoint, listed: Sequence[Endpoint], inputs: Sequence[Input]
) -> Flow[_Asked]:
    """Ask one provider twice. What is its own fault is a row of the table; what is the account's ends the check."""
    options = pinned_to(session.options, endpoint.tag)
    row = ProviderCheck(tag=endpoint.tag, name=endpoint.name, quantization=endpoint.quantization)
    try:
        first = yield from run_alone(session.call(options, inputs))
        # In another order: the answer to an equal request may be a stored one.
        again = yield from run_alone(session.call(options, inputs[::-1]))
        if first.dimensions != again.dimensions:
            widths = f"{first.dimensions} dimensions, then {again.dimensions}"
            raise ResponseError(f"Equal requests were answered with {widths}.", model=session.given.model)
    except ENDS_A_CHECK:
        raise
    except EmbeddingError as error:
        return _Asked(replace(row, error=error))
    served_by = tuple(dict.fromkeys((*first.providers, *again.providers)))
    kept = _pin_was_kept(endpoint, listed, served_by)
    lengths = _lengths(first.embeddings)
    norms = (float(lengths.min()), float(lengths.max()))
    row = replace(row, dimensions=first.dimensions, norms=norms, served_by=served_by, pin_kept=kept)
    stored = first.usage.server_cached or again.usage.server_cached
    answers = [first.embeddings] if stored else [first.embeddings, again.embeddings[::-1]]
    return _Asked(row, () if kept is False else answers)


def _pin_was_kept(endpoint: Endpoint, listed: Sequence[Endpoint], names: Sequence[str]) -> bool | None:
    """Return whether this provider served, by its name; None where there is none, or others of the model have it, too."""
    meant = [endpoints_named(name, listed) for name in names]
    if any(endpoint not in endpoints for endpoints in meant):
        return False
    return True if meant and all(endpoints == [endpoint] for endpoints in meant) else None


def agreement(providers: Sequence[Sequence[Matrix]]) -> tuple[Cosines, Cosines]:
    """Return the lowest and the mean cosine between the answers of every two providers, and of each to itself.

    A text's cosine is the mean over the pairs of answers. NaN stands where there is no pair, or widths differ.
    """
    lowest = np.full((len(providers), len(providers)), np.nan)
    mean = lowest.copy()
    for row, first in enumerate(providers):
        for column, second in enumerate(providers[: row + 1]):
            pairs = combinations(first, 2) if row == column else product(first, second)
            found = [cosines(left, right) for left, right in pairs if left.shape == right.shape]
            if found:
                by_text = np.mean(found, axis=0)
                lowest[row, column] = lowest[column, row] = by_text.min()
                mean[row, column] = mean[column, row] = by_text.mean()
    return lowest, mean


def norm_ratio(providers: Sequence[Sequence[Matrix]]) -> float | None:
    """Return how many times as long one provider's embedding of a text is as another's, at most; None: no two."""
    lengths = [np.mean([_lengths(rows) for rows in answers], axis=0) for answers in providers if answers]
    return float((np.max(lengths, axis=0) / np.min(lengths, axis=0)).max()) if len(lengths) > 1 else None


def _lengths(rows: Matrix) -> Cosines:
    return np.asarray(np.linalg.norm(rows.astype(np.float64), axis=1))
