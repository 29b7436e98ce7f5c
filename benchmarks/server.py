"""A server that costs nearly nothing: what is measured against it is the client.

A hand-written asyncio protocol in a process of its own. The rows of its answers are encoded before the first request;
an answer is a join of ready pieces. It finds the number of inputs by counting quotes, which works because the
benchmark's texts (see truth.py) hold none, and the first text's number, which says which rows are right.

GET /control?latency=0.1&cap=20&rate=2&burst=2 sets what comes next and starts the counters anew; GET /stats reads them.
GET /change?cap=5 sets something else in the middle of a run; GET /times tells when requests landed or were refused.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import socket
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import numpy as np
from truth import ROWS

_BUFFER = 4 * 1024 * 1024
_DATA = b'{"object":"list","model":"openai/text-embedding-3-small","id":"gen-bench","data":['


class Rows:
    """Every row of an answer, encoded beforehand in both forms."""

    def __init__(self, dimensions: int) -> None:
        table = np.random.default_rng(7).standard_normal((ROWS, dimensions))
        self.table = (table / np.linalg.norm(table, axis=1, keepdims=True)).astype(np.float32)
        self._base64 = [b'"%b"}' % base64.b64encode(row.tobytes()) for row in self.table]
        self._float: list[bytes] = []
        self._heads: list[bytes] = []

    def body(self, count: int, first: int, *, floats: bool) -> bytes:
        """Return the answer to `count` inputs that begin with text `first`."""
        while len(self._heads) < count:
            comma = b"," if self._heads else b""
            self._heads.append(comma + b'{"object":"embedding","index":%d,"embedding":' % len(self._heads))
        rows = self._floats() if floats else self._base64
        pieces = [_DATA]
        for at in range(count):
            pieces += (self._heads[at], rows[(first + at) % ROWS])
        tokens = 40 * count
        pieces.append(
            b'],"usage":{"prompt_tokens":%d,"total_tokens":%d,"cost":%.8f}}' % (tokens, tokens, tokens * 2e-8)
        )
        return b"".join(pieces)

    def _floats(self) -> list[bytes]:
        if not self._float:
            rows = self.table.tolist()
            self._float = [b"[%b]}" % ",".join([f"{x:.9g}" for x in row]).encode() for row in rows]
        return self._float


@dataclass
class State:
    """What the server was told to do, and what it has seen since."""

    latency: float = 0.0
    cap: int = 0
    rate: float = 0.0
    burst: float = 1.0
    requests: int = 0
    refused: int = 0
    inputs: int = 0
    connections: int = 0
    in_flight: int = 0
    most_in_flight: int = 0
    wire_bytes: int = 0
    landed_at: list[float] = field(default_factory=list)
    refused_at: list[float] = field(default_factory=list)
    cpu_at_start: float = field(default_factory=time.process_time)
    _tokens: float = field(default=0.0, init=False)
    _filled: float = field(default_factory=time.monotonic, init=False)

    def __post_init__(self) -> None:
        self._tokens = self.burst

    def admits(self) -> bool:
        """Say whether one more request is let in, and count it."""
        self.requests += 1
        now = time.monotonic()
        self._tokens = min(self.burst, self._tokens + (now - self._filled) * self.rate)
        self._filled = now
        if (self.cap and self.in_flight >= self.cap) or (self.rate and self._tokens < 1.0):
            self.refused += 1
            self.refused_at.append(now)
            return False
        self._tokens -= 1.0
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        return True

    def seen(self) -> dict[str, Any]:
        """Return the counters."""
        names = ("requests", "refused", "inputs", "connections", "most_in_flight", "wire_bytes")
        return {name: getattr(self, name) for name in names} | {"cpu": time.process_time() - self.cpu_at_start}


class Exchange(asyncio.Protocol):
    """One connection."""

    state = State()
    rows: Rows

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count the connection, and let a whole answer leave in one go."""
        Exchange.state.connections += 1
        self._transport: Any = transport
        self._received = bytearray()
        self._wanted = 0
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._transport.set_write_buffer_limits(high=1 << 30)

    def data_received(self, data: bytes) -> None:
        """Answer when a request is whole. Nobody pipelines."""
        received = self._received
        received += data
        if not self._wanted:
            head = received.find(b"\r\n\r\n")
            if head < 0:
                return
            self._head, self._wanted = head, head + 4 + _length(bytes(received[:head]).lower())
        if len(received) >= self._wanted:
            head, body = bytes(received[: self._head]), bytes(received[self._head + 4 : self._wanted])
            self._received, self._wanted = bytearray(), 0
            self._handle(head.split(b"\r\n", 1)[0].split(b" ")[1].decode(), body)

    def _handle(self, target: str, body: bytes) -> None:
        path, _, query = target.partition("?")
        if path == "/control":
            Exchange.state = State(**{name: float(value) for name, value in parse_qsl(query)})  # type: ignore[arg-type]
            self._answer(b"{}")
        elif path == "/change":
            for name, value in parse_qsl(query):
                setattr(Exchange.state, name, float(value))
            self._answer(json.dumps({"now": time.monotonic()}).encode())
        elif path == "/times":
            times = {"landed": Exchange.state.landed_at, "refused": Exchange.state.refused_at}
            self._answer(json.dumps(times).encode())
        elif path == "/stats":
            self._answer(json.dumps(Exchange.state.seen()).encode())
        elif not Exchange.state.admits():
            self._answer(b'{"error":{"code":429,"message":"Too many requests"}}', b"429 Busy\r\nretry-after: 1")
        else:
            asyncio.get_running_loop().call_later(Exchange.state.latency, self._land, body, Exchange.state)

    def _land(self, body: bytes, state: State) -> None:
        count, first, floats = read_request(body)
        state.in_flight -= 1
        state.inputs += count
        state.landed_at.append(time.monotonic())
        answer = self.rows.body(count, first, floats=floats)
        state.wire_bytes += len(answer)
        self._answer(answer)

    def _answer(self, body: bytes, status: bytes = b"200 OK") -> None:
        head = b"HTTP/1.1 %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % (status, len(body))
        if not self._transport.is_closing():
            self._transport.write(head + body)


