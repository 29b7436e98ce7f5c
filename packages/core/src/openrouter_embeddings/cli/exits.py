"""How a command ends: its exit codes, and what it says on stderr."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum

import typer

from openrouter_embeddings import (
    AuthenticationError,
    BudgetExceededError,
    ConfigurationError,
    EmbeddingError,
    InputError,
    InsufficientCreditsError,
    InvalidRequestError,
    ModelNotFoundError,
    PermissionDeniedError,
)


class Exit(IntEnum):
    """What the exit codes mean."""

    OK = 0
    NOT_OK = 1
    USAGE = 2
    SOME_FAILED = 3
    REFUSED = 4
    GAVE_UP = 5
    BUDGET = 6
    INTERRUPTED = 130


_MEANINGS = {
    Exit.OK: "done",
    Exit.NOT_OK: "a check found something",
    Exit.USAGE: "wrong usage, option or file",
    Exit.SOME_FAILED: "done, but some inputs have no embedding",
    Exit.REFUSED: "refused (key, credit, permission, model)",
    Exit.GAVE_UP: "gave up (rate limit, outage, broken answers)",
    Exit.BUDGET: "--max-cost reached",
    Exit.INTERRUPTED: "interrupted",
}
MEANINGS = "Exit codes: " + "; ".join(f"{code.value} {meaning}" for code, meaning in _MEANINGS.items()) + "."

_BY_ERROR: tuple[tuple[tuple[type[Exception], ...], Exit], ...] = (
    ((BudgetExceededError,), Exit.BUDGET),
    ((AuthenticationError, InsufficientCreditsError, PermissionDeniedError, ModelNotFoundError), Exit.REFUSED),
    ((ConfigurationError, InputError, InvalidRequestError, OSError), Exit.USAGE),
)


def code_of(error: Exception) -> Exit:
    """Return the exit code that an error stands for."""
    return next((code for kinds, code in _BY_ERROR if isinstance(error, kinds)), Exit.GAVE_UP)


def plain(text: str) -> str:
    """Return text that moves no cursor: names and messages come from outside."""
    return "".join(char if char.isprintable() or char == "\n" else "?" for char in text)


def say(text: str) -> None:
    """Write a line to stderr, apart from the output."""
    typer.echo(plain(text), err=True)


def _say_warning(message: Warning | str, category: type[Warning], *_: object, **__: object) -> None:
    say(f"{category.__name__}: {message}")


@contextmanager
def errors_end_the_command(advice: str = "") -> Iterator[None]:
    """Turn what a command may raise into a message and an exit code, and a warning into a line.

    Args:
        advice: How to go on; said where nothing is wrong with the command itself.
    """
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _say_warning
            yield
    except KeyboardInterrupt:
        say(f"Interrupted. {advice}".rstrip())
        raise typer.Exit(Exit.INTERRUPTED) from None
    except BrokenPipeError:
        raise  # the reader of our output has left
    except (EmbeddingError, OSError) as error:
        code = code_of(error)
        say(f"{type(error).__name__}: {error}")
        if advice and code != Exit.USAGE:
            say(advice)
        raise typer.Exit(code) from None
