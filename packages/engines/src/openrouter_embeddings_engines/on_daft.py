"""A job on Daft."""

from __future__ import annotations

from typing import Any

from .job import EmbedJob


def provider(job: EmbedJob, **options: Any) -> Any:
    """Return what Daft's `embed_text` takes as its provider."""
    raise NotImplementedError
