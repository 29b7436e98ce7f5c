"""Clients of our own: what they are given is sent as it is, and what comes back is handed on as it is.

`httpx.Client.send` also keeps cookies, follows redirects, asks for credentials and calls hooks. A client of ours has use
for none of these, and they are a fifth of what a query costs. Which way a request takes, a proxy of the environment's
included, is still for httpx to say. Where it can no longer be asked, in a version to come, the long way is taken.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import httpx

from .errors import ConfigurationError


class DirectClient(httpx.Client):
    """A client for threads."""

    def send(self, request: httpx.Request, **how: Any) -> httpx.Response:
        """Send a request and return the answer, its body unread."""
        way_for = getattr(self, "_transport_for_url", None)
        if way_for is None or self.is_closed:  # which it raises for
            return super().send(request, **how)
        response: httpx.Response = way_for(request.url).handle_request(request)
        return response


class DirectAsyncClient(httpx.AsyncClient):
    """A client for one event loop."""

    async def send(self, request: httpx.Request, **how: Any) -> httpx.Response:
        """Send a request and return the answer, its body unread."""
        way_for = getattr(self, "_transport_for_url", None)
        if way_for is None or self.is_closed:
            return await super().send(request, **how)
        response: httpx.Response = await way_for(request.url).handle_async_request(request)
        return response


@contextmanager
def proxies_understood() -> Iterator[None]:
    """Make of what httpx raises for a proxy of the environment that it cannot use, or not without a package, our error.

    Its own would name the proxy, and a proxy's address may hold a password.
    """
    try:
        yield
    except (ValueError, ImportError, httpx.InvalidURL) as unfit:
        raise ConfigurationError(
            f"A proxy that the environment names cannot be used ({type(unfit).__name__}). Correct HTTP_PROXY, HTTPS_PROXY"
            " or ALL_PROXY, name the gateway in NO_PROXY, or install httpx[socks] for a SOCKS proxy."
        ) from None


@lru_cache(maxsize=64)
def _parsed(url: str) -> tuple[httpx.URL, bytes]:
    parsed = httpx.URL(url)
    return parsed, parsed.netloc


def direct_request(
    url: str, body: bytes | None, headers: Mapping[str, str], extensions: Mapping[str, Any]
) -> httpx.Request:
    """Return a request as it stands, to post a body or to get a page: nothing of a client's is merged into it."""
    parsed, host = _parsed(url)
    raw = [(b"host", host), *((name.encode(), value.encode("latin-1")) for name, value in headers.items())]
    if body is None:
        return httpx.Request("GET", parsed, headers=raw, extensions=dict(extensions))
    raw.append((b"content-length", str(len(body)).encode()))
    return httpx.Request("POST", parsed, headers=raw, stream=httpx.ByteStream(body), extensions=dict(extensions))