def _length(head: bytes) -> int:
    at = head.find(b"content-length:")
    return int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0


def read_request(body: bytes) -> tuple[int, int, bool]:
    """Return how many inputs a request holds, the number of the first text, and whether it asks for floats.

    Takes one string, a list of strings, one list of token ids (number 0), or a list of such.
    """
    at = body.find(b":", body.find(b'"input"')) + 1
    while body[at : at + 1] == b" ":
        at += 1
    marker = body.find(b'"encoding_format"')
    floats = marker < 0 or b"base64" not in body[marker : marker + 40]
    if body[at : at + 1] == b'"':
        return 1, int(body[at + 1 : at + 8]), floats
    inside = body[at + 1 : at + 16].lstrip()
    if inside[:1] == b'"':
        return body.count(b'"', at, body.find(b"]", at)) // 2, int(inside[1:8]), floats
    if inside[:1] == b"[":
        return body.count(b"[", at, body.find(b"]]", at)) - 1, 0, floats
    return 1, 0, floats


async def serve(rows: Rows) -> None:
    """Serve on a free port, print it, go on until killed."""
    Exchange.rows = rows
    server = await asyncio.get_running_loop().create_server(Exchange, "127.0.0.1", 0, backlog=4096)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    await server.serve_forever()


def main() -> None:
    """Write the table of right vectors, then serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dimensions", type=int, default=1536)
    parser.add_argument("--table", required=True, help="where to write the right vectors, as raw float32")
    given = parser.parse_args()
    rows = Rows(given.dimensions)
    rows.table.tofile(given.table)
    asyncio.run(serve(rows))


if __name__ == "__main__":
    main()
