"""A lock that is free in a forked child, whoever held it in the parent: that thread is not there to let go of it."""

from __future__ import annotations

import os
import threading
import weakref


class Lock:
    """A `threading.Lock`, to be held by `with` only, made anew in every forked child."""

    def __init__(self) -> None:
        self.after_fork()
        _locks.add(self)

    def after_fork(self) -> None:
        """Be free."""
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


_locks: weakref.WeakSet[Lock] = weakref.WeakSet()


def _after_fork() -> None:
    for lock in list(_locks):
        lock.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
