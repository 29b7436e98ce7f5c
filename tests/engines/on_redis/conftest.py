"""A real Redis or Valkey server, with a password; what is not installed is skipped with a word."""

from __future__ import annotations

import pytest

from .server import Server, program

collect_ignore_glob = []
try:
    import pyrate_limiter  # noqa: F401
    import redis  # noqa: F401
except ImportError:
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture(scope="session")
def redis_process(tmp_path_factory):
    """A server for the session."""
    if program() is None:
        pytest.skip("Neither redis-server nor valkey-server is installed.")
    server = Server(tmp_path_factory.mktemp("redis"))
    yield server
    server.stop()


@pytest.fixture
def redis_server(redis_process):
    """The session's server, running and empty."""
    redis_process.start()
    redis_process.client().flushall()
    return redis_process
