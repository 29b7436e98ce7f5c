"""What went wrong on the way, in our words. The foreign exception stays behind: it holds the request, and so the key."""

from __future__ import annotations

import logging
import os
import socket
import ssl
from collections.abc import Iterator

import httpcore
import httpx

from openrouter_embeddings._protocol import TransportFailure, TransportFault

from .body import BadEncoding, TooLarge
from .proxies import Route

_log = logging.getLogger("openrouter_embeddings")
_TIMED_OUT = (httpx.ReadTimeout, httpx.WriteTimeout, httpcore.ReadTimeout, httpcore.WriteTimeout)
_CONNECT_TIMED_OUT = (httpx.ConnectTimeout, httpx.PoolTimeout, httpcore.ConnectTimeout, httpcore.PoolTimeout)
_NOT_CONNECTED = (httpx.ConnectError, httpcore.ConnectError)
_BY_PROXY = (httpx.ProxyError, httpcore.ProxyError)
_LOST = (
    httpx.NetworkError, httpx.RemoteProtocolError, httpx.CloseError, httpx.StreamError, httpx.DecodingError,
    httpcore.NetworkError, httpcore.RemoteProtocolError, ssl.SSLError,
)  # fmt: skip
_NOT_TLS = {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG"}
_WRONG_NAME = {62, 64}  # OpenSSL's X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH
_STILL_SHAKING_HANDS = (ssl.SSLWantReadError, ssl.SSLWantWriteError)
_CUT = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ConnectionResetError, ConnectionAbortedError, BrokenPipeError)


def failure_of(error: Exception, route: Route | None = None) -> TransportFailure:
    """Return what an exception of the transport means; one that is not the transport's is raised again.

    Args:
        error: What was raised.
        route: The way that the request took; None in a client of the user's, which runs code of theirs: an OSError of
            that is no connection's.
    """
    name = type(error).__name__
    _log.debug("no complete answer: %s", name)
    if isinstance(error, TooLarge):
        return TransportFailure(TransportFault.TOO_LARGE)
    if isinstance(error, BadEncoding):
        return TransportFailure(TransportFault.BAD_ENCODING)
    if isinstance(error, _BY_PROXY) or type(error).__module__.startswith("socksio"):
        return _of_proxy(error, route)
    if isinstance(error, _NOT_CONNECTED):
        return _not_connected(error, route)
    if isinstance(error, _CONNECT_TIMED_OUT):
        fault = TransportFault.PROXY_UNREACHABLE if _proxy_name(route) else TransportFault.CONNECT_TIMEOUT
        return TransportFailure(fault, _proxy_name(route))
    if isinstance(error, _TIMED_OUT) or (isinstance(error, TimeoutError) and route is not None):
        return TransportFailure(TransportFault.TIMED_OUT)
    if isinstance(error, _LOST) or (isinstance(error, OSError) and route is not None):
        return TransportFailure(TransportFault.CONNECTION_LOST, name)
    raise error


def _of_proxy(error: Exception, route: Route | None) -> TransportFailure:
    """Read a proxy's refusal: an HTTP one begins with its status, the words for a SOCKS one are httpcore's."""
    words = str(error)
    status = words[:3] if words[:3].isdigit() else ""
    detail = ", ".join(filter(None, [_proxy_name(route), status]))
    # tinyproxy answers no password with 407 and a wrong one with 401.
    if status in {"401", "407"} or words.startswith(("Invalid username/password", "Requested ")):
        return TransportFailure(TransportFault.PROXY_AUTHENTICATION, detail)
    if status.startswith("4") or "not allowed" in words:
        return TransportFailure(TransportFault.PROXY_REFUSED, detail)
    return TransportFailure(TransportFault.PROXY_FAILED, detail)


def _not_connected(error: Exception, route: Route | None) -> TransportFailure:
    """Say why there is no connection: what is hidden in the chain of causes tells."""
    proxy = _proxy_name(route)
    detail = type(error).__name__
    for cause in _chain(error):
        if isinstance(cause, _STILL_SHAKING_HANDS):
            continue
        if isinstance(cause, ssl.SSLCertVerificationError):
            if cause.verify_code in _WRONG_NAME:
                return TransportFailure(TransportFault.HOST_NAME)
            return TransportFailure(TransportFault.CERTIFICATE, cause.verify_message)
        if isinstance(cause, _CUT) or type(cause).__name__ == "EndOfStream":  # anyio's
            return TransportFailure(TransportFault.UNREACHABLE, "connection cut")  # at once, or in the TLS handshake
        if isinstance(cause, ssl.SSLError):
            reason = getattr(cause, "reason", None) or type(cause).__name__
            return TransportFailure(TransportFault.NOT_TLS if reason in _NOT_TLS else TransportFault.TLS, reason)
        if isinstance(cause, OSError) and proxy:
            break
        if isinstance(cause, socket.gaierror):
            return TransportFailure(TransportFault.DNS)
        if isinstance(cause, ConnectionRefusedError):
            return TransportFailure(TransportFault.REFUSED)
        if isinstance(cause, OSError) and cause.errno:
            detail = os.strerror(cause.errno)
    return TransportFailure(TransportFault.PROXY_UNREACHABLE if proxy else TransportFault.UNREACHABLE, proxy or detail)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception, those that it came from, and those in their groups."""
    waiting: list[BaseException | None] = [error]
    seen = set[int]()
    while waiting:
        cause = waiting.pop(0)
        if cause is None or id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        waiting += [cause.__cause__, cause.__context__]
        waiting += cause.exceptions if isinstance(cause, BaseExceptionGroup) else []


def _proxy_name(route: Route | None) -> str:
    return route.proxy_name if route is not None else ""
