"""LlamaIndex embeddings through OpenRouter and gateways that speak its dialect."""

from __future__ import annotations

from .base import OpenRouterEmbedding

__all__ = ["OpenRouterEmbedding"]
