"""A key, held so that nothing prints it. Our own: importing pydantic's costs more than all the rest of this package."""

from __future__ import annotations

from typing import Any, Protocol, TypeGuard


class SecretHolder(Protocol):
    """What holds a key and gives it only when asked for it: pydantic's `SecretStr`, and whatever is made like it."""

    def get_secret_value(self) -> str:
        """Return the key."""


class Secret:
    """A string that neither `str` nor `repr` shows."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def get_secret_value(self) -> str:
        """Return the string."""
        return self._value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._value == other._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __repr__(self) -> str:
        return "Secret('**********')"


def holds_secret(value: Any) -> TypeGuard[SecretHolder]:
    """Return whether a value can be asked for a key. A class can not: only what was made of it."""
    return callable(getattr(value, "get_secret_value", None)) and not isinstance(value, type)
