"""What an error that the gateway sent means: an ordered table of rules, the first that applies wins."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from openrouter_embeddings import errors
from openrouter_embeddings._limits import Load
from openrouter_embeddings.gateways import ErrorHint

from .diagnosis import TOO_LONG, Diagnosis, Remedy
from .error_bodies import ErrorBody
from .retry_after import parse_retry_after

_COUNT = r"(?<!\d)(\d{1,9})(?!\d|\W{0,2}(?:token|char))"
_BATCH_LIMIT = re.compile(
    rf"at most {_COUNT} (?:input|item|text|string|element|request)|{_COUNT} instance\(s\) is allowed"
    rf"|(?:array|list|inputs|texts|batch)\b.{{0,60}}\b(?:maximum|max|at most|limit|exceed|larger than)\D{{0,25}}{_COUNT}",
    re.IGNORECASE,
)
_OF_MANY = re.compile(
    r"too many|batch|(inputs|items|array|list)\b.{0,40}\b(size|length|limit|more than)|payload|request (body|entity)"
    r"|tokens? per request|max.{0,20}(inputs|items)|(sum|total).{0,20}tokens|at most \d+ (item|input|text|request)"
    r"|texts must be at most|instance\(s\) is allowed",
    re.IGNORECASE,
)
_OF_ENCODING = re.compile(r"encoding_format|base64", re.IGNORECASE)
_OF_LENGTH = re.compile(
    r"context.{0,10}length|too long|(maximum|max|less than|at most)\b.{0,30}(tokens|characters)|token (limit|size)"
    r"|max_tokens|input length|too many (input )?tokens|exceed\w*.{0,25}(length|tokens)|(length|tokens?)\b.{0,20}exceed",
    re.IGNORECASE,
)
_OF_A_CONTEXT = re.compile(r"too large to process|physical batch size|available context size", re.IGNORECASE)
"""llama.cpp, where a batch is what one input may fill, and a refusal may have status 500."""
_OF_DIMENSIONS = re.compile(r"dimension|\btruncate_dim\b", re.IGNORECASE)
_OF_PARAMETER = re.compile(
    r"\bencoding_format\b|(parameter|field|argument|property|['\"`])\W{0,2}(provider|user|trace|model)\b"
    r"|(extra|unknown|unrecognized|unsupported) (inputs|fields?|parameters?|arguments?)",
    re.IGNORECASE,
)
_OF_A_MODEL = re.compile(r"model|deployment|no endpoints|provider|guardrail|data policy", re.IGNORECASE)
_OF_NO_MODEL = re.compile(
    r"(invalid|unknown|not a valid) model|model\b[^.]{0,80}\b(not exist|not found|is not supported)"
    r"|not support embeddings",
    re.IGNORECASE,
)
_OF_AN_ADDRESS = re.compile(r"unexpected endpoint or method", re.IGNORECASE)
_OF_TLS = re.compile(r"plain http request was sent to https port|http request to an https server", re.IGNORECASE)
_OF_THE_KEY = re.compile(r"api key not valid|(invalid|incorrect) api key", re.IGNORECASE)
_OF_CREDIT = re.compile(
    r"balance is insufficient|insufficient (balance|credits?|funds)|budget has been exceeded", re.IGNORECASE
)
_NOT_A_MODEL = {"model_not_found", "wrong_endpoint", "no_endpoints", "model_deprecated", "model_unavailable_upstream"}
_NO_CREDIT = {"insufficient_quota", "insufficient_credits", "budget_exceeded"}
_SIZE_TYPES = {"token_limit_exceeded", "payload_too_large"}
_LENGTH_TYPES = {"context_length_exceeded", "string_too_long"}
_PERHAPS_BILLED = {408, 499, 500, 502, 504, 524}
_TURNED_AWAY = {503, 529}


@dataclass(frozen=True, slots=True)
class _Case:
    """One error, as the rules look at it."""

    body: ErrorBody
    count: int
    base64: bool
    means: str | None
    wants_password: bool = False
    """Whether the server asks for a user and a password: no gateway does, a proxy or a web server before it may."""

    @property
    def status(self) -> int:
        return self.body.status

    @property
    def kinds(self) -> set[object]:
        """What it is called: by the gateway's words for it, or by what they mean at this gateway."""
        return {self.body.error_type, self.body.code, self.body.availability, self.means}

    @property
    def names_no_model(self) -> bool:
        """Whether the model is unknown: a 404 that speaks of one, or a code that says so."""
        return not self.kinds.isdisjoint(_NOT_A_MODEL) or (
            self.status == 404 and not self.body.in_200 and self.of_(_OF_A_MODEL)
        )

    @property
    def of_too_many(self) -> bool:
        """Whether the number of inputs, or their sum, was too large."""
        sized = self.status == 413 or self.body.error_type in _SIZE_TYPES
        many = self.of_(_OF_MANY) or (sized and not self.of_a_length)
        return self.count > 1 and many and self.body.error_type not in _LENGTH_TYPES

    @property
    def of_a_length(self) -> bool:
        """Whether an input was too long."""
        return self.body.error_type in _LENGTH_TYPES or self.of_(_OF_LENGTH)

    def of_(self, words: re.Pattern[str]) -> bool:
        """Return whether the message speaks of something."""
        return bool(words.search(self.body.message))


