"""Whether to try again: by what may have been billed, not by status alone. Pure.

| billed | answers | remedy |
|---|---|---|
| surely not | no connection, 429, 503, 529 | wait, freely within the patience |
| perhaps | timed out, cut, 408, 500, 502, 504, 524, a broken 200 | one replay |
| not, and it is ours | 400, 401, 402, 403, 404, 413, 422 | none; 400 and 413 of many inputs are split |

The body's own `availability.retryable` wins over the status.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from enum import Enum

from . import errors
from ._effects import Broke, Failure
from ._limits import Pressure
from ._wire import ErrorBody
from .gateways import ErrorHint

_MILLISECONDS_SINCE_EPOCH = 1e11
"""An `x-ratelimit-reset` above this counts milliseconds since the epoch, below it seconds."""


class Remedy(Enum):
    """What may help."""

    WAIT = "the gate is closed for a while; then the same again"
    RETRY = "nothing was billed: a pause, then the same again"
    REPLAY = "it may have been billed: the same again, once"
    SPLIT = "fewer inputs at once"
    ISOLATE = "an input is at fault: find it, and spare the others"
    FLOAT = "ask for floats instead of base64"
    NONE = "nothing"


@dataclass(frozen=True, slots=True)
class Trouble:
    """What went wrong with one request, and what may help. `hint` is the way out, a whole sentence."""

    kind: type[errors.EmbeddingError]
    what: str
    hint: str
    remedy: Remedy
    pressure: Pressure = Pressure.NEUTRAL
    retry_after: float | None = None
    said: ErrorBody | None = None


TOO_LONG = Trouble(
    errors.InputTooLongError,
    "The input is too long for the model",
    "Split it into pieces, or set on_too_long.",
    Remedy.ISOLATE,
)


def asked_wait(headers: Mapping[str, str], in_body: object, *, now: float) -> float | None:
    """Return the seconds the gateway asks us to wait, or None if it asks for nothing usable.

    Read in this order: `retry-after-ms`, `retry-after` (seconds or a date), the body's
    `availability.retry_after`, `x-ratelimit-reset` (seconds or milliseconds since the epoch).
    A date in the past, NaN, infinity and negative numbers ask for nothing.

    Args:
        headers: Header names in lower case.
        in_body: `availability.retry_after` as it came.
        now: Wall-clock seconds since the epoch, to turn a date into a delay.
    """
    if (ms := _number(headers.get("retry-after-ms"))) is not None:
        return ms / 1000.0
    raw = headers.get("retry-after")
    if (seconds := _number(raw)) is not None:
        return seconds
    if raw and (at := _date(raw)) is not None and at > now:
        return at - now
    if (seconds := _number(in_body)) is not None:
        return seconds
    if (at := _number(headers.get("x-ratelimit-reset"))) is not None:
        at = at / 1000.0 if at > _MILLISECONDS_SINCE_EPOCH else at
        return at - now if at > now else None
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


_OF_MANY = re.compile(
    r"too many|batch|at most \d+ (input|item|text|string)|(input|item|array|list)s?\b.{0,40}\b(size|length|limit|more than|at most)"
    r"|payload|tokens? per request|max.{0,20}(inputs|items)|(sum|total).{0,20}tokens",
    re.IGNORECASE,
)
_OF_ENCODING = re.compile(r"encoding_format|base64", re.IGNORECASE)
_OF_LENGTH = re.compile(r"context.{0,10}length|too long|maximum.{0,30}tokens|token limit|max_tokens", re.IGNORECASE)
_OF_PARAMETER = re.compile(
    r"\b(dimensions|encoding_format)\b|(parameter|field|argument|property|['\"`])\W{0,2}(provider|user|trace|model)\b",
    re.IGNORECASE,
)
_NOT_A_MODEL = {"model_not_found", "wrong_endpoint", "no_endpoints", "model_deprecated", "model_unavailable_upstream"}
_SIZE_TYPES = {"token_limit_exceeded", "payload_too_large"}
_LENGTH_TYPES = {"context_length_exceeded", "string_too_long"}
_PERHAPS_BILLED = {408, 499, 500, 502, 504, 524}
_TURNED_AWAY = {429, 503, 529}


def trouble_with_failure(failure: Failure, *, timeout: float) -> Trouble:
    """Return what to make of an exchange without an answer."""
    because = f" ({failure.detail})" if failure.detail else ""
    if failure.broke is Broke.NOT_CONNECTED:
        return Trouble(
            errors.ConnectionFailedError,
            f"Could not connect{because}",
            "Check the base URL, the network and any proxy.",
            Remedy.RETRY,
            Pressure.FAILED,
        )
    if failure.broke is Broke.TIMED_OUT:
        return Trouble(
            errors.TimedOutError,
            f"No complete answer within {timeout:g} s",
            "Raise timeout or lower batch_size. The request may have been billed.",
            Remedy.REPLAY,
            Pressure.FAILED,
        )
    if failure.broke is Broke.CUT:
        return Trouble(
            errors.ConnectionFailedError,
            f"The connection broke before the answer was complete{because}",
            "The request may have been billed.",
            Remedy.REPLAY,
            Pressure.FAILED,
        )
    what = "was larger than any right answer" if failure.broke is Broke.TOO_LARGE else "could not be decompressed"
    return trouble_with_answer(f"the answer {what}", replay=failure.broke is Broke.GARBLED)


def trouble_with_answer(what: str, *, replay: bool = True) -> Trouble:
    """Return what to make of an answer with status 200 that breaks the contract."""
    return Trouble(
        errors.ResponseError,
        what[0].upper() + what[1:],
        "Nothing of it was used or cached.",
        Remedy.REPLAY if replay else Remedy.NONE,
        Pressure.FAILED,
    )


def trouble_with_error(
    said: ErrorBody,
    headers: Mapping[str, str],
    *,
    now: float,
    count: int,
    base64: bool,
    hints: Sequence[ErrorHint] = (),
) -> Trouble:
    """Return what to make of an error that the gateway sent, whatever status it came with.

    Args:
        said: The error as read.
        headers: Of the answer, names in lower case.
        now: Wall-clock seconds since the epoch.
        count: How many inputs the request held.
        base64: Whether the request asked for base64 of its own accord.
        hints: Errors that mean something else than their status says, at this gateway.
    """
    wait = asked_wait(headers, said.retry_after, now=now)
    kind, what, hint, remedy = _reading(said, count=count, base64=base64, hints=hints)
    if said.retryable is True and remedy in {Remedy.NONE, Remedy.REPLAY}:
        remedy = Remedy.WAIT
    elif said.retryable is False and remedy in {Remedy.WAIT, Remedy.REPLAY, Remedy.RETRY}:
        remedy = Remedy.NONE
    closing = Pressure.REFUSED if kind is errors.RateLimitError else Pressure.UNAVAILABLE
    pressure = {Remedy.WAIT: closing, Remedy.REPLAY: Pressure.FAILED}.get(remedy, Pressure.NEUTRAL)
    return Trouble(kind, what, hint, remedy, pressure, wait, said)


def _reading(
    said: ErrorBody, *, count: int, base64: bool, hints: Sequence[ErrorHint]
) -> tuple[type[errors.EmbeddingError], str, str, Remedy]:
    """Return class, opening words, way out and remedy for one error."""
    status, message = said.status, said.message
    means = next((one.means for one in hints if one.status == status and one.contains in message.lower()), None)
    if 300 <= status < 400:
        hint = "Set base_url to the address that answers. Nothing was sent to the other one."
        return errors.ResponseError, "A redirect came, and redirects are not followed", hint, Remedy.NONE
    if status == 402 or means == "insufficient_credits":
        return errors.InsufficientCreditsError, "No credit left", "Add credits or raise the key's limit.", Remedy.NONE
    if status == 401:
        return errors.AuthenticationError, "The key was refused", "Check the API key.", Remedy.NONE
    if _no_such_model(said) or means == "model_not_found":
        hint = "Check the model's id with list_models() and the provider preferences."
        return errors.ModelNotFoundError, "No provider serves the model", hint, Remedy.NONE
    if status == 403:
        hint = "A guardrail, a region or the key's rights forbid it."
        return errors.PermissionDeniedError, "Permission denied", hint, Remedy.NONE
    if status == 429:
        hint = "Lower max_concurrency or raise retry_timeout."
        return errors.RateLimitError, "Rate limited", hint, Remedy.WAIT
    if status in _TURNED_AWAY:
        return errors.ProviderUnavailableError, "No provider is available", "Try again later.", Remedy.WAIT
    if status in {404, 502, 524} and (status != 404 or said.in_200):
        hint = "Try again later. The request may have been billed."
        return errors.ProviderUnavailableError, "The provider failed", hint, Remedy.REPLAY
    if status >= 500 or status in _PERHAPS_BILLED:
        hint = "Try again later. The request may have been billed."
        return errors.ServerError, "The gateway failed", hint, Remedy.REPLAY
    return _refusal(said, message, count=count, base64=base64)


def _refusal(
    said: ErrorBody, message: str, *, count: int, base64: bool
) -> tuple[type[errors.EmbeddingError], str, str, Remedy]:
    """Read a 400, 413 or 422: of the request, of its size, or of one input."""
    refused = "The request was refused"
    if base64 and _OF_ENCODING.search(message):
        return errors.InvalidRequestError, refused, "Set encoding_format='float'.", Remedy.FLOAT
    sized = said.status == 413 or said.error_type in _SIZE_TYPES
    if count > 1 and (sized or (said.error_type not in _LENGTH_TYPES and _OF_MANY.search(message))):
        return errors.InvalidRequestError, "The batch was too large", "Lower batch_size.", Remedy.SPLIT
    long = said.status == 413 or said.error_type in _LENGTH_TYPES | _SIZE_TYPES or bool(_OF_LENGTH.search(message))
    if long:
        return TOO_LONG.kind, TOO_LONG.what, TOO_LONG.hint, TOO_LONG.remedy
    if "input_type" in message:
        hint = "Set query_input_type='' and document_input_type='' to send no input_type."
        return errors.InvalidRequestError, refused, hint, Remedy.NONE
    if _OF_PARAMETER.search(message):
        return errors.InvalidRequestError, refused, "Change or leave out the parameter it names.", Remedy.NONE
    return errors.InvalidRequestError, refused, "Change or leave out the inputs it names.", Remedy.ISOLATE


def _no_such_model(said: ErrorBody) -> bool:
    """Say whether the model is unknown: a 404, or a 400 with `model_not_found`."""
    if said.availability in _NOT_A_MODEL or said.error_type == "model_not_found" or said.code == "model_not_found":
        return True
    return said.status == 404 and not said.in_200
