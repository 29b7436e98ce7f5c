"""Objects that are known, by many threads, and not kept alive."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class AliveSet(Generic[T]):
    """A set of those of its members that are still alive.

    It can be walked through while other threads add to it. A loop over a `WeakSet` fails then.
    """

    def __init__(self) -> None:
        self._references: set[weakref.ref[T]] = set()

    def add(self, member: T) -> None:
        """Know one more, for as long as it lives."""
        self._references.add(weakref.ref(member, self._references.discard))

    def __iter__(self) -> Iterator[T]:
        """Yield those that are there now."""
        for reference in self._references.copy():  # one step of the interpreter
            member = reference()
            if member is not None:
                yield member
