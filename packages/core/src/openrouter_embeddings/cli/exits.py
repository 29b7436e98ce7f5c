"""What the command's exit codes mean, and which of our errors leads to which."""

from __future__ import annotations

from ..errors import (
    AuthenticationError,
    BudgetExceededError,
    ConfigurationError,
    EmbeddingError,
    InputError,
    InsufficientCreditsError,
    ModelNotFoundError,
    PermissionDeniedError,
)

OK, NOT_OK, USAGE, SOME_FAILED, REFUSED, GAVE_UP, BUDGET, INTERRUPTED = 0, 1, 2, 3, 4, 5, 6, 130

MEANINGS = """Exit codes: 0 done; 1 a check found something; 2 wrong usage, option or file; 3 done, but some inputs have no
embedding; 4 refused (key, credit, permission, model); 5 gave up (rate limit, outage, broken answers); 6 --max-cost
reached; 130 interrupted."""


def code_of(error: EmbeddingError) -> int:
    """Return the exit code for an error that ended the command."""
    if isinstance(error, (ConfigurationError, InputError)):
        return USAGE
    if isinstance(error, (AuthenticationError, InsufficientCreditsError, PermissionDeniedError, ModelNotFoundError)):
        return REFUSED
    return BUDGET if isinstance(error, BudgetExceededError) else GAVE_UP
