"""What the gateway has received, for tests to read. Keys are kept as a digest only."""

from __future__ import annotations

import hashlib
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import orjson
from starlette.requests import Request

from .keys import bearer
from .usage import Totals, Usage

_KEPT_BYTES = 64 << 20


@dataclass(slots=True)
class Entry:
    """One request. Status, inputs and what was paid are filled in while it is answered."""

    method: str
    path: str
    headers: dict[str, str]
    raw: bytes
    connection: str
    started: float
    ended: float | None = None
    status: int | None = None
    inputs: int = 0
    paid: int = 0
    server_cached: bool = False
    totals: list[Totals] = field(default_factory=list)
    """Where the request is counted."""
    when_over: list[Callable[[], None]] = field(default_factory=list)

    def count_in(self, totals: Totals) -> None:
        """Count the request in some totals, from now on."""
        totals.begin()
        self.totals.append(totals)

    def pay(self, inputs: int, tokens: int, cost: float) -> None:
        """Write down that so many inputs were answered as they should be."""
        self.paid = inputs
        for totals in self.totals:
            totals.pay(inputs, tokens, cost)

    def end(self) -> None:
        """Write down that the request is over. Does nothing the second time."""
        if self.ended is not None:
            return
        self.ended = time.time()
        for totals in self.totals:
            totals.end(self.status)
        for leave in self.when_over:
            leave()

    def to_json(self) -> dict[str, Any]:
        """Return the entry with its body as received."""
        return {
            "method": self.method,
            "path": self.path,
            "headers": self.headers,
            "body": _parsed(self.raw),
            "connection": self.connection,
            "started": self.started,
            "ended": self.ended,
            "status": self.status,
            "inputs": self.inputs,
            "paid": self.paid,
            "server_cached": self.server_cached,
        }


class Log:
    """The requests in the order they came, the oldest dropped above 64 MB of bodies; totals are never dropped."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget everything. Requests in flight keep the totals that they began with, which nobody reads any more."""
        self._entries: deque[Entry] = deque()
        self._bytes = 0
        self._all = Totals()
        self.usage = Usage()

    def begin(self, request: Request, raw: bytes) -> Entry:
        """Write down a request as it came in."""
        entry = Entry(
            method=request.method,
            path=request.scope["path"],
            headers=_safe_headers(request),
            raw=raw,
            connection=f"{request.client.host}:{request.client.port}" if request.client else "",
            started=time.time(),
        )
        self._entries.append(entry)
        self._bytes += len(raw)
        while self._bytes > _KEPT_BYTES and len(self._entries) > 1:
            self._bytes -= len(self._entries.popleft().raw)
        entry.count_in(self._all)
        return entry

    def entries(self) -> list[dict[str, Any]]:
        """Return the requests, oldest first."""
        return [entry.to_json() for entry in self._entries]

    def stats(self) -> dict[str, Any]:
        """Return the totals of all requests, for embeddings or not, since the start or the last reset."""
        return {
            "requests": self._all.requests,
            "paid_inputs": self._all.paid_inputs,
            "in_flight": self._all.in_flight,
            "max_in_flight": self._all.max_in_flight,
            "connections": len({entry.connection for entry in self._entries}),
        }


def _safe_headers(request: Request) -> dict[str, str]:
    headers = {name: value for name, value in request.headers.items() if name not in {"authorization", "cookie"}}
    key = bearer(request)
    headers["authorization"] = "present" if key else "absent"
    if key:
        headers["authorization_sha256"] = hashlib.sha256(key.encode()).hexdigest()
    return headers


def _parsed(raw: bytes) -> Any:
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None
