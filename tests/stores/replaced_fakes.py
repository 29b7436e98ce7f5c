"""A pytest plugin for the suites of others: where they embed with a fake, it puts our embeddings."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

from langchain_openrouter_embeddings import OpenRouterEmbeddings

FAKES = ("tests.integration_tests.fake_embeddings", "tests.integration_tests.common")


class Ours(OpenRouterEmbeddings):
    """As wide as the fake was to be."""

    def __init__(self, dimensionality: int = 10, **options: Any) -> None:
        given = {"model": "openai/text-embedding-3-small", "dimensions": dimensionality}
        super().__init__(**given | options)


def pytest_configure() -> None:
    """Replace the fakes before a test module imports them."""
    for name in filter(find_spec, FAKES):
        for fake in ("FakeEmbeddings", "ConsistentFakeEmbeddings"):
            setattr(import_module(name), fake, Ours)
