"""What LangChain's tracers see of a call: a run of type `embedding`, with names and numbers, no text, no key.

Embeddings are no `Runnable`, and stores hand no callbacks on to them. So the run stands below the chain whose context it
is made in, beside the retriever's where there is one, and at the top where there is no chain.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sized
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from langchain_core.runnables.config import (
    ensure_config,
    get_async_callback_manager_for_config,
    get_callback_manager_for_config,
)

from openrouter_embeddings import Client, EmbeddingResult, Input, InputType

_NAME = "OpenRouterEmbeddings"
Told = Callable[[EmbeddingResult], None]


@contextmanager
def traced(client: Client, inputs: Iterable[Input], input_type: InputType) -> Iterator[Told]:
    """Open a run, if there is a listener. Yield the function that takes the result."""
    manager = get_callback_manager_for_config(ensure_config())
    if not manager.handlers:
        yield _nobody
        return
    manager.add_metadata(_metadata(client), inherit=False)
    run = manager.on_chain_start(None, _asked(inputs, input_type), run_type="embedding", name=_NAME)
    results: list[EmbeddingResult] = []
    try:
        yield results.append
    except BaseException as error:
        run.on_chain_error(error)
        raise
    run.on_chain_end(_spent(*results))


@asynccontextmanager
async def atraced(client: Client, inputs: Iterable[Input], input_type: InputType) -> AsyncIterator[Told]:
    """Do what `traced` does, on the running event loop."""
    manager = get_async_callback_manager_for_config(ensure_config())
    if not manager.handlers:
        yield _nobody
        return
    manager.add_metadata(_metadata(client), inherit=False)
    run = await manager.on_chain_start(None, _asked(inputs, input_type), run_type="embedding", name=_NAME)
    results: list[EmbeddingResult] = []
    try:
        yield results.append
    except BaseException as error:
        await run.on_chain_error(error)
        raise
    await run.on_chain_end(_spent(*results))


def _nobody(_: EmbeddingResult) -> None:
    """Do nothing: there is no listener."""


def _metadata(client: Client) -> dict[str, Any]:
    """Return what LangSmith names models by."""
    return {"ls_provider": client.gateway.name, "ls_model_name": client.model}


def _asked(inputs: Iterable[Input], input_type: InputType) -> dict[str, Any]:
    count = {"inputs": len(inputs)} if isinstance(inputs, Sized) else {}
    return {"input_type": input_type, **count}


def _spent(result: EmbeddingResult) -> dict[str, Any]:
    """Return what was spent: all of it in the core's words, and tokens and cost in those that LangSmith adds up."""
    usage = result.usage
    return {
        "model": result.model,
        "providers": list(result.providers),
        "dimensions": result.dimensions,
        "usage": usage.to_dict(),
        "usage_metadata": {
            "input_tokens": usage.prompt_tokens,
            "output_tokens": 0,
            "total_tokens": usage.total_tokens,
            "total_cost": usage.cost,
        },
    }
