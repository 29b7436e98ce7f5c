"""A connection to whichever address of a host answers first, and none is left open."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from openrouter_embeddings._transport import connecting as module
from openrouter_embeddings._transport.connecting import connect

V6, V4 = socket.AF_INET6, socket.AF_INET
REFUSED = ConnectionRefusedError(111, "Connection refused")


class Transport:
    """A connection that only says whether it was given up."""

    def __init__(self, host: str) -> None:
        self.host, self.aborted = host, False

    def abort(self) -> None:
        self.aborted = True


class Network:
    """Addresses of the one host there is, and what a connection to each leads to."""

    def __init__(self, monkeypatch) -> None:
        self.loop = asyncio.get_running_loop()
        self.addresses: list[tuple[int, str]] = []
        self.leads_to: dict[str, Any] = {}
        self.tried: list[str] = []
        self.cancelled: list[str] = []
        self.opened: list[Transport] = []
        monkeypatch.setattr(self.loop, "getaddrinfo", self.getaddrinfo)
        monkeypatch.setattr(self.loop, "create_connection", self.create_connection)

    async def getaddrinfo(self, host: str, port: int, **_: Any) -> list[Any]:
        assert (host, port) == ("gateway.test", 443)
        return [(family, socket.SOCK_STREAM, 6, "", (address, port)) for family, address in self.addresses]

    async def create_connection(self, protocol: Any, host: str, port: int) -> tuple[Transport, Any]:
        self.tried.append(host)
        outcome = self.leads_to.get(host, "silence")
        if isinstance(outcome, Exception):
            raise outcome
        if outcome == "silence":
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.cancelled.append(host)
                raise
        self.opened.append(Transport(host))
        return self.opened[-1], protocol()

    async def connect(self) -> str:
        transport, _ = await connect(asyncio.Protocol, "gateway.test", 443)
        return transport.host


@pytest.fixture
async def network(monkeypatch) -> Network:
    monkeypatch.setattr(module, "_HEAD_START", 0.001)
    return Network(monkeypatch)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
async def test_an_address_is_taken_as_it_is(network, address):
    network.leads_to = {address: "open"}
    transport, _ = await connect(asyncio.Protocol, address, 443)
    assert transport.host == address


async def test_families_take_turns_in_the_systems_order(network):
    network.addresses = [(V6, "a"), (V6, "b"), (V6, "c"), (V4, "d"), (V4, "e")]
    network.leads_to = dict.fromkeys("abcde", REFUSED)
    with pytest.raises(ExceptionGroup, match="no address of 5 answers") as raised:
        await network.connect()
    assert network.tried == ["a", "d", "b", "e", "c"]
    assert raised.value.exceptions == (REFUSED,) * 5


async def test_a_refusal_is_followed_by_the_next_at_once(network, monkeypatch):
    monkeypatch.setattr(module, "_HEAD_START", 600.0)
    network.addresses = [(V6, "a"), (V4, "b"), (V4, "c")]
    network.leads_to = {"a": REFUSED, "b": "open"}
    assert await network.connect() == "b"
    assert network.tried == ["a", "b"]


async def test_silence_is_given_a_while_and_then_company(network):
    network.addresses = [(V6, "a"), (V4, "b"), (V4, "c")]
    network.leads_to = {"c": "open"}
    assert await network.connect() == "c"
    await asyncio.sleep(0)
    assert sorted(network.cancelled) == ["a", "b"]


async def test_of_two_that_answer_in_the_same_moment_one_is_closed(network):
    network.addresses = [(V6, "a"), (V4, "b")]
    gate = asyncio.Event()

    async def create_connection(protocol, host, port):
        network.tried.append(host)
        if len(network.tried) == 2:
            gate.set()
        await gate.wait()
        network.opened.append(Transport(host))
        return network.opened[-1], protocol()

    network.loop.create_connection = create_connection
    chosen = await network.connect()
    await asyncio.sleep(0)
    assert {transport.host: transport.aborted for transport in network.opened} == {
        host: host != chosen for host in ("a", "b")
    }


async def test_a_cancelled_wait_leaves_no_attempt_behind(network):
    network.addresses = [(V6, "a"), (V4, "b")]
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await network.connect()
    await asyncio.sleep(0)
    assert sorted(network.cancelled) == network.tried == ["a", "b"]


async def test_one_that_is_cancelled_as_it_connects_leaves_nothing_open(network):
    """Others are given up then, at which nobody may have to wait with the connection in hand."""
    network.addresses = [(V6, "a"), (V4, "b")]
    network.leads_to = {"b": "open"}
    for turns in range(12):
        connecting = asyncio.create_task(connect(asyncio.Protocol, "gateway.test", 443))
        while not network.opened:  # noqa: ASYNC110  what opens it cannot set an event in the same turn
            await asyncio.sleep(0)
        for _ in range(turns):
            await asyncio.sleep(0)
        connecting.cancel()
        (outcome,) = await asyncio.gather(connecting, return_exceptions=True)
        await asyncio.sleep(0)
        (transport,) = network.opened
        assert transport.aborted == isinstance(outcome, asyncio.CancelledError), turns
        network.opened.clear()


async def test_what_is_no_fault_of_the_network_is_raised_as_it_is(network):
    network.addresses = [(V6, "a"), (V4, "b")]
    network.leads_to = {"a": LookupError("a bug")}
    with pytest.raises(LookupError, match="a bug"):
        await network.connect()
    assert network.tried == ["a"]
