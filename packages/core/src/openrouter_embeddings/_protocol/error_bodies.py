"""The gateway's own words about a failure, read from each form in which they come."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json

from .exchange import Response

BOM = b"\xef\xbb\xbf"
_READ_MAX = 65_536
_MESSAGE_MAX = 4096
"""Characters of a message that are looked at: patterns are searched in it."""
_TITLE = re.compile(r"<title\b[^>]*>([^<]*)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ErrorBody:
    """An error as the gateway, or a server before it, reported it.

    Attributes:
        status: The HTTP status, or the one that an error inside a 200 names.
        message: Its words, "" where there are none.
        code: As sent.
        error_type: The gateway's word for the kind of error.
        provider: Who failed, where it says so.
        generation_id: For the gateway's support.
        retry_after: `availability.retry_after`, as sent.
        retryable: `availability.retryable`.
        availability: `availability.code`.
        in_200: Whether it came with a status below 300.
    """

    status: int
    message: str = ""
    code: str | int | None = None
    error_type: str | None = None
    provider: str | None = None
    generation_id: str | None = None
    retry_after: object = None
    retryable: bool | None = None
    availability: str | None = None
    in_200: bool = False


def read_error(response: Response) -> ErrorBody | None:
    """Return the error an answer holds, or None if it holds none. A status of 300 or more is always one."""
    failed = response.status >= 300
    body = response.body[:_READ_MAX] if failed or len(response.body) < _READ_MAX else b""
    try:
        parsed = from_json(body.removeprefix(BOM)) if body else None
    except ValueError:
        parsed = {"message": _of_a_page(response)} if failed else None
    error = _error_of(parsed, failed=failed)
    if not error and not failed:
        return None
    return _error_body(error, response, failed=failed)


def _of_a_page(response: Response) -> str:
    """Return the words of an error that is no JSON: a plain text, or the title of a page."""
    if response.status == 404:
        return ""  # of a place that may be anybody's: its words are not about us
    text = response.body[:_READ_MAX].decode(errors="replace")
    title = _TITLE.search(text)
    return title[1] if title else "" if "<" in text[:100] else text


def _error_of(parsed: object, *, failed: bool) -> dict[str, Any]:
    """Return the error as one mapping: the gateways' form, or those of FastAPI, Portkey and other middlemen."""
    if isinstance(parsed, list) and parsed:  # Google's
        parsed = parsed[0]
    if not isinstance(parsed, dict):
        return {}
    error = parsed.get("error")
    if not error and failed:
        error = parsed if parsed.get("message") else parsed.get("detail") or parsed.get("errors")
    fields = error if isinstance(error, dict) else {}
    return {**fields, "message": _words(error)} if error else {}


def _words(value: object) -> str:
    """Return the message in whatever it is wrapped in; of FastAPI's complaints each with its place."""
    if isinstance(value, list):
        return "; ".join(filter(None, map(_words, value)))
    if not isinstance(value, dict):
        return value if isinstance(value, str) else ""
    words = next(filter(None, (_words(value.get(name)) for name in ("message", "msg", "detail", "error"))), "")
    place = value.get("loc")
    where = ".".join(str(step) for step in place if step != "body") if isinstance(place, list) else ""
    return f"{where}: {words}" if where and words else words


def _error_body(error: dict[str, Any], response: Response, *, failed: bool) -> ErrorBody:
    """Read the classic, the availability and Infron's form, and whatever else a middleman sends."""
    metadata, availability = (_mapping(error.get(name)) for name in ("metadata", "availability"))
    code = error.get("code", availability.get("code"))
    named = next(filter(None, map(_status, (error.get("http_status"), error.get("status"), code))), None)
    error_type = error.get("error_type") or metadata.get("error_type") or error.get("type")
    retryable = availability.get("retryable")
    return ErrorBody(
        status=response.status if failed else named or 502,
        message=error.get("message", "")[:_MESSAGE_MAX],
        code=code if isinstance(code, (str, int)) else None,
        error_type=error_type if isinstance(error_type, str) else None,
        provider=text_or_none(metadata.get("provider_name")),
        generation_id=generation_id(response, None),
        retry_after=availability.get("retry_after"),
        retryable=retryable if isinstance(retryable, bool) else None,
        availability=text_or_none(availability.get("code")),
        in_200=not failed,
    )


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _status(value: object) -> int | None:
    """Return an HTTP status from 300 on, sent as a number or as text."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) == 3:
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and 300 <= value < 600 else None


def text_or_none(value: object) -> str | None:
    """Return a text that is not empty, or None."""
    return value if isinstance(value, str) and value else None


def generation_id(response: Response, in_body: object) -> str | None:
    """Return the id under which the gateway's support finds this request."""
    headers = response.headers
    return headers.get("x-generation-id") or headers.get("x-infron-request-id") or text_or_none(in_body)
