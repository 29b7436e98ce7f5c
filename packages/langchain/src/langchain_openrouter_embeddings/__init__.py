"""LangChain embeddings through OpenRouter and gateways that speak its dialect."""

from __future__ import annotations

from langchain_openrouter_embeddings.embeddings import OpenRouterEmbeddings

__all__ = ["OpenRouterEmbeddings"]
