"""Fixtures: one gateway process per test session, clean for each test."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .handle import LocalGateway
    from .settings import GatewayOptions


@pytest.fixture(scope="session")
def embeddings_gateway_options() -> GatewayOptions:
    """Return what the session's gateway is started with. Override it in the `conftest.py` at the root of your tests."""
    return {}


@pytest.fixture(scope="session")
def embeddings_gateway_process(embeddings_gateway_options: GatewayOptions) -> Iterator[LocalGateway]:
    """Yield a gateway that lives as long as the session."""
    from .handle import LocalGateway  # late: pytest loads plugins in every run, with or without a gateway

    with LocalGateway.start(**embeddings_gateway_options) as gateway:
        yield gateway


@pytest.fixture
def embeddings_gateway(embeddings_gateway_process: LocalGateway) -> Iterator[LocalGateway]:
    """Yield the session's gateway without trouble, with an empty log and its first settings, and leave it so."""
    embeddings_gateway_process.reset()
    yield embeddings_gateway_process
    embeddings_gateway_process.reset()
