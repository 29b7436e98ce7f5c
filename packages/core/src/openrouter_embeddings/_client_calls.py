"""The calls of a client: a job is prepared and its flow driven to its end.

This module stands on httpx, numpy and asyncio, and is imported at the first call: importing the package costs little.
"""

from __future__ import annotations

from collections.abc import Iterable

from ._client_shared import Shared
from ._client_stream import asettle, astream, settle, stream
from ._drive import adrive, drive
from ._flow import embed as embed_flow
from ._flow_models import list_models as list_models_flow
from ._job import Job
from .gateways import ModelInfo
from .inputs import Input, InputType, Progress
from .results import EmbeddingResult, Partial

__all__ = ["aembed", "alist_models", "asettle", "astream", "embed", "list_models", "settle", "stream"]


def _prepared(
    shared: Shared, inputs: Iterable[Input], side: InputType, resume: Partial | None, on_progress: Progress | None
) -> Job:
    """Return the job. Only if there is something to send must there be a key."""
    job = shared.prepare(inputs, side, resume=resume, on_progress=on_progress)
    if job.missing():
        shared.options.key()
    return job


def embed(
    shared: Shared, inputs: Iterable[Input], side: InputType, resume: Partial | None, on_progress: Progress | None
) -> EmbeddingResult:
    """Embed in this thread."""
    job = _prepared(shared, inputs, side, resume, on_progress)
    if not job.missing():
        return job.result()
    try:
        return drive(embed_flow(job, workers=shared.options.max_concurrency), shared.world())
    finally:
        shared.add(job.usage())


async def aembed(
    shared: Shared, inputs: Iterable[Input], side: InputType, resume: Partial | None, on_progress: Progress | None
) -> EmbeddingResult:
    """Embed on the running loop."""
    job = _prepared(shared, inputs, side, resume, on_progress)
    if not job.missing():
        return job.result()
    try:
        return await adrive(embed_flow(job, workers=shared.options.max_concurrency), shared.world())
    finally:
        shared.add(job.usage())


def list_models(shared: Shared) -> list[ModelInfo]:
    """List the models in this thread."""
    return drive(list_models_flow(shared.gateway(), timeout=shared.options.timeout), shared.world())


async def alist_models(shared: Shared) -> list[ModelInfo]:
    """List the models on the running loop."""
    return await adrive(list_models_flow(shared.gateway(), timeout=shared.options.timeout), shared.world())
