"""The key of a request: read, and checked where the gateway takes only one."""

from __future__ import annotations

import secrets

from starlette.requests import Request

from .errors import Refused, classic


def bearer(request: Request) -> str:
    """Return the key that a request carries, or the empty string."""
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ""


def check_key(request: Request, accepted: str | None) -> None:
    """Refuse a request without a key, and one with another key than the only one that is accepted."""
    key = bearer(request)
    if not key:
        raise Refused(401, classic(401, "No auth credentials found"))
    wrong = accepted is not None and not secrets.compare_digest(key.encode(), accepted.encode())
    if wrong or key == "expired":
        raise Refused(401, classic(401, "User not found."))
