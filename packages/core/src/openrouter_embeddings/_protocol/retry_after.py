"""How long the gateway asks to wait, in each of the ways in which gateways say so."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime

_DAY = 86_400.0
_MILLISECONDS_SINCE_EPOCH = 1e11
"""An `x-ratelimit-reset` above this counts milliseconds since the epoch, below it seconds."""


def parse_retry_after(headers: Mapping[str, str], in_body: object, *, now: float) -> float | None:
    """Return the seconds the gateway asks us to wait, or None if it asks for nothing usable.

    Read in this order: `retry-after-ms`, `retry-after` (seconds or a date), the body's
    `availability.retry_after`, `x-ratelimit-reset` (seconds or milliseconds since the epoch).
    A date in the past, more than a day, NaN, infinity and negative numbers ask for nothing.

    Args:
        headers: Header names in lower case.
        in_body: `availability.retry_after` as it came.
        now: Wall-clock seconds since the epoch, to turn a date into a delay.
    """
    seconds = _asked_for(headers, in_body, now)
    return seconds if seconds is not None and seconds <= _DAY else None


def _asked_for(headers: Mapping[str, str], in_body: object, now: float) -> float | None:
    if (ms := _number(headers.get("retry-after-ms"))) is not None:
        return ms / 1000.0
    raw = headers.get("retry-after")
    if (seconds := _number(raw)) is not None:
        return seconds
    if raw and (moment := _date(raw)) is not None and moment > now:
        return moment - now
    if (seconds := _number(in_body)) is not None:
        return seconds
    if (moment := _number(headers.get("x-ratelimit-reset"))) is not None:
        moment = moment / 1000.0 if moment > _MILLISECONDS_SINCE_EPOCH else moment
        return moment - now if moment > now else None
    return None


def _number(value: object) -> float | None:
    """Return a finite number of zero or more, sent as a number or as text."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) and number >= 0.0 else None


def _date(text: str) -> float | None:
    try:
        moment = parsedate_to_datetime(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
