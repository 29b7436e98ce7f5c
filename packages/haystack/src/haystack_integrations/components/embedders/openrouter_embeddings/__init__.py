"""Haystack embedders through OpenRouter: one for queries, one for documents, one for pictures."""

from __future__ import annotations

from .document_embedder import OpenRouterDocumentEmbedder
from .document_image_embedder import OpenRouterDocumentImageEmbedder
from .text_embedder import OpenRouterTextEmbedder

__all__ = ["OpenRouterDocumentEmbedder", "OpenRouterDocumentImageEmbedder", "OpenRouterTextEmbedder"]
