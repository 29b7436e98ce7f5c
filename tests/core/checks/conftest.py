"""A gateway of its own, which answers to models without a profile too."""

from __future__ import annotations

import pytest

from openrouter_embeddings_gateway import LocalGateway


@pytest.fixture(scope="session")
def embeddings_gateway_process():
    with LocalGateway.start(lenient=True) as gateway:
        yield gateway
