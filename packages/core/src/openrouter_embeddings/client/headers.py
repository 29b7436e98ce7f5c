"""The headers of a request. The key is read for each, and kept in none."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from openrouter_embeddings._validate import header_value
from openrouter_embeddings.options import Options

try:
    _VERSION = version("openrouter-embeddings")
except PackageNotFoundError:  # pragma: no cover - run from a source tree that is not installed
    _VERSION = "0"


class RequestHeaders:
    """Makes the headers of one client's requests.

    Args:
        options: The client's.
        accept_encoding: How answers may be compressed.
    """

    def __init__(self, options: Options, *, accept_encoding: str) -> None:
        self._options = options
        attribution: dict[str, str | None] = {
            "http-referer": options.app_url,
            "x-openrouter-title": options.app_title,
            "x-openrouter-categories": ",".join(options.app_categories or ()) or None,
        }
        fixed: dict[str, str | None] = {
            "content-type": "application/json",
            "accept": "application/json",
            "accept-encoding": accept_encoding,
            "user-agent": f"openrouter-embeddings/{_VERSION}",
            **(attribution if options.service.sends_attribution else {}),
            "x-session-id": options.session_id,
            "x-openrouter-cache": "true" if options.server_cache else None,
            "x-openrouter-cache-ttl": str(options.server_cache) if options.server_cache else None,
        }
        self._extra = {name.lower(): value for name, value in (options.extra_headers or {}).items()}
        self._fixed = [
            (name.encode(), value.encode("latin-1"))
            for name, value in fixed.items()
            if value is not None and name not in self._extra
        ]

    def __call__(self, keyed: bool) -> list[tuple[bytes, bytes]]:
        """Return the headers of one request, with the key or without."""
        key = self._options.key(required=False) if keyed and "authorization" not in self._extra else ""
        headers = [(b"authorization", f"Bearer {key}".encode("ascii")), *self._fixed] if key else list(self._fixed)
        for name, value in self._extra.items():
            if keyed or name != "authorization":
                headers.append((name.encode(), header_value(f"extra_headers[{name!r}]", value).encode("latin-1")))
        return headers
