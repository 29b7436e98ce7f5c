"""A lock that is free in a forked child, whoever held it in the parent: that thread is not there to let go of it."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable


class Lock:
    """A `threading.Lock`, to be held by `with` only, made anew in every forked child."""

    def __init__(self) -> None:
        self.after_fork()
        _locks.add(self)

    def after_fork(self) -> None:
        """Be free."""
        self._lock = threading.Lock()

    # `with` finds the bare lock's own methods here. In a method written in Python, Ctrl-C may strike after the lock was
    # taken and before the block has begun: it would stay locked for ever.
    @property
    def __enter__(self) -> Callable[[], bool]:
        return self._lock.__enter__

    @property
    def __exit__(self) -> Callable[..., None]:  # noqa: PLE0302, PYI036  a property, not the method
        return self._lock.__exit__


_locks: weakref.WeakSet[Lock] = weakref.WeakSet()


def _after_fork() -> None:
    for lock in list(_locks):
        lock.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
