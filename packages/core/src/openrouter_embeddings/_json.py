"""Copies of values as JSON carries them: nothing that is not plain, nothing that the caller may change later."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from .errors import ConfigurationError

_DEEPEST = 64


def plain_text(kind: str, name: str, text: str) -> str:
    """Return text that JSON can carry, as an exact str: a member of a str enum goes out as its value."""
    exact = str.__str__(text)
    try:
        exact.encode()
    except UnicodeEncodeError:
        raise ConfigurationError(f"{kind} {name!r} holds a lone surrogate, which no UTF-8 can carry.") from None
    return exact


def json_copy(kind: str, name: str, value: object, depth: int = 0) -> Any:
    """Return a deep copy of a value that JSON can carry as it is.

    Args:
        kind: What the value belongs to, for messages.
        name: Its place there.
        value: To be copied.
        depth: How deep it is nested.
    """
    if depth > _DEEPEST:
        raise ConfigurationError(f"{kind} {name.partition('.')[0]!r} is nested deeper than {_DEEPEST} levels.")
    match value:
        case None | bool() | int():
            return value
        case str():
            return plain_text(kind, name, value)
        case float() if math.isfinite(value):
            return value
        case float():
            raise ConfigurationError(f"{kind} {name!r} holds a number that JSON cannot carry: {value!r}.")
        case list() | tuple():
            return [json_copy(kind, name, item, depth + 1) for item in value]
        case Mapping():
            copy: dict[str, object] = {}
            for key, item in value.items():
                if not isinstance(key, str):
                    raise ConfigurationError(f"{kind} {name!r} holds a key that is {type(key).__name__}, not str.")
                exact = plain_text(kind, name, key)
                copy[exact] = json_copy(kind, f"{name}.{exact}", item, depth + 1)
            return copy
        case _:
            raise ConfigurationError(f"{kind} {name!r} holds {type(value).__name__}, which JSON cannot carry.")
