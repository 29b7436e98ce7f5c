"""LangChain's own suites, run on our class against the local gateway."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest

pytest.importorskip("langchain_tests", reason="not in the lane of lowest versions")

from langchain_core.vectorstores import InMemoryVectorStore
from langchain_tests.integration_tests import EmbeddingsIntegrationTests, VectorStoreIntegrationTests
from langchain_tests.unit_tests import EmbeddingsUnitTests

from langchain_openrouter_embeddings import OpenRouterEmbeddings

if TYPE_CHECKING:
    from openrouter_embeddings_gateway import LocalGateway


class TestUnit(EmbeddingsUnitTests):
    """No request is made here."""

    @property
    def embeddings_class(self) -> type[OpenRouterEmbeddings]:
        return OpenRouterEmbeddings

    @property
    def embedding_model_params(self) -> dict[str, Any]:
        return {"model": "qwen/qwen3-embedding-8b", "api_key": "sk-or-unit"}

    @property
    def init_from_env_params(self) -> tuple[dict[str, str], dict[str, Any], dict[str, Any]]:
        key, base = "sk-or-from-env", "https://eu.example.test/api/v1"
        return (
            {"OPENROUTER_API_KEY": key, "OPENROUTER_API_BASE": base},
            {"model": "qwen/qwen3-embedding-8b"},
            {"api_key": key, "openrouter_api_key": key, "base_url": base, "openrouter_api_base": base},
        )


class TestIntegration(EmbeddingsIntegrationTests):
    @pytest.fixture(autouse=True)
    def _at(self, embeddings_gateway: LocalGateway) -> None:
        self.gateway = embeddings_gateway

    @property
    def embeddings_class(self) -> type[OpenRouterEmbeddings]:
        return OpenRouterEmbeddings

    @property
    def embedding_model_params(self) -> dict[str, Any]:
        return {"model": "qwen/qwen3-embedding-8b", "api_key": "any", "base_url": self.gateway.base_url}


class TestVectorStore(VectorStoreIntegrationTests):
    """LangChain's suite for stores: it shows that our embeddings serve one."""

    @pytest.fixture
    def vectorstore(self, embeddings_gateway: LocalGateway) -> InMemoryVectorStore:
        with mock.patch.dict(os.environ, {"OPENROUTER_API_KEY": "any"}):
            model = OpenRouterEmbeddings(model="baai/bge-m3", openrouter_api_base=embeddings_gateway.base_url)
        return InMemoryVectorStore(model)
