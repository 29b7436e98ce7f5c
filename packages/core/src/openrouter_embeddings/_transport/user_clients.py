"""Exchanges through an httpx client of the user's own, with its proxies, certificates, hooks and headers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import NoReturn, TypeVar

import httpx

from openrouter_embeddings._protocol import Response, TransportFailure, TransportFault
from openrouter_embeddings._validate import CLIENT_NAMES, describe_wrong_client
from openrouter_embeddings.errors import ConfigurationError

from .body import Body
from .failures import failure_of
from .targets import Headers, connect_seconds
from .unnamed import has_trailing_bytes

C = TypeVar("C", bound=httpx.Client | httpx.AsyncClient)


def made_by(function: Callable[[], C], *, is_async: bool) -> C:
    """Return the client that a function of the user's makes.

    Raises:
        ConfigurationError: It made something else.
    """
    client = function()
    if found := describe_wrong_client(client, is_async=is_async):
        name = "async_http_client" if is_async else "http_client"
        raise ConfigurationError(f"The function given as {name} must make {CLIENT_NAMES[is_async]}, not {found}.")
    return client


def exchange_with(
    client: httpx.Client,
    url: str,
    body: bytes | None,
    headers: Headers,
    *,
    max_bytes: int,
    seconds: float,
) -> Response | TransportFailure:
    """Exchange a request for its answer, in this thread.

    Raises:
        ConfigurationError: The client is closed, or the request is none that HTTP can carry.
    """
    deadline = time.monotonic() + seconds
    request = _request(client, url, body, headers, seconds)
    try:
        response = client.send(request, stream=True, follow_redirects=False)
        try:
            received = _begun(response, max_bytes)
            assert isinstance(response.stream, httpx.SyncByteStream)
            # Not iter_raw: that gives the connection back before it is looked at.
            for chunk in () if response.is_stream_consumed else response.stream:
                received.feed(chunk)
                if time.monotonic() > deadline:
                    return TransportFailure(TransportFault.TIMED_OUT)
            if has_trailing_bytes(response.stream, response.extensions):
                response.extensions["network_stream"].close()
            return _read(response, received)
        finally:
            response.close()
    except (httpx.LocalProtocolError, httpx.UnsupportedProtocol, httpx.InvalidURL) as unsendable:
        _refuse(unsendable)
    except Exception as error:  # noqa: BLE001  translated, or raised again
        return failure_of(error)


async def aexchange_with(
    client: httpx.AsyncClient,
    url: str,
    body: bytes | None,
    headers: Headers,
    *,
    max_bytes: int,
    seconds: float,
) -> Response | TransportFailure:
    """Do the same on the running loop."""
    request = _request(client, url, body, headers, seconds)
    try:
        async with asyncio.timeout(seconds) as limit:
            response = await client.send(request, stream=True, follow_redirects=False)
            try:
                received = _begun(response, max_bytes)
                assert isinstance(response.stream, httpx.AsyncByteStream)
                if not response.is_stream_consumed:
                    async for chunk in response.stream:
                        received.feed(chunk)
                if has_trailing_bytes(response.stream, response.extensions):
                    await response.extensions["network_stream"].aclose()
                return _read(response, received)
            finally:
                await response.aclose()
    except TimeoutError:
        if not limit.expired():
            raise  # of a hook or a transport of the user's
        return TransportFailure(TransportFault.TIMED_OUT)
    except (httpx.LocalProtocolError, httpx.UnsupportedProtocol, httpx.InvalidURL) as unsendable:
        _refuse(unsendable)
    except Exception as error:  # noqa: BLE001  translated, or raised again
        return failure_of(error)


def _request(
    client: httpx.Client | httpx.AsyncClient,
    url: str,
    body: bytes | None,
    headers: Headers,
    seconds: float,
) -> httpx.Request:
    """Return the request, with what the client adds to each: headers, parameters, cookies."""
    if client.is_closed:
        raise ConfigurationError(
            "The http_client is closed. Keep it open for as long as the client is used; a function has to make a new one each"
            " time."
        )
    timeout = httpx.Timeout(seconds, connect=connect_seconds(seconds))
    method = "GET" if body is None else "POST"
    return client.build_request(method, url, content=body, headers=list(headers), timeout=timeout)


def _begun(response: httpx.Response, max_bytes: int) -> Body:
    """Return the body to be filled; where a hook of the user's has read the answer already, it is full."""
    if not response.is_stream_consumed:
        return Body(response.headers.get("content-encoding", ""), max_bytes)
    body = Body("", max_bytes)
    body.feed(response.content)
    return body


def _refuse(unsendable: Exception) -> NoReturn:
    raise ConfigurationError(
        f"The request cannot be sent ({type(unsendable).__name__}): a header of it, or base_url, is not one that HTTP has."
    ) from None


def _read(response: httpx.Response, received: Body) -> Response:
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers.raw}
    return Response(response.status_code, headers, received.whole(), time.time())
