"""Pools of connections: of which kind, with whose certificates, and closed when nobody uses them any more."""

from __future__ import annotations

import ssl
import sys
from typing import Any

import certifi
import httpcore
import pytest

from openrouter_embeddings._transport.pools import (
    LoopConnections,
    LoopPool,
    ThreadsPool,
    _trusted,
    async_pool,
    sync_pool,
)
from openrouter_embeddings._transport.proxies import Route
from openrouter_embeddings.errors import ConfigurationError

ROUTES = {
    "straight": Route(),
    "http": Route("http://p:3128", (b"user", b"word")),
    "https": Route("https://p:3128"),
    "socks": Route("socks5://p:1080"),
}


class Pool:
    """A pool that only says whether it was closed."""

    def __init__(self, *connections: Any) -> None:
        self.closed = 0
        self.connections = list(connections)

    def close(self) -> None:
        self.closed += 1

    async def aclose(self) -> None:
        self.close()


class Connection:
    def __init__(self, *, idle: bool = False, closed: bool = False) -> None:
        self.is_idle = lambda: idle
        self.is_closed = lambda: closed


@pytest.mark.parametrize("make", [sync_pool, async_pool])
@pytest.mark.parametrize(
    ("way", "kind"), [("straight", "ConnectionPool"), ("http", "HTTPProxy"), ("https", "HTTPProxy"), ("socks", "SOCKSProxy")]
)  # fmt: skip
def test_each_way_has_its_kind_of_pool(make, way, kind):
    if way == "socks":
        pytest.importorskip("socksio")
    pool = make(ROUTES[way], tls=True, connections=4)
    assert type(pool) is getattr(httpcore, kind if make is sync_pool else f"Async{kind}")


@pytest.mark.parametrize("make", [sync_pool, async_pool])
def test_a_socks_proxy_without_its_package_is_an_error_that_names_it(monkeypatch, make):
    monkeypatch.setitem(sys.modules, "socksio", None)
    with pytest.raises(ConfigurationError, match=r"socksio, which httpx\[socks\] installs\. Correct HTTP_PROXY"):
        make(ROUTES["socks"], tls=True, connections=4)


# -------------------------------------------------------------------------------------------------------- certificates


@pytest.fixture
def loaded(monkeypatch):
    """Return what was loaded into TLS contexts, none of which was made before."""
    seen: list[dict[str, Any]] = []
    create = ssl.create_default_context

    def noted(**given: Any) -> ssl.SSLContext:
        seen.append(given)
        return create(**given)

    monkeypatch.setattr(ssl, "create_default_context", noted)
    from openrouter_embeddings._transport import pools

    pools._tls_context.cache_clear()
    yield seen
    pools._tls_context.cache_clear()


def test_the_usual_authorities_are_trusted_by_one_context_of_the_process(loaded):
    assert _trusted() is _trusted()
    assert loaded == [{"cafile": certifi.where()}]


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_a_file_that_the_environment_names_is_trusted_instead(loaded, monkeypatch, authority, name):
    monkeypatch.setenv(name, str(authority.file))
    context = _trusted()
    assert loaded == [{"cafile": str(authority.file), "capath": None}]
    assert len(context.get_ca_certs()) == 1
    monkeypatch.delenv(name)
    assert _trusted() is not context


def test_the_file_that_openssl_itself_reads_goes_first(loaded, monkeypatch, authority):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    _trusted()
    assert loaded[0]["cafile"] == str(authority.file)


@pytest.mark.parametrize("name", ["SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"])
def test_a_folder_of_certificates_may_be_named(loaded, monkeypatch, tmp_path, name):
    monkeypatch.setenv(name, str(tmp_path))
    _trusted()
    assert loaded == [{"cafile": None, "capath": str(tmp_path)}]


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
@pytest.mark.parametrize("content", [None, "not a certificate"], ids=["missing", "no certificate"])
def test_certificates_that_cannot_be_read_are_an_error_that_names_the_variable(
    loaded, monkeypatch, tmp_path, name, content
):
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    monkeypatch.setenv(name, str(file))
    with pytest.raises(ConfigurationError, match=f"The certificates that {name} names cannot be read"):
        sync_pool(Route(), tls=True, connections=4)
    sync_pool(Route(), tls=False, connections=4)


# -------------------------------------------------------------------------------------------------------------- closing


def test_a_pool_that_is_closed_in_use_closes_with_the_last_exchange():
    """`close()` in one thread cuts no other thread's request, which would be paid for twice."""
    pool = Pool()
    shared = ThreadsPool(pool)
    with shared as first:
        with shared as second:
            assert first is second is pool
            shared.close()
            assert not pool.closed
        assert not pool.closed
    assert pool.closed == 1


def test_a_pool_that_nobody_uses_closes_at_once_and_may_be_used_again():
    pool = Pool()
    shared = ThreadsPool(pool)
    with shared:
        pass
    assert not pool.closed
    shared.close()
    assert pool.closed == 1


def test_an_exchange_that_fails_counts_as_ended():
    pool = Pool()
    shared = ThreadsPool(pool)
    with pytest.raises(ZeroDivisionError), shared:
        shared.close()
        raise ZeroDivisionError
    assert pool.closed == 1


async def test_a_loops_pool_that_is_closed_in_use_closes_with_the_last_exchange():
    pool = Pool()
    shared = LoopPool(pool)
    async with shared, shared:
        await shared.aclose()
        assert not pool.closed
    assert pool.closed == 1


async def test_a_loops_pool_that_is_not_used_is_closed_at_once():
    pool = Pool()
    await LoopPool(pool).aclose()
    assert pool.closed == 1


@pytest.mark.parametrize(
    ("connections", "stranded"),
    [
        ([], False),
        ([Connection()], False),
        ([Connection(), Connection(idle=True), Connection(closed=True)], False),
        ([Connection(), Connection()], True),
    ],
)
async def test_a_connection_that_is_busy_for_nobody_is_stranded(connections, stranded):
    async with (shared := LoopConnections(Pool(*connections))):
        assert shared.has_stranded_connection() is stranded
