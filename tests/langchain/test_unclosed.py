"""Objects that nobody closes, in loops of every kind: LangChain has no word for closing."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from langchain_openrouter_embeddings import OpenRouterEmbeddings

if TYPE_CHECKING:
    from openrouter_embeddings_gateway import LocalGateway

Make = Callable[..., OpenRouterEmbeddings]

MANY_LOOPS = """
import asyncio, gc
from langchain_openrouter_embeddings import OpenRouterEmbeddings

def made():
    return OpenRouterEmbeddings("qwen/qwen3-embedding-8b", dimensions=64)

async def many(model):
    return await asyncio.gather(*(model.aembed_query(str(number)) for number in range(4)))
"""
CLOSED = """
model = made()
for _ in range(3):
    loop = asyncio.new_event_loop()
    loop.run_until_complete(many(model))
    loop.run_until_complete(many(made()))
    loop.close()
    gc.collect()
"""
NESTED = """
import nest_asyncio
nest_asyncio.apply()

async def main():
    model = made()
    await many(model)
    asyncio.run(many(model))
    asyncio.get_event_loop().run_until_complete(many(made()))
    model.embed_query("a")
    gc.collect()

asyncio.run(main())
asyncio.run(main())
gc.collect()
"""


async def test_objects_dropped_in_a_loop_close_their_connections_without_a_warning(make: Make):
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        gc.collect()
        seen.clear()  # what earlier tests in this process have dropped
        for _ in range(5):
            model = make()
            await model.aembed_query("a")
            model.embed_query("a")
            del model
            gc.collect()
        for _ in range(20):  # turns of the loop, in which it finishes what was dropped
            await asyncio.sleep(0)
        gc.collect()
    assert [str(warning.message) for warning in seen if warning.category is ResourceWarning] == []


@pytest.mark.parametrize("script", [CLOSED, NESTED], ids=["loops that are closed", "nest_asyncio"])
def test_nothing_is_said_on_stderr(gateway: LocalGateway, script: str):
    if script is NESTED:
        pytest.importorskip("nest_asyncio", reason="not in the lane of lowest versions")
    command = [sys.executable, "-c", MANY_LOOPS + script]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
