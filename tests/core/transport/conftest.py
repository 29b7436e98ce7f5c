"""Exchanges of both colours, and certificates to make them with."""

from __future__ import annotations

import asyncio

import pytest

from openrouter_embeddings._transport import HttpTransport

from ...support.certificates import make_authority

HEADERS = [(b"authorization", b"Bearer sk-canary"), (b"content-type", b"application/json")]


@pytest.fixture(autouse=True)
def nothing_of_this_machine(monkeypatch):
    """Let no proxy and no certificates of the machine take part."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    """Yield a certificate authority that nobody trusts unless told to."""
    return make_authority(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(params=["sync", "async"])
def exchange(request):
    """Return a function that makes one exchange with a transport of its own, in this colour."""

    def run(url, body=b"{}", *, headers=HEADERS, max_bytes=1_000_000, seconds=10.0, **options):
        def sent(keyed):
            return headers() if callable(headers) else headers

        transport = HttpTransport(headers=sent, connections=4, **options)
        arguments = {"max_bytes": max_bytes, "seconds": seconds, "keyed": True}
        if request.param == "sync":
            try:
                return transport.exchange(url, body, **arguments)
            finally:
                transport.close()

        async def once():
            try:
                return await transport.aexchange(url, body, **arguments)
            finally:
                await transport.aclose()

        return asyncio.run(once())

    run.is_async = request.param == "async"
    return run
