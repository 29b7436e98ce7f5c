"""Fixtures: one gateway process per test session, clean for each test."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .handle import LocalGateway


@pytest.fixture(scope="session")
def embeddings_gateway_process() -> Iterator[LocalGateway]:
    """Yield a gateway that lives as long as the session."""
    from .handle import LocalGateway  # late: pytest loads plugins in every run, with or without a gateway

    with LocalGateway.start() as gateway:
        yield gateway


@pytest.fixture
def embeddings_gateway(embeddings_gateway_process: LocalGateway) -> Iterator[LocalGateway]:
    """Yield the session's gateway without trouble and with an empty log, and leave it so."""
    embeddings_gateway_process.reset()
    yield embeddings_gateway_process
    embeddings_gateway_process.reset()
