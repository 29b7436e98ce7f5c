"""Index four sentences with LlamaIndex and ask for one of them.

Run `python examples/llama_index_example.py`. With OPENROUTER_API_KEY set it embeds through OpenRouter; without,
through the local gateway, which it starts by itself.
"""

from __future__ import annotations

import os
from contextlib import ExitStack

from llama_index.core import Document, VectorStoreIndex

from llama_index.embeddings.openrouter import OpenRouterEmbedding

TEXTS = [
    "To bake bread, knead flour, water and yeast, and put the dough in a hot oven.",
    "The sailor trims the mainsail and steers the boat against the wind.",
    "A database index makes looking up rows in a table fast.",
    "Water the tomato plants in the garden every evening in summer.",
]


def main() -> None:
    """Build an index in memory, retrieve, and say what it cost."""
    with ExitStack() as stack:
        where = {}
        if not os.environ.get("OPENROUTER_API_KEY"):
            from openrouter_embeddings_gateway import LocalGateway

            gateway = stack.enter_context(LocalGateway())
            where = {"base_url": gateway.base_url, "api_key": "local"}

        embed_model = OpenRouterEmbedding(model_name="qwen/qwen3-embedding-8b", dimensions=256, **where)
        index = VectorStoreIndex.from_documents([Document(text=text) for text in TEXTS], embed_model=embed_model)
        for hit in index.as_retriever(similarity_top_k=2).retrieve("how do I make bread in the oven?"):
            print(f"{hit.score:.3f}  {hit.node.get_content()}")

        usage = embed_model.usage
        print(f"{usage.requests} requests, {usage.total_tokens} tokens, {usage.cost:.8f} USD")


if __name__ == "__main__":
    main()
