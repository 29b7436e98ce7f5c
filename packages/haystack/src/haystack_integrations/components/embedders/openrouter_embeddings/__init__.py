"""Haystack embedders through OpenRouter: one for queries, one for documents."""

from __future__ import annotations

from .document_embedder import OpenRouterDocumentEmbedder
from .text_embedder import OpenRouterTextEmbedder

__all__ = ["OpenRouterDocumentEmbedder", "OpenRouterTextEmbedder"]
