"""Every wait of a thread is cut to what is left of its exchange."""

from __future__ import annotations

import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import httpcore
import pytest

from openrouter_embeddings._transport import deadline as module
from openrouter_embeddings._transport.deadline import Deadline, DeadlineBackend

from ...support.sockets import Served, serving

EXPIRED_READ, EXPIRED_CONNECT = httpcore.ReadTimeout, httpcore.ConnectTimeout


class Network(httpcore.NetworkBackend, httpcore.NetworkStream):
    """Connections on which every wait takes a second; it notes how long each might have taken."""

    def __init__(self) -> None:
        self.now = 100.0
        self.waits: list[tuple[Any, ...]] = []

    def _wait(self, *noted: Any) -> None:
        self.waits.append(noted)
        self.now += 1.0

    def connect_tcp(self, host, port, timeout=None, local_address=None, socket_options=None):
        self._wait("connect", timeout)
        return self

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        self._wait("read", max_bytes, timeout)
        return b"x"

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._wait("write", len(buffer), timeout)

    def start_tls(self, ssl_context, server_hostname=None, timeout=None):
        self._wait("tls", server_hostname, timeout)
        return self

    def close(self) -> None:
        self.waits.append(("close",))

    def get_extra_info(self, info: str) -> Any:
        return f"the {info}"


@pytest.fixture
def network(monkeypatch) -> Network:
    made = Network()
    monkeypatch.setattr(httpcore, "SyncBackend", lambda: made)
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: made.now))
    return made


def connect() -> httpcore.NetworkStream:
    return DeadlineBackend().connect_tcp("gateway.test", 443, timeout=9.0)


def test_without_a_deadline_waits_are_what_httpcore_asks_for(network):
    stream = connect()
    stream.read(100, 5.0)
    stream.write(b"abc", None)
    assert network.waits == [("connect", 9.0), ("read", 100, 5.0), ("write", 3, None)]


def test_each_wait_is_cut_to_what_is_left(network):
    with Deadline(104.5):
        stream = connect()
        stream.read(100, 5.0)
        stream.read(100, 0.25)
        stream.read(100)
    assert [wait[-1] for wait in network.waits] == [4.5, 3.5, 0.25, 1.5]


def test_once_it_is_over_nothing_is_waited_for(network):
    with Deadline(101.0):
        stream = connect()
        for wait in (lambda: stream.read(100, 5.0), lambda: stream.write(b"abc", 5.0)):
            with pytest.raises(EXPIRED_READ):
                wait()
        for wait in (connect, lambda: stream.start_tls(ssl.create_default_context())):
            with pytest.raises(EXPIRED_CONNECT):
                wait()
        stream.close()
    assert network.waits == [("connect", 1.0), ("close",)]


def test_a_large_body_is_written_in_pieces_that_share_the_time(network):
    """Else a slow reader would get the whole time for each of them."""
    with Deadline(104.0):
        connect().write(bytes(300_000), 60.0)
    assert network.waits[1:] == [("write", 131_072, 3.0), ("write", 131_072, 2.0), ("write", 37_856, 1.0)]


def test_large_reads_take_more_at_once_and_small_ones_what_was_asked_for(network):
    stream = connect()
    stream.read(65_535)
    stream.read(65_536)
    assert [wait[1] for wait in network.waits[1:]] == [65_535, 131_072]


def test_an_encrypted_connection_is_bounded_too(network):
    with Deadline(110.0):
        encrypted = connect().start_tls(ssl.create_default_context(), "gateway.test", 60.0)
        encrypted.read(100, 60.0)
    assert network.waits[1:] == [("tls", "gateway.test", 9.0), ("read", 100, 8.0)]
    assert encrypted.get_extra_info("socket") == "the socket"


@contextmanager
def encrypted(authority, act: Callable[[socket.socket], None]) -> Iterator[httpcore.NetworkStream]:
    """Yield a stream over TLS whose server has done everything it does."""
    done = threading.Event()

    def serve(connection: socket.socket, served: Served) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else records would wait for one another
        act(connection)
        done.set()
        connection.recv(1)  # until the client leaves

    with serving(serve, tls=authority.server) as served:
        trusting = ssl.create_default_context(cafile=authority.file)
        stream = DeadlineBackend().connect_tcp("127.0.0.1", served.port).start_tls(trusting, "localhost", 10.0)
        assert done.wait(10)
        yield stream
        stream.close()


def test_what_has_come_over_tls_is_read_at_once_and_not_a_record_at_a_time(authority):
    sent = bytes(range(250)) * 200
    with (
        encrypted(authority, lambda connection: connection.sendall(sent)) as stream,
        Deadline(time.monotonic() + 10),
    ):
        assert stream.read(65_536) == sent
        with pytest.raises(EXPIRED_READ):
            stream.read(65_536, 0.01)


def test_a_small_read_over_tls_takes_no_more_than_it_asks_for(authority):
    with encrypted(authority, lambda connection: connection.sendall(bytes(50_000))) as stream:
        assert len(stream.read(100)) == 100


def test_a_fault_after_some_records_comes_after_them(authority):
    """What landed before it may be a whole answer, and the next read says why there is no more."""

    def act(connection: socket.socket) -> None:
        connection.sendall(b"whole")
        with socket.socket(fileno=os.dup(connection.fileno())) as unencrypted:
            unencrypted.sendall(b"\x17\x03\x03\x00\x20" + bytes(32))

    with encrypted(authority, act) as stream:
        assert stream.read(65_536) == b"whole"
        for _ in range(2):
            with pytest.raises(httpcore.ReadError) as caught:
                stream.read(65_536, 5.0)
            assert isinstance(caught.value.__cause__, ssl.SSLError)


def test_a_server_that_leaves_after_some_records_is_met_after_them(authority):
    def act(connection: socket.socket) -> None:
        connection.sendall(b"whole")
        connection.shutdown(socket.SHUT_WR)

    with encrypted(authority, act) as stream:
        assert stream.read(65_536) == b"whole"
        assert stream.read(65_536, 5.0) == b""


def test_a_deadline_is_one_threads_and_ends_with_its_exchange(network):
    stream = connect()
    with pytest.raises(ZeroDivisionError), Deadline(101.5):
        other = threading.Thread(target=stream.read, args=(100, 7.0))
        other.start()
        other.join()
        raise ZeroDivisionError
    stream.read(100, 8.0)
    assert [wait[-1] for wait in network.waits[1:]] == [7.0, 8.0]
