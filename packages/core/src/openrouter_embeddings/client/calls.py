"""The calls of a client, without colour, and how one is run: in this thread, or on the running loop.

This module stands on httpx, numpy and asyncio, and is imported at the first call: importing the package costs little.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from openrouter_embeddings._flows import CallShare, EmbedCall, Flow, embed, list_models
from openrouter_embeddings._runtime import CancelScope, adrive, drive
from openrouter_embeddings.checks import ConsistencyCheck, ModelCheck
from openrouter_embeddings.checks.consistency import check_consistency
from openrouter_embeddings.checks.model import check_model
from openrouter_embeddings.checks.session import CheckSession
from openrouter_embeddings.errors import Partial
from openrouter_embeddings.gateways import ModelInfo
from openrouter_embeddings.inputs import Input, InputType, Progress
from openrouter_embeddings.results import EmbeddingResult

from .state import ClientState
from .telemetry import observed

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One call, ready to be run.

    Attributes:
        flow: What happens.
        seconds: What it may take in all, or None.
        share: The call among the others of its client, or None.
        input_type: Of what is embedded.
        embeds: What is embedded, and what is embedded in its place.
    """

    flow: Flow[T]
    seconds: float | None = None
    share: CallShare | None = None
    input_type: InputType = "document"
    embeds: list[EmbedCall] = field(default_factory=list)


def run(state: ClientState, call: Call[T]) -> T:
    """Run a call to its end in this thread."""
    runtime = state.runtime()
    with observed(state, call.input_type, call.embeds):
        return drive(call.flow, runtime, CancelScope(runtime.clock, call.seconds, call.share))


async def arun(state: ClientState, call: Call[T]) -> T:
    """Run a call to its end on the running loop."""
    runtime = state.runtime()
    with observed(state, call.input_type, call.embeds):
        return await adrive(call.flow, runtime, CancelScope(runtime.clock, call.seconds, call.share))


def embed_call(
    state: ClientState,
    inputs: Iterable[Input | None],
    input_type: InputType,
    resume: Partial | None = None,
    on_progress: Progress | None = None,
) -> Call[EmbeddingResult]:
    """Return the call that embeds inputs."""
    call = state.call(inputs, input_type, resume=resume, on_progress=on_progress)
    items, settings, embeds = call.inputs.items, call.settings, [call]
    if state.options.coalesce_queries and settings.urgent and isinstance(items[0], str) and items[0]:
        share = call.share

        def together(texts: list[str]) -> EmbedCall:
            within = state.call(texts, input_type, urgent=True)
            embeds.append(within)
            if share is not None:
                share.promise_for(within.share)
            return within

        most = state.learned.max_inputs
        flow = state.batcher().embed(items[0], most=most, seconds=settings.timeout, together=together)
        return Call(flow, settings.call_timeout, share, input_type, embeds)
    return Call(embed(call), settings.call_timeout, call.share, input_type, embeds)


def listing_call(state: ClientState) -> Call[list[ModelInfo]]:
    """Return the call that lists the gateway's models."""
    return Call(list_models(state.gateway(), timeout=state.options.timeout))


def model_check_call(state: ClientState) -> Call[ModelCheck]:
    """Return the call that tries the model."""
    return Call(check_model(_session(state)))


def consistency_check_call(state: ClientState, texts: Iterable[Input] | None) -> Call[ConsistencyCheck]:
    """Return the call that compares the model's providers."""
    return Call(check_consistency(_session(state), texts))


def _session(state: ClientState) -> CheckSession:
    state.options.key()  # without one there is nothing to check
    return CheckSession(state.options, state.gateway(), count=state.count)
