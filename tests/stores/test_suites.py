"""LangChain's suite for stores, on Chroma with our embeddings. (Qdrant refuses the suite's ids, whoever embeds.)."""

from __future__ import annotations

import chromadb
import pytest
from langchain_chroma import Chroma
from langchain_tests.integration_tests import VectorStoreIntegrationTests

from langchain_openrouter_embeddings import OpenRouterEmbeddings


class TestChroma(VectorStoreIntegrationTests):
    @pytest.fixture
    def vectorstore(self, options, tmp_path):
        client = chromadb.PersistentClient(str(tmp_path))
        return Chroma("suite", embedding_function=OpenRouterEmbeddings(**options), client=client)
