"""Real servers between client and gateway. `nox -s field` runs these tests; what is not installed is skipped with a word.

The session says where the servers are that it has installed; without its word nothing here is collected.
"""

from __future__ import annotations

import os

import pytest

from openrouter_embeddings import Client

from ..support.certificates import make_authority
from .calls import MODEL, TEXTS
from .servers import SERVERS_VARIABLE

collect_ignore_glob = [] if SERVERS_VARIABLE in os.environ else ["test_*.py"]


@pytest.fixture(scope="session")
def right(embeddings_gateway_process):
    """The embeddings of `TEXTS`, straight from the gateway."""
    with Client(MODEL, base_url=embeddings_gateway_process.base_url, api_key="k", dimensions=64) as client:
        return client.embed_documents(TEXTS).embeddings


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    """A certificate authority that no one knows yet."""
    return make_authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def upstream(embeddings_gateway):
    """Where the local gateway listens, for a server's configuration."""
    return embeddings_gateway.base_url.removeprefix("http://").removesuffix("/api/v1")
