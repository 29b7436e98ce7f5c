"""Copies of values as JSON carries them: nothing that is not plain, nothing that the caller may change later."""

from __future__ import annotations

import math
from collections.abc import Mapping

from .errors import ConfigurationError

_DEEPEST = 64


def _kind(value: object) -> str:
    return type(value).__name__


def plain_text(name: str, text: str) -> str:
    """Return text that JSON can carry, as an exact str: a member of a str enum goes out as its value."""
    exact = str.__str__(text)
    try:
        exact.encode()
    except UnicodeEncodeError:
        raise ConfigurationError(
            f"Provider preference {name!r} holds a lone surrogate, which no UTF-8 can carry."
        ) from None
    return exact


def json_copy(name: str, value: object, depth: int) -> object:
    """Return a deep copy of a value that JSON can carry as it is."""
    if depth > _DEEPEST:
        raise ConfigurationError(
            f"Provider preference {name.partition('.')[0]!r} is nested deeper than {_DEEPEST} levels."
        )
    match value:
        case None | bool() | int():
            return value
        case str():
            return plain_text(name, value)
        case float() if math.isfinite(value):
            return value
        case float():
            raise ConfigurationError(f"Provider preference {name!r} holds a number that JSON cannot carry: {value!r}.")
        case list() | tuple():
            return [json_copy(name, item, depth + 1) for item in value]
        case Mapping():
            out: dict[str, object] = {}
            for key, item in value.items():
                if not isinstance(key, str):
                    raise ConfigurationError(f"Provider preference {name!r} holds a key that is {_kind(key)}, not str.")
                out[plain_text(name, key)] = json_copy(f"{name}.{plain_text(name, key)}", item, depth + 1)
            return out
        case _:
            raise ConfigurationError(f"Provider preference {name!r} holds {_kind(value)}, which JSON cannot carry.")
