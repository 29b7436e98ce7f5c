"""Run by the memory test in a process of its own: one right call, one bomb, and what the bomb cost.

Prints the error's class and the growth of the peak of resident memory in bytes.
"""

from __future__ import annotations

import asyncio
import resource
import sys
from pathlib import Path

from openrouter_embeddings import AsyncClient, Client, EmbeddingError

UNIT = 1 if sys.platform == "darwin" else 1024


def peak() -> int:
    """Return the most memory that this program has held.

    Linux lets a program begin with the peak of the process that started it, which may hide what is to be measured; its
    own peak stands elsewhere.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(one for one in status.read_text().splitlines() if one.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * UNIT


def main(colour: str, url: str) -> None:
    """Embed twice: the server answers the first request rightly, the second with a bomb."""
    options = {
        "document_input_type": "",
        "base_url": url,
        "api_key": "any",
        "timeout": 60.0,
        "max_retries": 0,
        "max_replays": 0,
    }
    if colour == "sync":
        client = Client("faults/model", **options)

        def embed() -> None:
            client.embed_documents(["text"])
    else:
        runner = asyncio.Runner()
        aclient = AsyncClient("faults/model", **options)

        def embed() -> None:
            runner.run(aclient.embed_documents(["text"]))

    embed()
    before = peak()
    try:
        embed()
    except EmbeddingError as error:
        print(type(error).__name__, peak() - before)


if __name__ == "__main__":
    main(*sys.argv[1:])
