"""Private parts of httpcore and h11 that nothing else in this package reaches into: there is no public name for them.

* Bytes that came and belong to no answer. The next request on the connection would take them for its own. Where the way
  to them is gone, in a version to come, no connection is trusted with a second request: slower, never wrong.
* The lock of a pool. httpcore takes it in a function written in Python: Ctrl-C there leaves it locked, and every later
  request of the client hangs.

A test fails where one of the ways is gone.
"""

from __future__ import annotations

import threading
from typing import Any

import httpcore

_WAY_TO_H11 = ("_stream", "_connection", "_h11_state")
_HTTPX_WRAPPERS = ("_stream", "_httpcore_stream")
"""A client of the user's own wraps httpcore's stream, twice."""


def has_trailing_bytes(stream: Any, extensions: Any) -> bool:
    """Return whether a connection holds bytes beyond the answer that was read from it.

    Args:
        stream: The body of the answer, read to its end, of httpcore or of httpx.
        extensions: The answer's own.
    """
    if "network_stream" not in extensions or extensions.get("http_version") == b"HTTP/2":
        return False
    part = stream
    for wrapper in _HTTPX_WRAPPERS:
        if type(part).__module__.startswith("httpx"):
            part = getattr(part, wrapper, None)
    for name in _WAY_TO_H11:
        part = getattr(part, name, None)
    return part is None or bool(part.trailing_data[0])


def take_bare_lock(pool: httpcore.ConnectionPool) -> None:
    """Have a pool that is not in use yet take a bare lock in place of its own: nothing can strike within that."""
    pool._optional_thread_lock = threading.Lock()  # type: ignore[assignment]  # noqa: SLF001
