"""Servers on plain sockets, on loopback: of HTTP, of TLS, and proxies that let through, refuse or fail."""

from __future__ import annotations

import contextlib
import selectors
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

Act = Callable[[socket.socket], None]


@dataclass
class Served:
    """What a server has seen."""

    port: int
    connections: int = 0
    requests: list[bytes] = field(default_factory=list)
    open: list[socket.socket] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Its address, over plain HTTP."""
        return f"http://127.0.0.1:{self.port}/v1/embeddings"


@contextlib.contextmanager
def serving(act: Callable[[socket.socket, Served], None], *, tls: ssl.SSLContext | None = None) -> Iterator[Served]:
    """Serve every connection in a thread of its own; it is closed when `act` returns."""
    listener = socket.create_server(("127.0.0.1", 0))
    served, threads, stopping = Served(listener.getsockname()[1]), list[threading.Thread](), threading.Event()

    def serve(accepted: socket.socket) -> None:
        with (
            contextlib.suppress(OSError),
            accepted if tls is None else tls.wrap_socket(accepted, server_side=True) as connection,
        ):
            served.open.append(connection)
            act(connection, served)
            connection.shutdown(socket.SHUT_RDWR)

    def accept() -> None:
        while True:
            connection, _ = listener.accept()
            if stopping.is_set():
                connection.close()
                return
            served.connections += 1
            thread = threading.Thread(target=serve, args=(connection,), daemon=True)
            threads.append(thread)
            thread.start()

    accepting = threading.Thread(target=accept, daemon=True)
    accepting.start()
    try:
        yield served
    finally:
        stopping.set()
        socket.create_connection(("127.0.0.1", served.port)).close()
        accepting.join(10)
        listener.close()
        for connection in served.open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join(10)


def read_request(connection: socket.socket) -> bytes:
    """Return the next request, head and body, or nothing where the client has left."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        if not piece:
            return b""
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    length = next((int(line[15:]) for line in lines if line.startswith(b"content-length:")), 0)
    while len(body) < length:
        piece = connection.recv(65536)
        if not piece:
            return b""
        body += piece
    return head + b"\r\n\r\n" + body


def http(body: bytes = b"{}", *headers: str, status: str = "200 OK") -> bytes:
    """Return an answer's bytes."""
    lines = [f"HTTP/1.1 {status}", "Content-Type: application/json", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def answering(answer: bytes | Callable[[bytes], bytes] = http()) -> Callable[[socket.socket, Served], None]:  # noqa: B008
    """Return what answers every request of a connection, all alike or by the request."""

    def act(connection: socket.socket, served: Served) -> None:
        while request := read_request(connection):
            served.requests.append(request)
            connection.sendall(answer(request) if callable(answer) else answer)

    return act


def cut(connection: socket.socket, served: Served) -> None:
    """Take a few bytes and close, the rest unread: the client sees a reset."""
    connection.recv(10)


def leave(connection: socket.socket, served: Served) -> None:
    """Read what comes first, and say good-bye in order."""
    connection.recv(65536)


def reset(connection: socket.socket, served: Served) -> None:
    """Break the connection without a farewell."""
    connection.recv(10)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def saying(data: bytes) -> Callable[[socket.socket, Served], None]:
    """Return what reads once and says something, whatever came."""

    def act(connection: socket.socket, served: Served) -> None:
        served.requests.append(connection.recv(65536))
        connection.sendall(data)

    return act


def hang(connection: socket.socket, served: Served) -> None:
    """Read, and never say anything; it ends when the client leaves."""
    while connection.recv(65536):
        pass


def dripping(start: bytes, piece: bytes = b" ") -> Callable[[socket.socket, Served], None]:
    """Return what begins to answer, and then sends a piece at a time until the client leaves."""

    def act(connection: socket.socket, served: Served) -> None:
        read_request(connection)
        connection.sendall(start)
        with contextlib.suppress(OSError):
            while True:
                time.sleep(0.02)
                connection.sendall(piece)

    return act


def closed_port() -> int:
    """Return a port at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as unused:
        return int(unused.getsockname()[1])


# ----------------------------------------------------------------------------------------------------------------- proxies


def tunnel(connection: socket.socket, port: int) -> None:
    """Carry bytes both ways until one side has had enough."""
    with socket.create_connection(("127.0.0.1", port)) as other, selectors.DefaultSelector() as selector:
        selector.register(connection, selectors.EVENT_READ, other)
        selector.register(other, selectors.EVENT_READ, connection)
        while True:
            for key, _ in selector.select():
                data = key.fileobj.recv(65536)  # type: ignore[union-attr]
                if not data:
                    return
                key.data.sendall(data)


def http_proxy(port: int, status: str = "200 Connected") -> Callable[[socket.socket, Served], None]:
    """Return a proxy that lets every CONNECT through to one port, or refuses it with a status."""

    def act(connection: socket.socket, served: Served) -> None:
        served.requests.append(read_request(connection))
        connection.sendall(f"HTTP/1.1 {status}\r\n\r\n".encode())
        if status.startswith("200"):
            tunnel(connection, port)

    return act


def socks_proxy(
    port: int, *, method: int = 0, accepts: bool = True, reply: int = 0
) -> Callable[[socket.socket, Served], None]:
    """Return a SOCKS5 proxy.

    Args:
        port: Where every connection goes.
        method: How it wants clients to identify themselves: 0 not at all, 2 by user and password, 255 in no way of theirs.
        accepts: Whether it takes user and password.
        reply: Its answer to the wish to connect: 0 for yes, 2 for not allowed, 5 for refused.
    """

    def act(connection: socket.socket, served: Served) -> None:
        connection.recv(4096)
        connection.sendall(bytes([5, method]))
        if method == 2:
            served.requests.append(connection.recv(4096))
            connection.sendall(bytes([1, 0 if accepts else 1]))
        served.requests.append(connection.recv(4096))
        connection.sendall(bytes([5, reply, 0, 1, 0, 0, 0, 0, 0, 0]))
        if reply == 0:
            tunnel(connection, port)

    return act
