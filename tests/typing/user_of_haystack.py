"""What a user of Haystack writes. Where a line is wrong, mypy must say so: an ignore that is not needed is an error."""

from __future__ import annotations

from haystack import Document, Pipeline
from haystack.utils import Secret

from haystack_integrations.components.embedders.openrouter_embeddings import (
    OpenRouterDocumentEmbedder,
    OpenRouterDocumentImageEmbedder,
    OpenRouterTextEmbedder,
)

documents = OpenRouterDocumentEmbedder(
    model="qwen/qwen3-embedding-8b",
    api_key=Secret.from_env_var("OPENROUTER_API_KEY"),
    dimensions=1024,
    on_empty="zero",
    provider={"data_collection": "deny"},
    meta_fields_to_embed=["title"],
)
queries: OpenRouterTextEmbedder = documents.text_embedder()
pipeline = Pipeline()
pipeline.add_component("embedder", documents)
found = documents.run([Document(content="a text")])["documents"]
cost: float = queries.usage.cost
positional = OpenRouterTextEmbedder("qwen/qwen3-embedding-8b", http_client_kwargs={"trust_env": False})
pictures = OpenRouterDocumentImageEmbedder(model="google/gemini-embedding-2", root_path="photos", image_size=(512, 512))

OpenRouterDocumentImageEmbedder(model="m", prefix="a ")  # type: ignore[arg-type]
OpenRouterTextEmbedder(model="m", on_empty="zreo")  # type: ignore[arg-type]
OpenRouterTextEmbedder(model="m", on_too_long="cut")  # type: ignore[arg-type]
OpenRouterTextEmbedder(model="m", provider={"data_colection": "deny"})  # type: ignore[arg-type]
OpenRouterDocumentEmbedder(model="m", provider={"data_collection": "denied"})  # type: ignore[arg-type]
OpenRouterDocumentEmbedder(model="m", input_type="passage")  # type: ignore[arg-type]
OpenRouterDocumentEmbedder(model="m", api_key="a key")  # type: ignore[arg-type]
OpenRouterTextEmbedder(model="m", progress_bar=False)  # type: ignore[call-arg]
OpenRouterTextEmbedder(on_empty="zero")  # type: ignore[call-arg]
