"""LangChain embeddings through OpenRouter and gateways that speak its dialect."""

from __future__ import annotations

from langchain_openrouter_embeddings.embeddings import OpenRouterEmbeddings
from openrouter_embeddings import track_usage

__all__ = ["OpenRouterEmbeddings", "track_usage"]
