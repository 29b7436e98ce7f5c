"""LlamaIndex embeddings through OpenRouter and gateways that speak its dialect."""

from __future__ import annotations

from .base import OpenRouterEmbedding
from .multi_modal import OpenRouterMultiModalEmbedding

__all__ = ["OpenRouterEmbedding", "OpenRouterMultiModalEmbedding"]
