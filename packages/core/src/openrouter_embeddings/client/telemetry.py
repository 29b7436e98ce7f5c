"""What OpenTelemetry receives of a call, in the words of its GenAI conventions and of OpenInference's: names and numbers.

No text and no key is among it.

This module loads no part of OpenTelemetry. An application that wants spans has loaded its API, to set a provider.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from openrouter_embeddings._flows import EmbedCall
from openrouter_embeddings.inputs import InputType
from openrouter_embeddings.usage import Usage

from .state import ClientState

if TYPE_CHECKING:
    from opentelemetry.metrics import Histogram, Meter
    from opentelemetry.trace import Span, Tracer

_APIS = ("opentelemetry.trace", "opentelemetry.metrics")
_UNOBSERVED = nullcontext()
# The bounds that the conventions name.
_TOKENS = [4**power for power in range(14)]
_SECONDS = [0.01 * 2**power for power in range(14)]


def observed(state: ClientState, input_type: InputType, calls: Sequence[EmbedCall]) -> AbstractContextManager[None]:
    """Tell of what runs inside: a span, how long it took, and the tokens.

    Args:
        state: Of the client.
        input_type: `"query"` or `"document"`.
        calls: The call, and those that were made in its place meanwhile. None: there is nothing to tell.
    """
    if not calls or sys.modules.keys().isdisjoint(_APIS):
        return _UNOBSERVED
    return _observed(state, input_type, calls)


@contextmanager
def _observed(state: ClientState, input_type: InputType, calls: Sequence[EmbedCall]) -> Iterator[None]:
    from opentelemetry.trace import SpanKind, StatusCode

    tracer, tokens, duration = _instruments()
    about, began = _about(state), time.perf_counter()
    span = tracer.start_span(f"embeddings {state.options.model}", kind=SpanKind.CLIENT, attributes=about)
    with _as_current(span):
        try:
            yield
        except BaseException as error:
            about["error.type"] = type(error).__name__
            span.set_status(StatusCode.ERROR)
            raise
        finally:
            about["gen_ai.response.model"] = calls[-1].outcome.model
            usage = sum([call.outcome.usage for call in calls], Usage())
            if span.is_recording():
                span.set_attributes({**about, **_details(state, input_type, calls, usage)})
            duration.record(time.perf_counter() - began, about)
            if usage.prompt_tokens:
                tokens.record(usage.prompt_tokens, {**about, "gen_ai.token.type": "input"})


def _as_current(span: Span) -> AbstractContextManager[object]:
    """Return what makes a span the current one and ends it. Without a provider there is none, and no context is touched.

    Before Python 3.12 a context that is set while the garbage collector closes a coroutine that has set it too may crash
    the interpreter (python/cpython#148891). Whoever has no use for spans shall not bear that.
    """
    from opentelemetry.trace import use_span

    if not span.get_span_context().is_valid:
        return nullcontext()
    # What a callback of the user's raises may hold a text.
    return use_span(span, end_on_exit=True, record_exception=False, set_status_on_exception=False)


def _about(state: ClientState) -> dict[str, Any]:
    """Return the attributes that distinguish spans and metrics."""
    address = urlsplit(state.address())
    return {
        "gen_ai.operation.name": "embeddings",
        "gen_ai.provider.name": state.options.service.name,
        "gen_ai.request.model": state.options.model,
        "server.address": address.hostname or "",
        "server.port": address.port or (443 if address.scheme == "https" else 80),
    }


def _details(state: ClientState, input_type: InputType, calls: Sequence[EmbedCall], usage: Usage) -> dict[str, Any]:
    """Return what only a span holds; the conventions have no names for most of it."""
    first = calls[0]
    details: dict[str, Any] = {
        "gen_ai.usage.input_tokens": usage.prompt_tokens,
        "openrouter_embeddings.input_type": input_type,
        "openrouter_embeddings.inputs": len(first.inputs.index_of_position),
        "openrouter_embeddings.providers": list(dict.fromkeys(name for one in calls for name in one.outcome.providers)),
        **{f"openrouter_embeddings.{name}": spent for name, spent in usage.to_dict().items() if "tokens" not in name},
        **_in_openinference(state.options.model, usage),
    }
    if (width := state.dimensions) is not None:
        details["gen_ai.embeddings.dimension.count"] = width
    if first.settings.encoding != "auto":
        details["gen_ai.request.encoding_formats"] = [first.settings.encoding]
    return details


def _in_openinference(model: str, usage: Usage) -> dict[str, Any]:
    """Return what its viewers show and add up. The spans that it makes of the frameworks' own embedders have no numbers.

    Source: openinference-semantic-conventions 0.1.42.
    """
    return {
        "openinference.span.kind": "EMBEDDING",
        "embedding.model_name": model,
        "llm.token_count.prompt": usage.prompt_tokens,
        "llm.token_count.total": usage.total_tokens,
        "llm.cost.total": usage.cost,
    }


@cache
def _instruments() -> tuple[Tracer, Histogram, Histogram]:
    """Return what follows the providers of the application, set before or after."""
    from opentelemetry import metrics, trace

    meter = metrics.get_meter(_NAME)
    tokens = _histogram(meter, "gen_ai.client.token.usage", "{token}", "Input tokens used", _TOKENS)
    duration = _histogram(meter, "gen_ai.client.operation.duration", "s", "Duration of calls", _SECONDS)
    return trace.get_tracer(_NAME), tokens, duration


def _histogram(meter: Meter, name: str, unit: str, description: str, bounds: Sequence[float]) -> Histogram:
    try:
        return meter.create_histogram(name, unit, description, explicit_bucket_boundaries_advisory=bounds)
    except TypeError:  # an API before 1.30 takes no bounds
        return meter.create_histogram(name, unit, description)


_NAME = __name__.partition(".")[0]
