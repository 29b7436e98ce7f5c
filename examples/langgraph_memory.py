"""An assistant's memory with LangGraph: what is told is kept, and recalled by what it means.

Run `python examples/langgraph_memory.py`. Needs `pip install langgraph`. A language model would sit where `reply` does; here
the graph only shows what it would be given. With OPENROUTER_API_KEY set it embeds through OpenRouter; without, through the
local gateway.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import Any, TypedDict
from uuid import uuid4

from langgraph.graph import END, START, StateGraph
from langgraph.store.base import BaseStore
from langgraph.store.memory import InMemoryStore
from langgraph.types import RetryPolicy

from langchain_openrouter_embeddings import OpenRouterEmbeddings

WIDTH = 1024
TOLD = [
    "My daughter is allergic to peanuts.",
    "I bake bread with rye flour on Sundays.",
    "My train to work leaves at seven in the morning.",
    "",  # people send empty messages too
]
ASKED = ["Which nuts must we keep out of the food?", "When do I leave for work?", "What do I bake?"]


class State(TypedDict, total=False):
    """One message, and what comes to mind."""

    user: str
    message: str
    memories: list[tuple[float, str]]


def recall(state: State, *, store: BaseStore) -> State:
    """Look for the memories that are nearest to the message."""
    found = store.search((state["user"], "memories"), query=state["message"], limit=1)
    return {"memories": [(item.score or 0.0, item.value["text"]) for item in found]}


def reply(state: State) -> State:
    """Print what a language model would be given."""
    for score, text in state["memories"]:
        print(f"  {score:.3f}  {text}")
    return {}


def assistant(store: BaseStore) -> Any:
    """Return the graph. The embeddings retry by themselves; once more is enough, and only where it may help."""
    again = RetryPolicy(max_attempts=2, retry_on=lambda error: getattr(error, "retryable", False))
    graph = StateGraph(State)
    graph.add_node("recall", recall, retry_policy=again)
    graph.add_node("reply", reply)
    graph.add_edge(START, "recall")
    graph.add_edge("recall", "reply")
    graph.add_edge("reply", END)
    return graph.compile(store=store)


def main() -> None:
    # A memory may be empty: zeros stand in its place, where an error would lose the others of the same write. PostgresStore
    # wants "distance_type": "inner_product" with them: by its cosine they are the first hit.
    embeddings = OpenRouterEmbeddings("qwen/qwen3-embedding-8b", dimensions=WIDTH, on_empty="zero")
    store = InMemoryStore(index={"embed": embeddings, "dims": WIDTH, "fields": ["text"]})
    for text in TOLD:
        store.put(("anna", "memories"), str(uuid4()), {"text": text})

    graph = assistant(store)
    for question in ASKED:
        print(question)
        graph.invoke({"user": "anna", "message": question})
    usage = embeddings.usage
    print(f"{usage.requests} requests, {usage.total_tokens} tokens, {usage.cost:.8f} USD")


if __name__ == "__main__":
    with ExitStack() as stack:
        if not os.environ.get("OPENROUTER_API_KEY"):
            from openrouter_embeddings_gateway import LocalGateway

            os.environ["OPENROUTER_API_BASE"] = stack.enter_context(LocalGateway()).base_url
            os.environ["OPENROUTER_API_KEY"] = "any key will do"
        main()
