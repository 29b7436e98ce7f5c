"""What a user of LlamaIndex writes. Where a line is wrong, mypy must say so: an ignore that is not needed is an error."""

from __future__ import annotations

from llama_index.core import Document, Settings, VectorStoreIndex
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.embeddings import MultiModalEmbedding

from llama_index.embeddings.openrouter import OpenRouterEmbedding, OpenRouterMultiModalEmbedding

embed_model = OpenRouterEmbedding(
    model_name="qwen/qwen3-embedding-8b", dimensions=1024, on_empty="zero", provider={"data_collection": "deny"}
)
anything: BaseEmbedding = embed_model
Settings.embed_model = embed_model
index = VectorStoreIndex.from_documents([Document(text="a text")], embed_model=embed_model)
row: list[float] = embed_model.get_query_embedding("a question")
cost: float = embed_model.usage.cost
positional = OpenRouterEmbedding("qwen/qwen3-embedding-8b", embed_batch_size=500, num_workers=4)
pictures: MultiModalEmbedding = OpenRouterMultiModalEmbedding(model_name="google/gemini-embedding-2")
seen: list[list[float]] = OpenRouterMultiModalEmbedding("m").get_image_embedding_batch(["a.png", b"data"])

OpenRouterEmbedding(model_name="m", on_empty="zreo")  # type: ignore[arg-type]
OpenRouterEmbedding(model_name="m", on_too_long="cut")  # type: ignore[arg-type]
OpenRouterEmbedding(model_name="m", provider={"data_colection": "deny"})  # type: ignore[arg-type]
OpenRouterEmbedding(model_name="m", provider={"data_collection": "denied"})  # type: ignore[arg-type]
OpenRouterEmbedding(model_name="m", additional_kwargs={})  # type: ignore[call-arg]
OpenRouterEmbedding(model_name="m", dimensions="wide")  # type: ignore[arg-type]
