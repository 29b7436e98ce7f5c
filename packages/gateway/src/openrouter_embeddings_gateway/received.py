"""What the gateway has received, for tests to read. Keys are kept as a digest only."""

from __future__ import annotations

import hashlib
import time
from collections import deque
from dataclasses import dataclass
from itertools import count
from typing import Any

import orjson
from starlette.requests import Request

_KEPT_BYTES = 64 << 20


@dataclass(slots=True)
class Entry:
    """One request. Status, inputs and paid are filled in while it is answered."""

    number: int
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
        self._numbers = count()  # goes on after a reset, so that a request from before it is not taken for a new one
        self.clear()

    def clear(self) -> None:
        """Forget everything, requests in flight included."""
        self._entries: deque[Entry] = deque()
        self._bytes = 0
        self._flying: set[int] = set()
        self.max_in_flight = 0
        self.requests = 0
        self.paid_inputs = 0

    def begin(self, request: Request, raw: bytes) -> Entry:
        """Write down a request as it came in."""
        entry = Entry(
            number=next(self._numbers),
            method=request.method,
            path=request.url.path,
            headers=_safe_headers(request),
            raw=raw,
            connection=f"{request.client.host}:{request.client.port}" if request.client else "",
            started=time.time(),
        )
        self._entries.append(entry)
        self._bytes += len(raw)
        while self._bytes > _KEPT_BYTES and len(self._entries) > 1:
            self._bytes -= len(self._entries.popleft().raw)
        self.requests += 1
        self._flying.add(entry.number)
        self.max_in_flight = max(self.max_in_flight, len(self._flying))
        return entry

    def end(self, entry: Entry) -> None:
        """Write down that a request is over."""
        entry.ended = time.time()
        self._flying.discard(entry.number)

    def pay(self, entry: Entry, inputs: int) -> None:
        """Write down that so many inputs were answered as they should."""
        entry.paid = inputs
        if entry.number in self._flying:  # else it came before the last reset
            self.paid_inputs += inputs

    def entries(self) -> list[dict[str, Any]]:
        """Return the requests, oldest first."""
        return [entry.to_json() for entry in self._entries]

    def stats(self) -> dict[str, Any]:
        """Return the totals since the start or the last reset."""
        return {
            "requests": self.requests,
            "paid_inputs": self.paid_inputs,
            "in_flight": len(self._flying),
            "max_in_flight": self.max_in_flight,
            "connections": len({entry.connection for entry in self._entries}),
        }


def bearer(request: Request) -> str:
    """Return the key a request carries, or the empty string."""
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ""


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
