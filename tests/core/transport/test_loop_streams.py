"""Connections of an event loop: what comes is read as it came, ends and faults are told, and each side may be slow."""

from __future__ import annotations

import asyncio
import gc
import socket
import ssl
import threading
from types import SimpleNamespace

import httpcore
import pytest

from openrouter_embeddings._transport import HttpTransport
from openrouter_embeddings._transport.loop_streams import _MOST_UNREAD, LoopBackend, _Incoming

from ...support.sockets import answering, hang, http, read_request, reset, saying, serving

BIG = 24 * 1024 * 1024
FAR = 600.0


async def connect(served) -> httpcore.AsyncNetworkStream:
    return await LoopBackend().connect_tcp("127.0.0.1", served.port, timeout=10.0)


async def read_all(stream) -> bytes:
    pieces = []
    while piece := await stream.read(10):
        pieces.append(piece)
    return b"".join(pieces)


async def test_all_that_came_is_read_and_then_the_end_as_often_as_it_is_asked_for():
    with serving(saying(b"some words, more than are asked for at a time")) as served:
        stream = await connect(served)
        await stream.write(b"hello")
        assert await read_all(stream) == b"some words, more than are asked for at a time"
        assert await stream.read(10) == b""
        await stream.aclose()


async def test_a_reset_is_a_fault_of_reading_and_of_writing():
    with serving(reset) as served:
        stream = await connect(served)
        await stream.write(b"something, of which ten bytes are read")
        with pytest.raises(httpcore.ReadError) as raised:
            await read_all(stream)
        assert isinstance(raised.value.__cause__, ConnectionResetError)
        with pytest.raises(httpcore.WriteError):
            await stream.write(b"more")
        await stream.aclose()


async def test_a_closed_connection_takes_and_gives_nothing_and_its_socket_is_closed():
    with serving(answering()) as served:
        stream = await connect(served)
        connection = stream.get_extra_info("socket")
        await stream.aclose()
        await asyncio.sleep(0)
        assert connection.fileno() == -1
        with pytest.raises(httpcore.WriteError):
            await stream.write(b"x")
        assert await stream.read(10) == b""
        assert stream.get_extra_info("is_readable")
        await stream.aclose()


async def test_a_connection_that_is_forgotten_is_closed():
    """httpcore does so where a SOCKS proxy refuses; the loop would keep it for ever."""
    with serving(answering()) as served:
        stream = await connect(served)
        connection = stream.get_extra_info("socket")
        del stream
        gc.collect()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert connection.fileno() == -1


async def test_one_that_was_encrypted_is_not_forgotten(authority):
    trusting = ssl.create_default_context(cafile=authority.file)
    with serving(answering(b"hello"), tls=authority.server) as served:
        stream = await (await connect(served)).start_tls(trusting, "localhost", 10.0)
        gc.collect()
        await asyncio.sleep(0)
        await stream.write(b"POST / HTTP/1.1\r\n\r\n")
        await stream.write(b"")
        assert await stream.read(10) == b"hello"
        await stream.aclose()


async def test_a_sender_waits_for_a_slow_reader():
    """However much it has to say: memory is bounded, and all of it arrives."""
    with serving(saying(bytes(BIG))) as served:
        stream = await connect(served)
        await stream.write(b"hello")
        incoming = stream._incoming
        before = -1
        while incoming._unread != before:  # until the loop takes no more
            before = incoming._unread
            for _ in range(20):
                await asyncio.sleep(0.001)
        assert _MOST_UNREAD < incoming._unread < 2 * _MOST_UNREAD
        assert len(await read_all(stream)) == BIG
        assert incoming._unread == 0
        await stream.aclose()


async def test_what_came_before_the_end_is_read_without_asking_for_more():
    """uvloop refuses to read on where the connection is closed."""
    asked = []
    transport = SimpleNamespace(
        pause_reading=lambda: asked.append("pause"), resume_reading=lambda: asked.append("resume")
    )
    incoming = _Incoming()
    incoming.connection_made(transport)
    for _ in range(2):
        incoming.data_received(bytes(_MOST_UNREAD))
    assert len(await incoming.read()) == _MOST_UNREAD
    assert asked == ["pause", "resume"]
    incoming.data_received(bytes(_MOST_UNREAD))
    incoming.connection_lost(None)
    assert [len(await incoming.read()) for _ in range(3)] == [_MOST_UNREAD, _MOST_UNREAD, 0]
    assert asked == ["pause", "resume", "pause"]


async def test_a_writer_waits_for_a_slow_server():
    may_read, has_read = threading.Event(), threading.Event()

    def slow(connection, served):
        may_read.wait(FAR)
        left = BIG
        while left and (piece := connection.recv(1 << 20)):
            left -= len(piece)
        has_read.set()

    with serving(slow) as served:
        stream = await connect(served)
        writing = asyncio.create_task(stream.write(bytes(BIG)))
        for _ in range(20):
            await asyncio.sleep(0.001)
        assert not writing.done()
        may_read.set()
        await writing
        assert await asyncio.to_thread(has_read.wait, FAR)
        await stream.aclose()


async def test_a_writer_does_not_wait_for_a_server_that_has_left():
    may_leave = threading.Event()
    with serving(lambda connection, served: may_leave.wait(FAR)) as served:
        stream = await connect(served)
        writing = asyncio.create_task(stream.write(bytes(BIG)))
        await asyncio.sleep(0)
        may_leave.set()
        await writing
        with pytest.raises(httpcore.WriteError):
            await stream.write(b"more")
        await stream.aclose()


async def test_a_server_that_left_while_the_loop_was_busy_is_not_asked_again():
    left = threading.Event()

    def once(connection, served):
        read_request(connection)
        connection.sendall(http(b"[1]"))
        connection.shutdown(socket.SHUT_RDWR)
        left.set()

    transport = HttpTransport(headers=lambda keyed: [], connections=4)
    with serving(once) as served:
        for _ in range(3):
            answer = await transport.aexchange(served.url, b"{}", max_bytes=1000, seconds=10.0, keyed=True)
            assert answer.body == b"[1]"
            left.wait(FAR)  # the loop sees nothing meanwhile
            left.clear()
        assert served.connections == 3
        await transport.aclose()


async def test_facts_of_the_connection():
    with serving(answering()) as served:
        stream = await connect(served)
        assert stream.get_extra_info("server_addr") == ("127.0.0.1", served.port)
        assert stream.get_extra_info("client_addr")[0] == "127.0.0.1"
        connection = stream.get_extra_info("socket")
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert stream.get_extra_info("ssl_object") is None
        assert not stream.get_extra_info("is_readable")
        await stream.aclose()


async def test_what_came_before_tls_is_never_read_as_if_it_had_been_encrypted():
    """A proxy could put its own answer there."""
    with serving(saying(http(b'"of the proxy"'))) as served:
        stream = await connect(served)
        connection = stream.get_extra_info("socket")
        await stream.write(b"hello")
        await stream._incoming._until_change()
        with pytest.raises(httpcore.ConnectError, match="before TLS began"):
            await stream.start_tls(ssl.create_default_context(), "gateway.test", 10.0)
        await asyncio.sleep(0)
        assert connection.fileno() == -1


async def test_a_handshake_that_takes_too_long_is_one_that_did_not_connect():
    with serving(hang) as served:
        stream = await connect(served)
        connection = stream.get_extra_info("socket")
        with pytest.raises(httpcore.ConnectTimeout):
            await stream.start_tls(ssl.create_default_context(), "gateway.test", 0.05)
        await asyncio.sleep(0)
        assert connection.fileno() == -1
