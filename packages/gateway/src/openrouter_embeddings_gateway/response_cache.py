"""The response cache: what was answered once is answered again, unpaid, while it is kept.

A request asks for it by header. The name of an answer is the key, the path and the body byte for byte, so a field in
another order is another request. An answer is kept as soon as it is made, whether it reaches the client or not.
"""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from starlette.requests import Request

from .errors import invalid
from .keys import bearer

_DEFAULT_SECONDS, _MOST_SECONDS = 300, 86_400
_KEPT_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class CacheRequest:
    """What a request asks of the cache."""

    name: bytes
    seconds: int
    afresh: bool
    """Whether an older answer is to be dropped first."""


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer, as it goes out again: with nothing to pay."""

    content: bytes
    source: str
    """The generation that was paid for."""
    since: float
    seconds: int


def cache_request(request: Request, raw: bytes) -> CacheRequest | None:
    """Return what a request asks of the cache, or None if it asks for nothing."""
    if not _says_yes(request, "X-OpenRouter-Cache"):
        return None
    name = hashlib.sha256()
    for part in (bearer(request).encode(), request.url.path.encode(), raw):
        name.update(hashlib.sha256(part).digest())
    return CacheRequest(name.digest(), _seconds(request), _says_yes(request, "X-OpenRouter-Cache-Clear"))


class ResponseCache:
    """The answers kept, the oldest dropped above 64 MB."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.clear()

    def clear(self) -> None:
        """Forget every answer."""
        self._kept: OrderedDict[bytes, Kept] = OrderedDict()
        self._bytes = 0

    def find(self, asked: CacheRequest) -> Kept | None:
        """Return the answer that is kept, unless it is too old or not wanted."""
        kept = self._kept.get(asked.name)
        if kept is None or (not asked.afresh and self._clock() - kept.since < kept.seconds):
            return kept
        self._drop(asked.name)
        return None

    def keep(self, asked: CacheRequest, content: bytes, source: str) -> None:
        """Keep an answer for as long as was asked."""
        self._drop(asked.name)
        self._kept[asked.name] = Kept(content, source, self._clock(), asked.seconds)
        self._bytes += len(content)
        while self._bytes > _KEPT_BYTES:
            self._drop(next(iter(self._kept)))

    def hit(self, kept: Kept) -> dict[str, str]:
        """Return the headers of an answer from the cache."""
        return {
            "X-OpenRouter-Cache-Status": "HIT",
            "X-OpenRouter-Cache-Age": str(int(self._clock() - kept.since)),
            "X-OpenRouter-Cache-TTL": str(kept.seconds),
            "X-OpenRouter-Cache-Source-Id": kept.source,
        }

    def _drop(self, name: bytes) -> None:
        if (kept := self._kept.pop(name, None)) is not None:
            self._bytes -= len(kept.content)


def miss(asked: CacheRequest) -> dict[str, str]:
    """Return the headers of an answer that was not in the cache."""
    return {"X-OpenRouter-Cache-Status": "MISS", "X-OpenRouter-Cache-TTL": str(asked.seconds)}


def _says_yes(request: Request, header: str) -> bool:
    return request.headers.get(header, "").strip().lower() == "true"


def _seconds(request: Request) -> int:
    header = "X-OpenRouter-Cache-TTL"
    given = request.headers.get(header, str(_DEFAULT_SECONDS)).strip()
    # What the real gateway does with a wrong one is not known; a test should hear of it.
    if not (given.isascii() and given.isdigit() and len(given) <= 5 and 1 <= int(given) <= _MOST_SECONDS):
        raise invalid(f"{header}: expected whole seconds from 1 to {_MOST_SECONDS}")
    return int(given)
