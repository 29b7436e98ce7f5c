"""Objects that nobody closes, in loops of every kind: LangChain has no word for closing."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from openrouter_embeddings_gateway import LocalGateway

MANY_LOOPS = """
import asyncio, gc
from langchain_openrouter_embeddings import OpenRouterEmbeddings

def made():
    return OpenRouterEmbeddings("qwen/qwen3-embedding-8b", dimensions=64)

async def many(model):
    return await asyncio.gather(*(model.aembed_query(str(number)) for number in range(4)))
"""
# A loop that is closed with sockets open leaves them to the interpreter, which says so where such warnings are on: no public
# way of asyncio's closes a socket of a loop that is closed.
CLOSED = """
model = made()
for _ in range(3):
    loop = asyncio.new_event_loop()
    loop.run_until_complete(many(model))
    loop.run_until_complete(many(made()))
    loop.close()
    gc.collect()
"""
DROPPED = """
import warnings
warnings.simplefilter("always")

async def main():
    for _ in range(5):
        model = made()
        await model.aembed_query("a")
        model.embed_query("a")
        del model
        gc.collect()
    for _ in range(20):  # turns of the loop, in which it finishes what was dropped
        await asyncio.sleep(0)
    gc.collect()

asyncio.run(main())
"""
NESTED = """
import nest_asyncio, warnings
nest_asyncio.apply()
warnings.simplefilter("always")

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


@pytest.mark.parametrize(
    "script", [CLOSED, DROPPED, NESTED], ids=["loops that are closed", "objects that are dropped", "nest_asyncio"]
)
def test_nothing_is_said_on_stderr(gateway: LocalGateway, script: str):
    if script is NESTED:
        pytest.importorskip("nest_asyncio", reason="not in the lane of lowest versions")
    command = [sys.executable, "-c", MANY_LOOPS + script]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
