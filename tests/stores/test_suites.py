"""LangChain's suite for stores, and those of its packages for Chroma and Qdrant, with our embeddings."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import chromadb
import pytest
from langchain_chroma import Chroma
from langchain_tests.integration_tests import VectorStoreIntegrationTests

from langchain_openrouter_embeddings import OpenRouterEmbeddings


class TestChroma(VectorStoreIntegrationTests):
    """Qdrant refuses the suite's ids, whoever embeds."""

    @pytest.fixture
    def vectorstore(self, options, tmp_path):
        client = chromadb.PersistentClient(str(tmp_path))
        return Chroma("suite", embedding_function=OpenRouterEmbeddings(**options), client=client)


CHROMA = "tests/integration_tests/test_vectorstores.py"
SUITES = {
    # One test wants the very distance that its fake embeddings have.
    "langchain_chroma": [CHROMA, f"--deselect={CHROMA}::test_chroma_search_filter_with_scores"],
    # All but this folder is about a class that is deprecated, and does not work with today's qdrant-client.
    "langchain_qdrant": ["tests/integration_tests/qdrant_vector_store"],
}


@pytest.mark.parametrize("package", SUITES)
def test_a_packages_own_suite_passes_with_our_embeddings(package, options, embeddings_gateway):
    source = next(Path(os.environ["OPENROUTER_EMBEDDINGS_STORES"]).glob(f"{package}-*"), None)
    if source is None:
        pytest.skip(f"the source of {package} could not be had")
    plugins = [
        f"-p{word}" for word in ("replaced_fakes", "no:benchmark", "no:codspeed", "no:recording", "no:cacheprovider")
    ]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-rf", "-oaddopts=", "-Wignore", *plugins, *SUITES[package]],
        cwd=source,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-5000:]
    assert int(re.search(r"(\d+) passed", done.stdout)[1]) >= 30
    assert embeddings_gateway.paid_inputs() >= 30
