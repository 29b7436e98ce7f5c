"""Bytes that came and belong to no answer: the next request on the connection would take them for its own.

This is the one place that reaches into private parts of httpcore and h11: neither has a public name for what a
connection holds beyond an answer. Where the way there is gone, in a version to come, no connection is trusted with a
second request: slower, never wrong. A test fails when it is.
"""

from __future__ import annotations

from typing import Any

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
