"""What a fork must reset, known without being kept alive.

The child has none of the parent's other threads, so their locks and requests must go.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Iterator
from typing import Any, Generic, TypeVar

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


class ForkAware:
    """An object that is reset when the process forks. The registry holds it weakly."""

    def __init__(self) -> None:
        _known.add(self)

    def before_fork(self) -> None:
        """Prepare, in the parent."""

    def after_fork_in_parent(self) -> None:
        """Go on, in the parent."""

    def after_fork(self) -> None:
        """Start afresh, in the child."""


class Lock(ForkAware):
    """A `threading.Lock`, held by `with` only, that is recreated in a forked child.

    The thread that held it in the parent does not exist in the child, so it would never be released there.
    """

    # Slots, in which `with` finds the bare lock's own methods. In a method written in Python, Ctrl-C may strike after the
    # lock was taken and before the block has begun: it would stay locked for ever.
    __slots__ = ("__enter__", "__exit__")
    __enter__: Any
    __exit__: Any

    def __init__(self) -> None:
        self.after_fork()
        super().__init__()

    def after_fork(self) -> None:
        """Be free."""
        lock = threading.Lock()
        self.__enter__, self.__exit__ = lock.__enter__, lock.__exit__


_known: AliveSet[ForkAware] = AliveSet()


def _all() -> list[ForkAware]:
    """Return the locks first: what is reset after them may take them."""
    return sorted(_known, key=lambda known: not isinstance(known, Lock))


def _before() -> None:
    for known in _all():
        known.before_fork()


def _after_in_parent() -> None:
    for known in _all():
        known.after_fork_in_parent()


def _after_in_child() -> None:
    for known in _all():
        known.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child)
