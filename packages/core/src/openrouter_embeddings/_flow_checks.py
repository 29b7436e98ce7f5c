"""The story of a check, told once for threads and asyncio: small live requests, kept out of every cache. Pure.

`consistency` asks each provider of a model for the same texts and compares what they answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ._effects import Flow, gather
from ._flow import work
from ._flow_endpoints import Endpoint, list_endpoints, narrowed
from ._job import Job
from ._learned import Learned, first_lessons
from ._plan import batches
from ._prepare import QUERY_PATIENCE, QUERY_RETRIES, prepare
from ._wire import merged
from .checks import ConsistencyCheck, Cosines, ProviderCheck
from .errors import (
    AuthenticationError,
    BudgetExceededError,
    ConfigurationError,
    EmbeddingError,
    InputError,
    InsufficientCreditsError,
)
from .gateways import Gateway
from .inputs import Input, check_inputs
from .options import Options
from .profiles import profile_for
from .results import EmbeddingResult, Matrix
from .usage import Usage

PROBES = (
    "The quick brown fox jumps over the lazy dog.",
    "Wie hoch ist die Miete für eine Wohnung in Leipzig?",
    "La tour Eiffel mesure 330 mètres de haut.",
    "東京の天気は明日も晴れでしょう。",
    "كتاب جديد عن تاريخ العلوم",
    "def area(r: float) -> float:\n    return 3.14159 * r ** 2",
    "SKU 4711-B, 12.5 kg, 1,299.00 EUR, 2026-03-14",
    "Mitochondria produce ATP by oxidative phosphorylation.",
)
"""Short and varied: languages, scripts, code, numbers. Changed by no release without need, so that runs compare."""

ENDS_A_CHECK = (AuthenticationError, InsufficientCreditsError, BudgetExceededError)
"""What is wrong with the account, not with a model or a provider."""
_PIN = ("order", "only", "allow_fallbacks")


class Inquiry:
    """One check under way: the client's options as a check uses them, and what was spent so far."""

    def __init__(self, options: Options, gateway: Gateway) -> None:
        self.given = options
        self.gateway = gateway
        self.profile = profile_for(options.model)
        self.options = replace(
            options,
            cache=None,  # a check that asks the cache would learn about the past
            normalize=False,
            on_too_long="error",
            retry_timeout=min(options.retry_timeout, QUERY_PATIENCE),
            max_retries=min(options.max_retries, QUERY_RETRIES),
        )
        self._jobs: list[Job] = []

    def lessons(self, options: Options) -> Learned:
        """Return what a provider that was never asked before is known for."""
        return first_lessons(options, self.profile)

    def job(self, options: Options, inputs: Sequence[Input], learned: Learned) -> Job:
        """Return a job of the document side, and count what it will spend."""
        job = prepare(options, learned, inputs, "document")
        self._jobs.append(job)
        return job

    def usage(self) -> Usage:
        """Return what the check has spent so far."""
        return sum((job.usage() for job in self._jobs), Usage())


def answered(job: Job) -> Flow[EmbeddingResult]:
    """See a job through in this flow alone.

    `embed` would run workers side by side, and there the first failure stops whatever else is under way: here other
    providers, and later questions.
    """
    todo, learned = job.missing(), job.learned
    sizes = [job.sizes[one] for one in todo]
    job.queue.extend(batches(sizes, todo, inputs=learned.max_inputs, tokens=learned.max_tokens))
    yield from work(job)
    if job.failures:
        raise next(iter(job.failures.values()))
    if job.missing():
        raise EmbeddingError("The check was stopped.", model=job.ask.model)
    return job.result()


def consistency(inquiry: Inquiry, texts: Iterable[Input] | None) -> Flow[ConsistencyCheck]:
    """Ask every provider of the model for the same texts, and compare what they answer."""
    inputs = check_inputs(PROBES if texts is None else texts, on_empty="error")
    if not inputs:
        raise InputError("check_consistency takes at least one text, or None for its own.")
    listed = yield from list_endpoints(inquiry.gateway, inquiry.given.model, timeout=inquiry.options.timeout)
    endpoints = narrowed(listed, _preferences(inquiry.options))
    if not endpoints:
        raise ConfigurationError(
            f"The provider preferences leave no provider of model {inquiry.given.model!r} to check. "
            "Change only, ignore or quantizations."
        )
    outcomes = yield from gather([_provider(inquiry, one, inputs) for one in endpoints])
    failures = [one for one in outcomes if isinstance(one, BaseException)]
    if failures:
        raise failures[0]
    asked = [one for one in outcomes if isinstance(one, _Asked)]
    lowest, mean = agreement([one.rows for one in asked])
    return ConsistencyCheck(
        model=inquiry.given.model,
        gateway=inquiry.gateway.name,
        texts=len(inputs),
        providers=tuple(one.row for one in asked),
        lowest=lowest,
        mean=mean,
        usage=inquiry.usage(),
    )


@dataclass(frozen=True, slots=True)
class _Asked:
    row: ProviderCheck
    rows: Matrix | None


def _provider(inquiry: Inquiry, endpoint: Endpoint, inputs: Sequence[Input]) -> Flow[_Asked]:
    """Ask one provider. What is its own fault is a row of the table; what is the account's ends the check."""
    options = pinned(inquiry.options, endpoint.tag)
    row = ProviderCheck(tag=endpoint.tag, name=endpoint.name, quantization=endpoint.quantization)
    try:
        result = yield from answered(inquiry.job(options, inputs, inquiry.lessons(options)))
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


def pinned(options: Options, tag: str) -> Options:
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


def cosines(first: Matrix, second: Matrix) -> Cosines:
    """Return the cosine of each row with its counterpart, in double precision."""
    a, b = first.astype(np.float64), second.astype(np.float64)
    # One root of the product, not two: so equal rows give exactly 1.
    lengths: Cosines = np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1))
    found: Cosines = (a * b).sum(axis=1) / lengths
    return np.clip(found, -1.0, 1.0)
