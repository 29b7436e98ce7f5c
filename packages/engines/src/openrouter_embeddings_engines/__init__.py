"""Embeddings past one machine."""
