"""Everything this library raises, drawn once.

    EmbeddingError
    ├─ ConfigurationError (ValueError)      before any request
    ├─ InputError (ValueError)              before any request: empty, not a string, positions named
    ├─ APIError                             the gateway said no
    │  ├─ AuthenticationError               401
    │  ├─ InsufficientCreditsError          402, or Infron's 403 about credits
    │  ├─ PermissionDeniedError             403
    │  ├─ ModelNotFoundError                404, 400 `model_not_found`
    │  ├─ InvalidRequestError               400, 405-422
    │  │  └─ InputTooLongError              413, `context_length_exceeded`
    │  ├─ RateLimitError                    429
    │  ├─ ProviderUnavailableError          502, 503, 524, 529
    │  └─ ServerError                       500, 504 and every other 5xx
    ├─ ConnectionFailedError                no answer arrived
    ├─ TimedOutError                        no answer arrived in time
    ├─ ResponseError                        the answer broke the contract
    └─ BudgetExceededError                  the next batch would pass max_cost

An error is named by its cause; what had landed before it rides on it as `partial`.
No message, attribute or pickle of an error holds a key or an input text.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

from ._matrix import Matrix
from .usage import Usage

RESUME_HINT = "Pass resume=error.partial to embed only the rest."
"""How the core ends an error of which something landed. In a framework something else is to be done: see `Words.resume`."""
_ATTRIBUTES = (
    "status",
    "code",
    "error_type",
    "provider",
    "generation_id",
    "retry_after",
    "retryable",
    "model",
    "positions",
    "partial",
)


class EmbeddingError(Exception):
    """The base of every error this library raises.

    Attributes:
        status: HTTP status of the answer, if there was one.
        code: The error code in the answer's body, as sent.
        error_type: The gateway's own word for the kind of error, e.g. `rate_limit_exceeded`.
        provider: The provider that answered, where known.
        generation_id: The gateway's id of the failed request, for its support.
        retry_after: Seconds the gateway asked to wait, if it did.
        retryable: Whether the same request may succeed later.
        model: The model asked for.
        positions: 0-based indices into the caller's inputs that this error speaks of.
        partial: What had landed before the error, or None.
    """

    retryable_by_nature: ClassVar[bool] = False

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        code: str | int | None = None,
        error_type: str | None = None,
        provider: str | None = None,
        generation_id: str | None = None,
        retry_after: float | None = None,
        retryable: bool | None = None,
        model: str | None = None,
        positions: Iterable[int] = (),
        partial: Partial | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.error_type = error_type
        self.provider = provider
        self.generation_id = generation_id
        self.retry_after = retry_after
        self.retryable = self.retryable_by_nature if retryable is None else retryable
        self.model = model
        self.positions = tuple(positions)
        self.partial = partial

    @property
    def message(self) -> str:
        """The sentence that `str(error)` gives."""
        return str(self.args[0])

    def reworded(self, message: str, *, positions: Iterable[int] | None = None, partial: Partial | None = None) -> Self:
        """Return the same error with another message, and with other positions or a partial where these are given."""
        other = type(self)(message)
        other.__dict__.update(self.__dict__)
        if positions is not None:
            other.positions = tuple(positions)
        if partial is not None:
            other.partial = partial
        return other

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by class, message and our own attributes: what others have hung on the error may hold texts."""
        return (type(self), self.args, {name: getattr(self, name) for name in _ATTRIBUTES})


class ConfigurationError(EmbeddingError, ValueError):
    """An option cannot be right. Raised before any request."""


class InputError(EmbeddingError, ValueError):
    """An input cannot be embedded. Raised before any request; `positions` names it."""


class APIError(EmbeddingError):
    """The gateway answered with an error."""


class AuthenticationError(APIError):
    """The key is missing, wrong or revoked (401). Ends every call of the client that is under way."""


class InsufficientCreditsError(APIError):
    """The account or the key has no credit left (402). Ends every call of the client that is under way."""


class PermissionDeniedError(APIError):
    """The key may not do this, or a guardrail or region forbids it (403): for this request, or for one provider."""


class ModelNotFoundError(APIError):
    """No such model, or no provider of it meets the preferences."""


class InvalidRequestError(APIError):
    """The gateway refuses the request as it stands (400 and its kin)."""


class InputTooLongError(InvalidRequestError):
    """One input alone is longer than the model takes."""


class RateLimitError(APIError):
    """Too many requests (429), for longer than the wait budget."""

    retryable_by_nature = True


class ProviderUnavailableError(APIError):
    """No provider could answer (502, 503, 524, 529)."""

    retryable_by_nature = True


class ServerError(APIError):
    """The gateway failed (500, 504 and other 5xx)."""

    retryable_by_nature = True


class ConnectionFailedError(EmbeddingError):
    """The gateway could not be reached, or the connection broke before an answer was complete."""

    retryable_by_nature = True


class TimedOutError(EmbeddingError):
    """No complete answer arrived within `timeout`."""

    retryable_by_nature = True


class ResponseError(EmbeddingError):
    """The answer broke the contract: count, index, width, numbers, or not JSON. Nothing of it was used."""

    retryable_by_nature = True


class BudgetExceededError(EmbeddingError):
    """The next batch would pass `max_cost`. What had landed is in `partial`."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Partial:
    """What had landed when a call failed: paid for, and kept.

    Attributes:
        embeddings: float32 of shape `(n, dimensions)` in input order; rows that did not land are NaN.
        positions_done: Inputs whose embedding landed, ascending; empty ones that have their zeros are among them.
        positions_failed: Inputs without one, each with the error that is its cause. An empty input, which is not sent, is
            none of them.
        usage: What the failed call spent.
        model: The model the gateway says it served, or the one asked for.
        fingerprint: A hash of the inputs and of how they were asked for: `resume` takes no other call's.
        shortened: Inputs done that were too long, and were cut or averaged.
    """

    embeddings: Matrix
    positions_done: tuple[int, ...]
    positions_failed: dict[int, EmbeddingError]
    usage: Usage
    model: str
    fingerprint: bytes = field(default=b"", repr=False)
    shortened: tuple[int, ...] = ()

    def __repr__(self) -> str:
        """Show counts, not contents: there may be a million positions."""
        return f"Partial(done={len(self.positions_done)}, failed={len(self.positions_failed)}, usage={self.usage!r})"
