"""One exchange with servers that no correct HTTP stack would be: bounded in time and size, never redirected."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gzip
import json
import socket
import struct
import threading
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator

import httpx
import pytest

from openrouter_embeddings import Client, ConnectionFailedError, EmbeddingError, ResponseError, TimedOutError
from openrouter_embeddings._transport.deadline import end_waits_with_the_exchange

MODEL = "openai/text-embedding-3-small"
GOOD = json.dumps(
    {"data": [{"index": 0, "embedding": base64.b64encode(struct.pack("<3f", 1.0, 2.0, 3.0)).decode()}]}
).encode()
Answer = Callable[[socket.socket], None]


@contextlib.contextmanager
def raw_server(answer: Answer) -> Iterator[tuple[str, list[bytes]]]:
    """Serve one request per connection with whatever bytes `answer` writes."""
    seen: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def read_request(connection: socket.socket) -> bytes:
        data = b""
        while b"\r\n\r\n" not in data:
            data += connection.recv(65536)
        head, _, body = data.partition(b"\r\n\r\n")
        length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        while len(body) < length:
            body += connection.recv(65536)
        return head + b"\r\n\r\n" + body

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError):
                seen.append(read_request(connection))
                answer(connection)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1", seen
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


def head(status: int = 200, **headers: object) -> bytes:
    lines = [f"HTTP/1.1 {status} X", "content-type: application/json", "connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def whole(body: bytes, **headers: object) -> Answer:
    return lambda connection: connection.sendall(head(content_length=len(body), **headers) + body)


def ask(url: str, colour: str, **options: object):
    client = Client(MODEL, api_key="sk-test-key", base_url=url, **{"timeout": 2.0, "max_retries": 0} | options)
    if colour == "sync":
        with client:
            return client.embed_documents(["x"])
    return asyncio.run(client.as_async().embed_documents(["x"]))


both = pytest.mark.parametrize("colour", ["sync", "async"])


@both
@pytest.mark.parametrize(
    ("pack", "encoding"),
    [(gzip.compress, "gzip"), (zlib.compress, "deflate"), (lambda body: body, "identity")],
    ids=["gzip", "deflate", "identity"],
)
def test_compressed_answers_are_read(colour, pack, encoding):
    with raw_server(whole(pack(GOOD), content_encoding=encoding)) as (url, _):
        assert ask(url, colour).tolist() == [[1.0, 2.0, 3.0]]


@both
@pytest.mark.parametrize(
    ("body", "encoding"),
    [(b"not gzip", "gzip"), (gzip.compress(GOOD)[:-12], "gzip"), (GOOD, "br")],
    ids=["foreign", "cut", "unknown"],
)
def test_an_answer_that_cannot_be_decompressed_is_broken(colour, body, encoding):
    with (
        raw_server(whole(body, content_encoding=encoding)) as (url, _),
        pytest.raises(ResponseError, match="The answer could not be decompressed"),
    ):
        ask(url, colour)


@both
def test_a_gzip_bomb_is_not_unpacked(colour):
    packer = zlib.compressobj(wbits=31)
    bomb = b"".join(packer.compress(bytes(1 << 20)) for _ in range(256)) + packer.flush()
    with raw_server(whole(bomb, content_encoding="gzip")) as (url, seen):
        tracemalloc.start()
        with pytest.raises(ResponseError, match="The answer was larger than any right answer"):
            ask(url, colour, dimensions=3)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 160 * 2**20
    assert len(seen) == 1, "what was too large once is not asked for again"


@both
def test_a_body_without_end_is_left(colour):
    def endless(connection: socket.socket) -> None:
        connection.sendall(head())
        for _ in range(400):
            connection.sendall(bytes(1 << 20))

    with raw_server(endless) as (url, _), pytest.raises(ResponseError, match="larger than any right answer"):
        ask(url, colour, timeout=20.0)


@both
@pytest.mark.parametrize(
    "cut", [b"", head(content_length=500) + GOOD[:20], b"HTTP/1.1 2"], ids=["at once", "in the body", "in the head"]
)
def test_a_cut_answer_is_a_broken_connection(colour, cut):
    with (
        raw_server(lambda connection: connection.sendall(cut)) as (url, _),
        pytest.raises(ConnectionFailedError) as caught,
    ):
        ask(url, colour)
    assert "The connection broke before the answer was complete" in str(caught.value)


@both
def test_a_slow_drip_ends_with_the_timeout(colour):
    def drip(connection: socket.socket) -> None:
        connection.sendall(head(content_length=1000))
        for _ in range(100):
            connection.sendall(b" ")
            time.sleep(0.05)

    with raw_server(drip) as (url, _):
        began = time.monotonic()
        with pytest.raises(TimedOutError, match=r"No complete answer within 0\.5 s"):
            ask(url, colour, timeout=0.5)
        assert time.monotonic() - began < 3.0


@both
@pytest.mark.parametrize("where", ["headers", "body"])
def test_no_drip_holds_a_call_beyond_its_timeout(colour, where):
    """Each byte comes in time, and the last one is never followed by another."""
    start = b"HTTP/1.1 200 OK\r\nX-Slow: " if where == "headers" else head(content_length=1000)

    def drip_then_hang(connection: socket.socket) -> None:
        connection.sendall(start)
        for _ in range(4):
            time.sleep(0.2)
            connection.sendall(b"x")
        time.sleep(2.0)

    with raw_server(drip_then_hang) as (url, _):
        began = time.monotonic()
        with pytest.raises(TimedOutError):
            ask(url, colour, timeout=1.0)
        assert time.monotonic() - began < 1.5


def test_httpx_still_has_the_place_where_waits_are_bounded():
    client = end_waits_with_the_exchange(httpx.Client())
    assert type(client._transport._pool._network_backend).__module__ == "openrouter_embeddings._drive_deadline"
    client.close()


@both
def test_a_server_that_says_nothing_times_out(colour):
    with raw_server(lambda connection: time.sleep(1.0)) as (url, _), pytest.raises(TimedOutError):
        ask(url, colour, timeout=0.3)


@both
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(colour, status):
    with raw_server(whole(GOOD)) as (other, reached):
        answer = head(status, location=other, content_length=0)
        with (
            raw_server(lambda connection: connection.sendall(answer)) as (url, _),
            pytest.raises(ResponseError, match="A redirect came, and redirects are not followed"),
        ):
            ask(url, colour)
        assert reached == []


@both
def test_a_closed_port_is_no_connection(colour):
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    with pytest.raises(ConnectionFailedError, match="Could not connect"):
        ask(f"http://127.0.0.1:{port}/v1", colour)


@both
@pytest.mark.parametrize("place", ["body", "200"])
def test_a_key_that_the_gateway_repeats_is_not_shown(colour, place):
    body = json.dumps({"error": {"code": 401, "message": "bad token sk-test-key given"}}).encode()
    answer = head(200 if place == "200" else 401, content_length=len(body)) + body
    with raw_server(lambda connection: connection.sendall(answer)) as (url, _), pytest.raises(EmbeddingError) as caught:
        ask(url, colour)
    assert "sk-test-key" not in str(caught.value) + repr(vars(caught.value))
    assert "bad token [key] given" in str(caught.value)


def test_https_to_a_server_that_speaks_http_is_no_connection():
    with raw_server(whole(GOOD)) as (url, _), pytest.raises(ConnectionFailedError, match="Could not connect"):
        ask(url.replace("http://", "https://"), "sync")
