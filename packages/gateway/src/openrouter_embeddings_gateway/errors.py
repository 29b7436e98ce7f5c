"""Error bodies in the forms the gateways use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

ERROR_TYPES = {
    400: "invalid_request",
    401: "authentication",
    402: "payment_required",
    403: "permission_denied",
    404: "not_found",
    408: "timeout",
    413: "payload_too_large",
    422: "unprocessable",
    429: "rate_limit_exceeded",
    500: "server",
    502: "provider_unavailable",
    503: "provider_overloaded",
    504: "timeout",
    524: "timeout",
    529: "provider_overloaded",
}
_MESSAGES = {
    401: "No auth credentials found",
    402: "Insufficient credits. Add more using https://openrouter.ai/settings/credits",
    403: "Key limit exceeded",
    429: "Rate limit exceeded",
    503: "No available providers",
}
_AVAILABILITY = {
    400: ("model_not_found", False),
    403: ("region_restricted", False),
    404: ("no_endpoints", False),
    429: ("capacity_exhausted", True),
    503: ("temporarily_unavailable", True),
}


class Refused(Exception):
    """The request is answered with an error."""

    def __init__(self, status: int, body: Mapping[str, Any] | str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status)
        self.status = status
        self.body = body
        self.headers = dict(headers or {})


def default_message(status: int) -> str:
    """Return what the gateway says where nothing more is known."""
    return _MESSAGES.get(status) or f"Provider returned error {status}"


def classic(
    status: int, message: str | None = None, *, error_type: str | None = None, provider: str | None = None
) -> dict[str, Any]:
    """Return the form with a number as `code` and the type in the metadata."""
    metadata: dict[str, Any] = {"error_type": error_type or ERROR_TYPES.get(status, "unmapped")}
    if provider is not None:
        metadata["provider_name"] = provider
    return {"error": {"code": status, "message": message or default_message(status), "metadata": metadata}}


def availability(
    status: int,
    message: str | None = None,
    *,
    code: str | None = None,
    retryable: bool | None = None,
    retry_after: float | None = None,
    model: str | None = None,
) -> dict[str, Any]:
    """Return the form of 2026-08, which says itself whether a retry helps and has no `error.code`."""
    default_code, default_retryable = _AVAILABILITY.get(status, ("temporarily_unavailable", status >= 500))
    inner: dict[str, Any] = {
        "code": code or default_code,
        "retryable": default_retryable if retryable is None else retryable,
        "requested_models": [] if model is None else [model],
        "affected_providers": [],
        "docs_url": "https://openrouter.ai/docs/errors",
    }
    if retry_after is not None:
        inner["retry_after"] = retry_after
    return {
        "error": {
            "message": message or default_message(status),
            "error_type": ERROR_TYPES.get(status, "unmapped"),
            "http_status": status,
            "availability": inner,
        }
    }


def infron(status: int, message: str | None = None) -> dict[str, Any]:
    """Return Infron's form: the request id ends the message, the code is a string or missing."""
    said = f"{message or default_message(status)} (request id: local)"
    return {"error": {"message": said, "type": "infron_ai_error", "param": "", "code": str(status)}}


def invalid(message: str, *, error_type: str = "invalid_request") -> Refused:
    """Return a refusal of a request that is wrong in itself."""
    return Refused(400, classic(400, message, error_type=error_type))
