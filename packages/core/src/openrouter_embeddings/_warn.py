"""Warnings that name the user's line."""

from __future__ import annotations

import inspect
import warnings

_BETWEEN = frozenset(
    [
        "openrouter_embeddings",
        "openrouter_embeddings_engines",
        "langchain_openrouter_embeddings",
        "haystack_integrations",
        "langchain_core",
        "llama_index",
        "llama_index_instrumentation",
        "haystack",
        "pydantic",
        "wrapt",
        "asyncio",
        "concurrent",
        "contextlib",
        "threading",
    ]
)
"""Packages that stand between a line of the user's and one of ours: our own, the frameworks, what runs threads and tasks."""


def warn(message: str, category: type[Warning]) -> None:
    """Warn at the nearest line outside of the packages above, or at the caller's, where a thread of ours has none."""
    level, frame = 0, inspect.currentframe()
    while frame is not None and str(frame.f_globals.get("__name__")).partition(".")[0] in _BETWEEN:
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=2 if frame is None else level + 1)
