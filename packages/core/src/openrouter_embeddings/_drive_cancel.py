"""What a cancellation must not interrupt, and what it leaves in a pool of connections.

httpcore shields its clean-up from anyio's cancellations, not from asyncio's own. A task cancelled in the one turn of the
loop in which a connection is handed back, or was just opened, leaves it in the pool: open, and never used again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import httpx

_under_way: set[asyncio.Task[None]] = set()
"""A loop holds its tasks weakly."""


async def undisturbed(work: Coroutine[Any, Any, None]) -> None:
    """Await work that goes on to its end even if this task is cancelled meanwhile."""
    task = asyncio.get_running_loop().create_task(work)
    _under_way.add(task)
    task.add_done_callback(_under_way.discard)
    await asyncio.shield(task)


async def close_stranded(client: httpx.AsyncClient) -> None:
    """Close the connections of a client that are open, not idle, and belong to no request.

    httpx has no public way to its pool. Where these attributes are gone in a version to come, nothing is closed before
    the client is; a test says so.
    """
    for transport in [client._transport, *client._mounts.values()]:
        pool = getattr(transport, "_pool", None)
        mine, requests = getattr(pool, "_connections", None), getattr(pool, "_requests", None)
        if mine is None or requests is None:
            continue
        used = {id(request.connection) for request in requests}
        for one in [one for one in mine if id(one) not in used and not one.is_idle() and not one.is_closed()]:
            mine.remove(one)
            await undisturbed(one.aclose())
