"""What went wrong on the way, in our words. The foreign exception stays behind: it holds the request, and so the key."""

from __future__ import annotations

import logging
import socket
import ssl
from collections.abc import Iterator

import httpcore
import httpx

from openrouter_embeddings._protocol import TransportFailure, TransportFault

from .body import BadEncoding, TooLarge
from .proxies import Route

_log = logging.getLogger("openrouter_embeddings")
_TIMED_OUT = (TimeoutError, httpx.ReadTimeout, httpx.WriteTimeout, httpcore.ReadTimeout, httpcore.WriteTimeout)
_CONNECT_TIMED_OUT = (httpx.ConnectTimeout, httpx.PoolTimeout, httpcore.ConnectTimeout, httpcore.PoolTimeout)
_NOT_CONNECTED = (httpx.ConnectError, httpcore.ConnectError)
_BY_PROXY = (httpx.ProxyError, httpcore.ProxyError)
_LOST = (
    httpx.NetworkError, httpx.RemoteProtocolError, httpx.CloseError, httpx.StreamError, httpx.DecodingError,
    httpcore.NetworkError, httpcore.RemoteProtocolError,
)  # fmt: skip


def failure_of(error: Exception, route: Route | None = None) -> TransportFailure:
    """Return what an exception of the transport means; one that is not the transport's is raised again.

    Args:
        error: What was raised.
        route: The way that the request took, where it is known.
    """
    name = type(error).__name__
    _log.debug("no complete answer: %s", name)
    if isinstance(error, TooLarge):
        return TransportFailure(TransportFault.TOO_LARGE)
    if isinstance(error, BadEncoding):
        return TransportFailure(TransportFault.BAD_ENCODING)
    if isinstance(error, _BY_PROXY):
        return _of_proxy(error, route)
    if isinstance(error, _NOT_CONNECTED):
        return _not_connected(error, route)
    if isinstance(error, _CONNECT_TIMED_OUT):
        proxied = route is not None and route.proxy is not None
        fault = TransportFault.PROXY_UNREACHABLE if proxied else TransportFault.CONNECT_TIMEOUT
        return TransportFailure(fault, _proxy_name(route))
    if isinstance(error, _TIMED_OUT):
        return TransportFailure(TransportFault.TIMED_OUT)
    # A client of the user's own runs code of theirs: an OSError of that is no connection's.
    if isinstance(error, _LOST) or (isinstance(error, OSError) and route is not None):
        return TransportFailure(TransportFault.CONNECTION_LOST, name)
    raise error


def _of_proxy(error: Exception, route: Route | None) -> TransportFailure:
    """Read a proxy's refusal, which begins with its status."""
    status = str(error)[:3]
    detail = ", ".join(filter(None, [_proxy_name(route), status if status.isdigit() else ""]))
    if status == "407" or "Invalid username/password" in str(error):
        return TransportFailure(TransportFault.PROXY_AUTHENTICATION, detail)
    if status.startswith("4"):
        return TransportFailure(TransportFault.PROXY_REFUSED, detail)
    return TransportFailure(TransportFault.PROXY_FAILED, detail)


def _not_connected(error: Exception, route: Route | None) -> TransportFailure:
    """Say why there is no connection: what is hidden in the chain of causes tells."""
    proxied = route is not None and route.proxy is not None
    for cause in _chain(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            of_name = "ostname mismatch" in str(cause) or "IP address mismatch" in str(cause)
            return TransportFailure(TransportFault.HOST_NAME if of_name else TransportFault.CERTIFICATE)
        if isinstance(cause, (ssl.SSLEOFError, ssl.SSLZeroReturnError)):
            return TransportFailure(TransportFault.UNREACHABLE, "TLS handshake cut")
        if isinstance(cause, ssl.SSLError):
            plain = cause.reason in {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG"}
            fault = TransportFault.NOT_TLS if plain else TransportFault.TLS
            return TransportFailure(fault, cause.reason or type(cause).__name__)
        if proxied and isinstance(cause, OSError):
            return TransportFailure(TransportFault.PROXY_UNREACHABLE, _proxy_name(route))
        if isinstance(cause, socket.gaierror):
            return TransportFailure(TransportFault.DNS)
        if isinstance(cause, ConnectionRefusedError):
            return TransportFailure(TransportFault.REFUSED)
    if proxied:
        return TransportFailure(TransportFault.PROXY_UNREACHABLE, _proxy_name(route))
    # anyio tells of a refusal in words only, where a name has several addresses.
    refused = "refused" in str(error).lower() or "all connection attempts failed" in str(error).lower()
    return TransportFailure(TransportFault.REFUSED if refused else TransportFault.UNREACHABLE, type(error).__name__)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception, those that it came from, and those in their groups."""
    waiting: list[BaseException | None] = [error]
    seen = set[int]()
    while waiting:
        one = waiting.pop(0)
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        waiting += [one.__cause__, one.__context__]
        waiting += one.exceptions if isinstance(one, BaseExceptionGroup) else []


def _proxy_name(route: Route | None) -> str:
    return route.proxy_name if route is not None else ""
