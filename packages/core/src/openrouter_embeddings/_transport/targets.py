"""Where a request goes, and how it looks on the wire."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import httpcore
import httpx

from .proxies import Route, route_to

Headers: TypeAlias = Sequence[tuple[bytes, bytes]]
_CONNECT_SECONDS = 10.0


def connect_seconds(seconds: float) -> float:
    """Return how long to connect, in an exchange of so many seconds: less, so that the error can say what took too long."""
    return min(_CONNECT_SECONDS, 0.9 * seconds)


@dataclass(slots=True, eq=False)
class Target:
    """One address, and the way there."""

    url: httpcore.URL
    host: bytes
    route: Route
    tls: bool

    @classmethod
    def of(cls, url: str) -> Target:
        parsed = httpx.URL(url)
        return cls(httpcore.URL(url), parsed.netloc, route_to(url), parsed.scheme == "https")

    def request(self, body: bytes | None, headers: Headers, seconds: float) -> httpcore.Request:
        """Return a request to post a body, or to get a page where there is none."""
        raw = [(b"host", self.host), *headers]
        waits = {"connect": connect_seconds(seconds), "read": seconds, "write": seconds, "pool": seconds}
        if body is None:
            return httpcore.Request(b"GET", self.url, headers=raw, extensions={"timeout": waits})
        raw.append((b"content-length", b"%d" % len(body)))
        return httpcore.Request(b"POST", self.url, headers=raw, content=body, extensions={"timeout": waits})
