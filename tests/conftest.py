"""What holds for every test: no socket beyond this machine, no key from the outside, no telemetry."""

from __future__ import annotations

import ipaddress
import os
import signal
import socket
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from openrouter_embeddings.client import unpickled

# Set while conftest is imported: the frameworks read these when they are imported themselves.
for name in [name for name in os.environ if name.startswith(("OPENROUTER_", "INFRON_", "OPENAI_COMPATIBLE_"))]:
    # These are orders to the tests, not to the library.
    if not name.startswith(
        tuple(
            f"OPENROUTER_EMBEDDINGS_{order}"
            for order in ("FUZZ_", "ENDURANCE", "ENGINES", "FIELD", "NEIGHBOURS", "SEEDS", "STORES")
        )
    ):
        del os.environ[name]
os.environ.update(
    {
        "HAYSTACK_TELEMETRY_ENABLED": "False",
        "ANONYMIZED_TELEMETRY": "False",
        "LANGCHAIN_TRACING_V2": "false",
        "LANGSMITH_TRACING": "false",
        "HF_HUB_OFFLINE": "1",
        "OPENBLAS_NUM_THREADS": "1",
        # A proxy of the machine's must not stand between a test and the gateway on loopback.
        "NO_PROXY": "127.0.0.1,localhost,::1",
        "no_proxy": "127.0.0.1,localhost,::1",
    }
)
# Begun in the background, this process ignores Ctrl-C, and so would the ones that a test begins to interrupt them.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


class SocketRefusedError(RuntimeError):
    """A test tried to leave the machine. Not an OSError: a client must not take it for a network that is down."""


def stays_here(family: int, address: Any) -> bool:
    """Return whether a socket's address is on this machine."""
    if family not in {socket.AF_INET, socket.AF_INET6}:
        return True
    host = address[0]
    if host in {"localhost", ""}:
        return True
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


@pytest.fixture(autouse=True)
def no_socket_beyond_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse every connection that would leave the machine."""
    connect, connect_ex = socket.socket.connect, socket.socket.connect_ex

    def guard(sock: socket.socket, address: Any) -> None:
        if not stays_here(sock.family, address):
            raise SocketRefusedError(f"A test tried to connect to {address!r}; only loopback is allowed.")

    def guarded_connect(self: socket.socket, address: Any) -> None:
        guard(self, address)
        return connect(self, address)

    def guarded_connect_ex(self: socket.socket, address: Any) -> int:
        guard(self, address)
        return connect_ex(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded_connect)
    monkeypatch.setattr(socket.socket, "connect_ex", guarded_connect_ex)


# Where processes of their own are what is tested. Elsewhere they would cost half as much again and tell nothing new.
MEASURED_PROCESSES = {"cli", "gateway"}
FOR_PROCESSES = "COVERAGE_PROCESS_CONFIG"
"""What tells them to be measured."""


@pytest.fixture(autouse=True, scope="module")
def _processes_are_measured_where_they_are_the_point(request: pytest.FixtureRequest) -> Iterator[None]:
    """Let coverage follow into the processes that a file's tests start, or not."""
    if request.path.parent.name in MEASURED_PROCESSES:
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(FOR_PROCESSES, raising=False)
        yield


@pytest.fixture
def unmeasured_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let coverage follow into no process of a test: Ctrl-C may leave its lock locked, and then the process hangs."""
    monkeypatch.delenv(FOR_PROCESSES, raising=False)


@pytest.fixture(scope="module")
def unmeasured() -> Iterator[None]:
    """Run a file's tests without coverage: simulations go through the same lines a million times."""
    coverage = sys.modules.get("coverage")
    measuring = coverage.Coverage.current() if coverage is not None else None
    if measuring is None:
        yield
        return
    measuring.stop()
    yield
    measuring.start()


@pytest.fixture
def no_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take nothing of the random part of every pause: what is told to be waited for is waited for, and no more."""
    monkeypatch.setattr("random.random", lambda: 0.0)


@pytest.fixture(autouse=True)
def no_client_of_an_earlier_test() -> None:
    """Forget the clients that earlier tests have unpickled."""
    unpickled._states.clear()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put files that take long first, so that no worker ends alone with one of them."""
    long = ("simulation", "examples", "packaging", "endurance")
    items.sort(key=lambda item: item.path.parent.name not in long)
