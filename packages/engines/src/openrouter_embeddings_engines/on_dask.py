"""A job on Dask."""

from __future__ import annotations

from typing import Any

from .job import EmbedJob


def embed_frame(job: EmbedJob, frame: Any, **options: Any) -> Any:
    """Return the rows with their embeddings."""
    raise NotImplementedError
