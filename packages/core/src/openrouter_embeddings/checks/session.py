"""One check under way: small live requests, kept out of every cache, and pinned to a provider where that is wanted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from openrouter_embeddings._flows import (
    QUERY_RETRIES,
    QUERY_SECONDS,
    EmbedCall,
    Flow,
    LearnedLimits,
    drain_queue,
    prepare_call,
)
from openrouter_embeddings._matrix import Matrix
from openrouter_embeddings._protocol import Endpoint, merged
from openrouter_embeddings.errors import (
    AuthenticationError,
    BudgetExceededError,
    EmbeddingError,
    InsufficientCreditsError,
)
from openrouter_embeddings.gateways import Gateway
from openrouter_embeddings.inputs import Input
from openrouter_embeddings.options import Options
from openrouter_embeddings.results import EmbeddingResult
from openrouter_embeddings.usage import Usage

from .reports import Cosines

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


class CheckSession:
    """The client's options as a check uses them, and what was spent so far.

    Args:
        options: The client's.
        gateway: At the address that is used.
        count: Told each bit of usage at once.
    """

    def __init__(self, options: Options, gateway: Gateway, *, count: Callable[[Usage], None] | None = None) -> None:
        self.given = options
        self.gateway = gateway
        self.profile = options.facts
        self.options = replace(
            options,
            cache=None,  # a check that asks the cache would learn about the past
            normalize=False,
            on_error="raise",
            on_too_long="error",
            retry_timeout=min(options.retry_timeout, QUERY_SECONDS),
            max_retries=min(options.max_retries, QUERY_RETRIES),
        )
        self._count = count
        self._calls: list[EmbedCall] = []

    def call(self, options: Options, inputs: Sequence[Input]) -> EmbedCall:
        """Return a call that embeds documents, knows nothing of the model, and counts what it will spend."""
        learned = LearnedLimits.initial(options, self.profile)
        call = prepare_call(
            options, learned, inputs, "document", address=self.gateway.base_url, urgent=False, count=self._count
        )
        self._calls.append(call)
        return call

    def usage(self) -> Usage:
        """Return what the check has spent so far."""
        return sum((call.outcome.usage for call in self._calls), Usage())


def run_alone(call: EmbedCall) -> Flow[EmbeddingResult]:
    """See a call through in this flow alone.

    `embed` would run workers side by side, and there the first failure stops whatever else is under way: here other
    providers, and later questions.
    """
    call.queue.begin(call.unresolved())
    yield from drain_queue(call)
    if call.failures:
        raise next(iter(call.failures.values()))
    if call.unresolved():
        raise EmbeddingError("The check was stopped.", model=call.settings.model)
    return call.result()


def cosines(first: Matrix, second: Matrix) -> Cosines:
    """Return the cosine of each row with its counterpart, in double precision."""
    a, b = first.astype(np.float64), second.astype(np.float64)
    # One root of the product, not two: so equal rows give exactly 1.
    lengths: Cosines = np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1))
    found: Cosines = (a * b).sum(axis=1) / lengths
    return np.clip(found, -1.0, 1.0)


def preferences(options: Options) -> Mapping[str, Any]:
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


def endpoints_named(name: str, endpoints: Sequence[Endpoint]) -> list[Endpoint]:
    """Return the endpoints that an answer may mean by a name: a tag means one of them, a provider all of its own."""
    return [
        endpoint
        for endpoint in endpoints
        if _plain(name) in {_plain(word) for word in (endpoint.tag, endpoint.tag.partition("/")[0], endpoint.name)}
    ]


def _plain(name: str) -> str:
    return name.strip().lower().replace(" ", "-")
