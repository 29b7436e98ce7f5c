"""One fault server a test, and clients of it."""

from __future__ import annotations

import pytest

from .server import FaultServer


@pytest.fixture
def server():
    """Yield a fault server that answers rightly until told otherwise."""
    running = FaultServer()
    yield running
    running.close()


@pytest.fixture
def other_server():
    """Yield a second one, that no client of the first may come to."""
    running = FaultServer()
    yield running
    running.close()
