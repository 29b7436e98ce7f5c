"""What the value of an option must be. Each check returns the value, or raises an error that says what to write."""

from __future__ import annotations

import inspect
import numbers
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from ._json import json_copy
from ._secret import Secret, holds_secret
from .errors import ConfigurationError

Check: TypeAlias = Callable[[str, Any], Any]
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def text(name: str, value: object) -> str:
    """Take a string."""
    if not isinstance(value, str):
        raise ConfigurationError(f"{name} takes a string, not {type(value).__name__}.")
    return value


def filled_text(name: str, value: object) -> str:
    """Take a string that is not blank."""
    if not text(name, value).strip():
        raise ConfigurationError(f"{name} is empty.")
    return str(value)


def whole(*, least: int, most: int | None = None) -> Check:
    """Take a whole number from `least` to `most`; numpy's will do."""

    def check(name: str, value: Any) -> int:
        try:
            number = operator.index(value)
        except TypeError:
            number = None
        if number is None or isinstance(value, bool):
            raise ConfigurationError(f"{name} takes a whole number, not {value!r}.")
        if number < least:
            raise ConfigurationError(f"{name} must be at least {least}, not {number}.")
        if most is not None and number > most:
            raise ConfigurationError(f"{name} must be at most {most}, not {number}.")
        return number

    return check


def amount(*, above_zero: bool = False) -> Check:
    """Take a finite number from 0 on, or above it."""

    def check(name: str, value: Any) -> float:
        is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
        if not is_number:
            raise ConfigurationError(f"{name} takes a number, not {value!r}.")
        if not 0 <= value < 10**15 or (above_zero and value == 0):
            least = "above" if above_zero else "of at least"
            raise ConfigurationError(f"{name} must be a finite number {least} 0, not {value!r}.")
        return value if isinstance(value, int) else float(value)

    return check


def one_of(*choices: object) -> Check:
    """Take one of these."""
    allowed = ", ".join(map(repr, choices))

    def check(name: str, value: Any) -> Any:
        if not any(value is choice for choice in choices) and not (isinstance(value, str) and value in choices):
            raise ConfigurationError(f"{name} takes {allowed}, not {value!r}.")
        return value

    return check


def json_mapping(name: str, value: object) -> Mapping[str, Any]:
    """Take a mapping with string keys that JSON can carry. Return a copy, which the caller cannot change later."""
    if not isinstance(value, Mapping):
        raise ConfigurationError(f"{name} takes a mapping with string keys, not {type(value).__name__}.")
    copy: Mapping[str, Any] = json_copy("Option", name, value)
    return copy


def header_text(name: str, value: object) -> str:
    """Take a header's value that HTTP can carry."""
    return check_header(name, value)


def headers(name: str, value: object) -> Mapping[str, Any]:
    """Take headers: a mapping of names to strings, secrets, or callables that give one."""
    if not isinstance(value, Mapping):
        raise ConfigurationError(f"{name} takes a mapping of header names to values, not {type(value).__name__}.")
    for key, content in value.items():
        if not isinstance(key, str) or not _TOKEN.fullmatch(key):
            raise ConfigurationError(f"{name}: {key!r} is no header name. Use letters, digits and dashes.")
        if not callable(content) or holds_secret(content):
            header_value(f"{name}[{key!r}]", content)
    return value


def header_value(name: str, value: object) -> str:
    """Return what a header carries: never shown in an error, as it may be a secret."""
    given = value() if callable(value) and not holds_secret(value) else value
    content = given.get_secret_value() if holds_secret(given) else given
    return check_header(name, content, secret=True, charset="latin-1")


def check_header(name: str, value: object, *, secret: bool = False, charset: str | None = None) -> str:
    """Return a header value that HTTP can carry, or raise `ConfigurationError` without showing a secret one."""
    if not isinstance(value, str):
        raise ConfigurationError(f"{name} must be a string, not {type(value).__name__}.")
    shown = "it" if secret else repr(value)
    if any(ord(char) < 32 or ord(char) == 127 for char in value):
        raise ConfigurationError(
            f"{name} holds a line break or control character ({shown}), which no header can carry."
        )
    if not _fits(value, charset or ("ascii" if secret else "latin-1")):
        raise ConfigurationError(f"{name} holds characters that no header can carry ({shown}).")
    return value


def _fits(value: str, charset: str) -> bool:
    # An error raised where this one is caught would hold it, and it holds the value.
    try:
        value.encode(charset)
    except UnicodeEncodeError:
        return False
    return True


def key(value: object) -> str:
    """Take a key. A line feed at its end is a copying accident and goes; anything else is an error."""
    content = value.get_secret_value() if holds_secret(value) else value
    if not isinstance(content, str):
        raise ConfigurationError(f"api_key takes a string, a SecretStr or a callable, not {type(content).__name__}.")
    content = content.strip()
    if not content:
        raise ConfigurationError("api_key is empty. Leave it out to use the environment's.")
    return check_header("api_key", content, secret=True)


def api_key(_: str, value: Any) -> Any:
    """Return a key as a secret; what is called for the key at each use stays as it is."""
    return value if callable(value) and not holds_secret(value) else Secret(key(value))


def categories(name: str, value: Any) -> Sequence[str]:
    """Take at most two categories."""
    if not isinstance(value, (list, tuple)) or not all(isinstance(category, str) for category in value):
        raise ConfigurationError(f"{name} takes a list of strings.")
    if len(value) > 2:
        raise ConfigurationError(f"{name} holds {len(value)} names; the gateway takes at most 2.")
    for category in value:
        check_header(name, category)
    return list(value)


def function(name: str, value: Any) -> Any:
    """Take what can be called, and is no coroutine function."""
    if not callable(value) or inspect.iscoroutinefunction(value):
        raise ConfigurationError(f"{name} takes a function that is not async, not {type(value).__name__}.")
    return value


def limiter(name: str, value: Any) -> Any:
    """Take what has an `acquire`."""
    if not callable(getattr(value, "acquire", None)) or isinstance(value, type):
        raise ConfigurationError(f"{name} takes an object with acquire(requests, tokens), not {type(value).__name__}.")
    return value


def http_client(*, is_async: bool) -> Check:
    """Take a client of httpx, of the right colour, or a function that makes one."""

    def check(name: str, value: Any) -> Any:
        if callable(value) and not isinstance(value, type):
            return function(name, value)
        if found := describe_wrong_client(value, is_async=is_async):
            raise ConfigurationError(
                f"{name} takes {CLIENT_NAMES[is_async]} or a function that makes one, not {found}."
            )
        return value

    return check


CLIENT_NAMES = {False: "an httpx.Client", True: "an httpx.AsyncClient"}
"""By whether it is for asyncio."""


def describe_wrong_client(value: Any, *, is_async: bool) -> str | None:
    """Return words for what a value is, or None where it is a client of httpx of this colour."""
    send = getattr(value, "send", None)
    if not callable(send) or not callable(getattr(value, "build_request", None)) or isinstance(value, type):
        return type(value).__name__
    return None if inspect.iscoroutinefunction(send) == is_async else "one of the other colour"
