"""A server on plain sockets, for what a correct HTTP stack cannot do: cut, drip, hang, reset, lie about lengths.

It reads requests rightly and answers each text with an embedding that follows from the text alone, so that a test can
tell a right answer from a wrong one. A `Fault` takes the place of the answer for as long as it is set.
"""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from openrouter_embeddings import EmbeddingError

from ..support.answers import Answer

LONGEST = 10.0
"""Seconds after which the server itself gives up hanging and dripping: a client that never would fails, not hangs."""
GAP = 0.02


class Gone(Exception):
    """The client has left, or the server stops."""


class Request(NamedTuple):
    """A request as it came."""

    head: bytes
    body: dict[str, Any]


class Wire:
    """The server's end of one connection."""

    def __init__(self, sock: socket.socket, stopping: threading.Event) -> None:
        self.sock = sock
        self._stopping = stopping
        self.answered = 0
        """How many answers have gone out."""
        self.open = True
        """Whether another request may come."""

    def send(self, *pieces: bytes) -> None:
        """Send bytes as they are."""
        try:
            for piece in pieces:
                self.sock.sendall(piece)
        except OSError:
            raise Gone from None

    def drip(self, pieces: Iterable[bytes]) -> None:
        """Send piece by piece, each a little later."""
        for piece in pieces:
            self.send(piece)
            if self._stopping.wait(GAP):
                raise Gone

    def drip_for_ever(self, piece: bytes) -> None:
        """Send the same piece until the client has had enough."""
        self.drip(piece for _ in range(int(LONGEST / GAP)))

    def hang(self) -> None:
        """Send nothing more; wait until the client leaves."""
        self.sock.settimeout(LONGEST)
        try:
            while self.sock.recv(65536):
                pass
        except OSError:
            pass
        raise Gone

    def reset(self) -> None:
        """Break the connection without a farewell."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise Gone

    def read_request(self) -> Request:
        """Return the next request, or raise `Gone` where none comes."""
        came = bytearray()
        while (end := came.find(b"\r\n\r\n")) < 0:
            came += self._read()
        head = bytes(came[:end])
        length = next(
            int(line.partition(b":")[2]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")
        )
        while len(came) < end + 4 + length:
            came += self._read()
        return Request(head, json.loads(came[end + 4 :]))

    def _read(self) -> bytes:
        try:
            found = self.sock.recv(65536)
        except OSError:
            raise Gone from None
        if not found:
            raise Gone
        return found


@dataclass(frozen=True)
class Fault:
    """What goes wrong, and what a client has to make of it.

    Attributes:
        name: Of the test.
        act: Answers a request in its own way.
        error: What a client without retries raises; None: it returns the right embeddings all the same.
        heals: Whether a client with its usual retries gets over it, if it strikes once.
        at_accept: It strikes before a request is read.
        closes_gate: The client waits of its own accord before it asks again.
    """

    name: str
    act: Callable[[Wire, Request], None]
    error: type[EmbeddingError] | None = None
    heals: bool = True
    at_accept: bool = False
    closes_gate: bool = False


class FaultServer:
    """A thread for each connection. `fault` strikes every request, or the next `times`."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/api/v1"
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._wires: dict[threading.Thread, Wire] = {}
        self._fault: Fault | None = None
        self._times: int | None = None
        self.requests: list[Request] = []
        self.connections = 0
        self.keep_alive = True
        """Whether a right answer leaves its connection open."""
        self._accepting = threading.Thread(target=self._accept, name="fault server", daemon=True)
        self._accepting.start()

    def strike(self, fault: Fault, times: int | None = None) -> None:
        """Let a fault answer the next requests, for ever where `times` is None."""
        self._fault, self._times = fault, times

    def heal(self) -> None:
        """Answer rightly from now on, once the connections that saw a fault are closed.

        A client that took one of them for its next request would meet a second fault.
        """
        self._fault = None
        self.wait_for_ends()

    def wait_for_ends(self, seconds: float = LONGEST) -> None:
        """Wait until no connection is open on this side."""
        for thread in list(self._wires):
            thread.join(seconds)
            assert not thread.is_alive(), "A connection is still open."

    def wait_for_struck(self) -> None:
        """Wait until the connections that are answered for the last time are closed: taken again, each is a second fault."""
        for thread, wire in list(self._wires.items()):
            if not wire.open:
                thread.join(LONGEST)

    def close(self) -> None:
        """Stop, and wait for every thread."""
        self._stopping.set()
        # A blocked accept is not woken by closing its socket, but by a last connection.
        socket.create_connection(("127.0.0.1", self.port)).close()
        self._accepting.join()
        self._listener.close()
        for thread, wire in list(self._wires.items()):
            with_errors_ignored(lambda wire=wire: wire.sock.shutdown(socket.SHUT_RDWR))
            thread.join(LONGEST)

    def _accept(self) -> None:
        while True:
            sock, _ = self._listener.accept()
            if self._stopping.is_set():
                sock.close()
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connections += 1
            wire = Wire(sock, self._stopping)
            thread = threading.Thread(target=self._serve, args=(wire,), name="fault server connection", daemon=True)
            self._wires[thread] = wire
            thread.start()

    def _serve(self, wire: Wire) -> None:
        try:
            if (fault := self._next(at_accept=True)) is not None:
                fault.act(wire, Request(b"", {}))
                return
            while wire.open:
                request = wire.read_request()
                with self._lock:
                    self.requests.append(request)
                if (fault := self._next(at_accept=False)) is None:
                    wire.open = self.keep_alive
                    wire.send(right_answer(request, keep_alive=self.keep_alive))
                else:
                    wire.open = False
                    fault.act(wire, request)
                wire.answered += 1
        except Gone:
            pass
        finally:
            wire.sock.close()
            self._wires.pop(threading.current_thread(), None)

    def _next(self, *, at_accept: bool) -> Fault | None:
        with self._lock:
            fault = self._fault
            if fault is None or fault.at_accept is not at_accept:
                return None
            if self._times is not None:
                self._times -= 1
                if self._times <= 0:
                    self._fault = None
            return fault


def with_errors_ignored(call: Callable[[], object]) -> None:
    """Do something to a socket that may be closed."""
    with contextlib.suppress(OSError):
        call()


def answer_to(request: Request) -> Answer:
    """Return the right answer to a request."""
    return Answer(request.body["input"], request.body.get("encoding_format") == "base64")


def right_body(request: Request) -> bytes:
    """Return the right answer's JSON."""
    return answer_to(request).json()


def http(
    body: bytes,
    *headers: str,
    status: str = "200 OK",
    kind: str | None = "application/json",
    length: str | None = "",
) -> bytes:
    """Return an answer's bytes. An empty `length` is the true one; None leaves the header out."""
    lines = [f"HTTP/1.1 {status}", *headers]
    if kind is not None:
        lines.append(f"Content-Type: {kind}")
    if length is not None:
        lines.append(f"Content-Length: {length or len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def right_answer(request: Request, *, keep_alive: bool = True) -> bytes:
    """Return the right answer as it goes over the wire."""
    return http(right_body(request), *([] if keep_alive else ["Connection: close"]))