def _of(kind: type[errors.EmbeddingError], summary: str, advice: str, remedy: Remedy = Remedy.NONE) -> Diagnosis:
    # Not a 403, which may be about one provider or one input.
    ends = kind in {errors.AuthenticationError, errors.InsufficientCreditsError}
    return Diagnosis(kind, summary, advice, remedy, ends_calls=ends)


def _refused(advice: str, remedy: Remedy = Remedy.NONE) -> Diagnosis:
    return _of(errors.InvalidRequestError, "The request was refused", advice, remedy)


_NO_MODEL = _of(
    errors.ModelNotFoundError,
    "No provider serves the model",
    "Check the model's id with list_models() and the provider preferences.",
)
_TOO_MANY = _of(errors.InvalidRequestError, "The batch was too large", "Lower batch_size.", Remedy.SPLIT)
_LATER = "Try again later. The request may have been billed."
_RULES: Sequence[tuple[Callable[[_Case], bool], Diagnosis]] = (
    (
        lambda case: 300 <= case.status < 400,
        _of(
            errors.ResponseError,
            "A redirect came, and redirects are not followed",
            "Set base_url to the address that answers. Nothing was sent to the other one.",
        ),
    ),
    (
        lambda case: case.status == 402 or not case.kinds.isdisjoint(_NO_CREDIT) or case.of_(_OF_CREDIT),
        _of(errors.InsufficientCreditsError, "No credit left", "Add credits or raise the key's limit."),
    ),
    (
        lambda case: case.status == 401 and case.wants_password,
        _of(
            errors.AuthenticationError,
            "A proxy or a web server before the gateway asks for a user and a password",
            "Correct those in HTTP_PROXY, or give them to the web server by extra_headers.",
        ),
    ),
    (
        lambda case: case.status == 401 or (case.status == 400 and case.of_(_OF_THE_KEY)),
        _of(errors.AuthenticationError, "The key was refused", "Check the API key."),
    ),
    (
        lambda case: case.status == 407,
        replace(
            _of(
                errors.ConnectionFailedError,
                "The proxy refused the credentials",
                "Correct the user and password in HTTP_PROXY.",
            ),
            ends_calls=True,
        ),
    ),
    (lambda case: case.names_no_model, _NO_MODEL),
    (
        lambda case: (case.status in {404, 405, 501} and not case.body.in_200) or case.of_(_OF_AN_ADDRESS),
        _of(
            errors.InvalidRequestError,
            "Nothing answers embeddings at this address",
            "Check base_url: /embeddings is added to it. OpenRouter's is https://openrouter.ai/api/v1.",
        ),
    ),
    (
        lambda case: case.status == 403,
        _of(errors.PermissionDeniedError, "Permission denied", "A guardrail, a region or the key's rights forbid it."),
    ),
    (
        lambda case: case.status == 429 and case.count > 1 and "request too large" in case.body.message.lower(),
        _TOO_MANY,
    ),
    (
        lambda case: case.status == 429,
        _of(errors.RateLimitError, "Rate limited", "Lower max_concurrency or raise retry_timeout.", Remedy.WAIT),
    ),
    (
        lambda case: case.status in _TURNED_AWAY,
        _of(errors.ProviderUnavailableError, "No provider is available", "Try again later.", Remedy.WAIT),
    ),
    (
        lambda case: case.status in {404, 424, 502, 524},
        _of(errors.ProviderUnavailableError, "The provider failed", _LATER, Remedy.REPLAY),
    ),
    (lambda case: case.of_(_OF_A_CONTEXT), TOO_LONG),
    (
        lambda case: case.status >= 500 or case.status in _PERHAPS_BILLED,
        _of(errors.ServerError, "The gateway failed", _LATER, Remedy.REPLAY),
    ),
    # From here on a 400, 413 or 422: of the request, of its size, or of one input.
    (
        lambda case: case.base64 and case.of_(_OF_ENCODING),
        _refused("Set encoding_format='float'.", Remedy.ASK_FOR_FLOATS),
    ),
    (lambda case: case.of_(_OF_DIMENSIONS), _refused("Set dimensions to a width that the model has, or leave it out.")),
    (lambda case: case.of_too_many, _TOO_MANY),
    (lambda case: case.of_a_length or case.status == 413 or case.body.error_type in _SIZE_TYPES, TOO_LONG),
    (
        lambda case: "input_type" in case.body.message,
        _refused("Set query_input_type and document_input_type to what the model takes, or to '' to send none."),
    ),
    (lambda case: case.of_(_OF_PARAMETER), _refused("Change or leave out the parameter it names.")),
    (lambda case: case.of_(_OF_NO_MODEL), _NO_MODEL),
    (lambda case: case.of_(_OF_TLS), _refused("Write https:// in base_url.")),
)
_AN_INPUT = _refused("Change or leave out the inputs it names.", Remedy.ISOLATE)


