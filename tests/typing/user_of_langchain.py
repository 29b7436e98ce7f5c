"""What a user of LangChain writes. Where a line is wrong, mypy must say so: an ignore that is not needed is an error."""

from __future__ import annotations

from langchain_core.embeddings import Embeddings
from langchain_core.vectorstores import InMemoryVectorStore

from langchain_openrouter_embeddings import OpenRouterEmbeddings
from openrouter_embeddings import Content, ImagePart

embeddings = OpenRouterEmbeddings(
    model="qwen/qwen3-embedding-8b", dimensions=1024, on_empty="zero", provider={"data_collection": "deny"}
)
anything: Embeddings = embeddings
store = InMemoryVectorStore(embeddings)
row: list[float] = embeddings.embed_query("a question")
rows: list[list[float]] = embeddings.embed_images(["photo.jpg"])
together: list[list[float]] = embeddings.embed_content(["a text", Content.of("a car", ImagePart.of("car.jpg"))])


async def on_a_loop() -> list[list[float]]:
    return await embeddings.aembed_images([b"data"]) + await embeddings.aembed_content(["a text"])


cost: float = embeddings.usage.cost
positional = OpenRouterEmbeddings("qwen/qwen3-embedding-8b", max_cost=1)

embeddings.embed_images([3])  # type: ignore[list-item]
OpenRouterEmbeddings(model="m", on_empty="zreo")  # type: ignore[arg-type]
OpenRouterEmbeddings(model="m", on_empty="null")  # type: ignore[arg-type]
OpenRouterEmbeddings(model="m", on_error="null")  # type: ignore[arg-type]
OpenRouterEmbeddings(model="m", on_too_long="cut")  # type: ignore[arg-type]
OpenRouterEmbeddings(model="m", provider={"data_colection": "deny"})  # type: ignore[arg-type]
OpenRouterEmbeddings(model="m", provider={"data_collection": "denied"})  # type: ignore[arg-type]
OpenRouterEmbeddings(model="m", chunk_size=500)  # type: ignore[call-arg]
OpenRouterEmbeddings(model="m", dimensions="wide")  # type: ignore[arg-type]
