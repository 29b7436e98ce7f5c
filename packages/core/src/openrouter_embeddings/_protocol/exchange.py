"""One exchange: the body that is sent, and how it ends, with an answer or without."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from pydantic_core import to_json


@dataclass(frozen=True, slots=True)
class Response:
    """An answer that arrived whole. Header names are lower-case; `at` is wall-clock seconds since the epoch."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    at: float = 0.0


class TransportFault(Enum):
    """How an exchange can fail without an answer.

    Up to `PROXY_FAILED` nothing was sent to the gateway, so nothing was billed. After that it may have been.
    """

    DNS = "the name cannot be resolved"
    REFUSED = "the connection was refused"
    UNREACHABLE = "the host cannot be reached"
    CONNECT_TIMEOUT = "no connection in time"
    CERTIFICATE = "the certificate is not trusted"
    HOST_NAME = "the certificate is for another name"
    NOT_TLS = "plain HTTP where TLS was expected"
    TLS = "TLS could not be agreed on"
    PROXY_UNREACHABLE = "the proxy cannot be reached"
    PROXY_AUTHENTICATION = "the proxy wants other credentials"
    PROXY_REFUSED = "the proxy refused to connect"
    PROXY_FAILED = "the proxy could not connect"
    CONNECTION_LOST = "the connection broke after the request had left"
    TIMED_OUT = "no complete answer in time"
    TOO_LARGE = "more bytes than any right answer has"
    BAD_ENCODING = "the answer could not be decompressed"


@dataclass(frozen=True, slots=True)
class TransportFailure:
    """An exchange without an answer. `detail` is safe to show: a class's name, a proxy's host, OpenSSL's own words."""

    fault: TransportFault
    detail: str = ""


def merged(base: Mapping[str, Any], extra: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` with `extra` merged in field by field; where both hold a mapping, those are merged too."""
    out = dict(base)
    for key, value in extra.items():
        here = out.get(key)
        out[key] = merged(here, value) if isinstance(here, Mapping) and isinstance(value, Mapping) else value
    return out


def request_body(fields: Mapping[str, Any], inputs: Sequence[Any], encoding: str) -> bytes:
    """Return the JSON of one request: fields in stable order, so that the gateway's own cache can recognise it."""
    body = {**fields, "encoding_format": encoding, "input": inputs}
    # A field of extra_body wins over ours, `encoding_format` included.
    body["encoding_format"] = fields.get("encoding_format", encoding)
    return to_json(body)
