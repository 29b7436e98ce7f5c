"""A job on Ray."""

from __future__ import annotations

from typing import Any

from .job import EmbedJob


def embed_dataset(job: EmbedJob, dataset: Any, **options: Any) -> Any:
    """Return the rows with their embeddings."""
    raise NotImplementedError