def diagnose_error(
    body: ErrorBody,
    headers: Mapping[str, str],
    *,
    now: float,
    count: int,
    base64: bool,
    hints: Sequence[ErrorHint] = (),
) -> Diagnosis:
    """Return what to make of an error that the gateway sent, whatever status it came with.

    The body's own `availability.retryable` wins over the status.

    Args:
        body: The error as read.
        headers: Of the answer, names in lower case.
        now: Wall-clock seconds since the epoch.
        count: How many inputs the request held.
        base64: Whether the request asked for base64 of its own accord.
        hints: Errors that mean something else than their status says, at this gateway.
    """
    message = body.message.lower()
    means = next((hint.means for hint in hints if hint.status == body.status and hint.contains in message), None)
    wants_password = headers.get("www-authenticate", "").lower().startswith("basic")
    case = _Case(body, count, base64, means, wants_password)
    found = next((diagnosis for applies, diagnosis in _RULES if applies(case)), _AN_INPUT)
    remedy = found.remedy
    if body.retryable is True and remedy in {Remedy.NONE, Remedy.REPLAY}:
        remedy = Remedy.WAIT
    elif body.retryable is False and remedy in {Remedy.WAIT, Remedy.REPLAY, Remedy.RETRY}:
        remedy = Remedy.NONE
    opening = Load.REFUSED if found.kind is errors.RateLimitError else Load.UNAVAILABLE
    return replace(
        found,
        remedy=remedy,
        load={Remedy.WAIT: opening, Remedy.REPLAY: Load.FAILED}.get(remedy, Load.NEUTRAL),
        retry_after=parse_retry_after(headers, body.retry_after, now=now),
        error_body=body,
        batch_limit=_named_limit(body.message, count) if remedy is Remedy.SPLIT else None,
    )


def _named_limit(message: str, count: int) -> int | None:
    """Return the most inputs of a request, where the message names a number that `count` exceeds."""
    for found in _BATCH_LIMIT.finditer(message):
        limit = int(next(filter(None, found.groups())))
        if 0 < limit < count:
            return limit
    return None
