"""Responses: whole, slow, in part, or not at all, and what is to be done when they are sent."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from typing import Any

import orjson
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from .errors import Refused

TRANSPORT = "openrouter_embeddings_gateway.transport"


def note_transport(scope: Scope, send: Send) -> None:
    """Put the connection's transport where the responses below find it.

    ASGI has no word for breaking a connection; uvicorn's `send` is a method of an object that holds the transport.
    """
    scope[TRANSPORT] = getattr(getattr(send, "__self__", None), "transport", None)


def json_response(value: Any, status: int = 200) -> Response:
    """Return a value as JSON."""
    return Response(orjson.dumps(value), status_code=status, media_type="application/json")


def refusal(refused: Refused) -> Response:
    """Return what a refused request is answered with."""
    body = refused.body
    content = body.encode() if isinstance(body, str) else orjson.dumps(body)
    return Response(content, status_code=refused.status, headers=refused.headers, media_type="application/json")


class OnSent(Response):
    """Another response, and what to do when it is over, whether it reached the client or not."""

    def __init__(self, inner: Response, over: Callable[[], None]) -> None:
        super().__init__(status_code=inner.status_code)
        self._inner, self._over = inner, over

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the other response."""

        async def watching(message: Any) -> None:
            # Before the last byte leaves: a client that has its answer finds the request over.
            if message["type"] == "http.response.body" and not message.get("more_body"):
                self._over()
            await send(message)

        try:
            await self._inner(scope, receive, watching)
        finally:
            self._over()


class DripResponse(Response):
    """Sends its body in twenty pieces over so many seconds."""

    def __init__(self, content: bytes, *, seconds: float, **rest: Any) -> None:
        super().__init__(content, **rest)
        self.seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        size = max(1, -(-len(self.body) // 20))
        for start in range(0, len(self.body), size):
            await asyncio.sleep(self.seconds / 20)
            await send({"type": "http.response.body", "body": self.body[start : start + size], "more_body": True})
        await send({"type": "http.response.body", "body": b""})


class CutResponse(Response):
    """Promises its whole body, sends half of it, and closes the connection."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body[: len(self.body) // 2], "more_body": True})
        await asyncio.sleep(0.02)  # what was written leaves before the connection breaks
        await _abort(scope)


class ResetResponse(Response):
    """Breaks the connection before a byte of an answer."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send nothing."""
        transport = scope.get(TRANSPORT)
        connection = transport.get_extra_info("socket") if transport is not None else None
        if connection is not None:
            # No lingering: the client gets a reset, not a polite end.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await _abort(scope)


async def _abort(scope: Scope) -> None:
    transport = scope.get(TRANSPORT)
    if transport is None:
        raise RuntimeError("The server holds no transport that could be cut; run the gateway under uvicorn with h11.")
    transport.abort()
    await asyncio.sleep(0.01)  # until the server has noticed, so that it doesn't complain of a missing answer
