"""One run at a time writes a file, where the system has such locks: they end with the process, however it ends."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from openrouter_embeddings import ConfigurationError

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows: there an open file cannot be written over, nor moved
    fcntl = None  # type: ignore[assignment]


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Hold a file for the length of the block, also while it gets another name; make it where there is none.

    Raises:
        ConfigurationError: Another run holds it.
    """
    if fcntl is None:  # pragma: no cover
        yield
        return
    with path.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            ours = False
        else:
            # Between the two calls the run that held it may have moved it to its place, or removed it.
            ours = path.exists() and os.path.samestat(os.fstat(file.fileno()), path.stat())
        if not ours:
            raise ConfigurationError(f"Another run is writing {path.name!r}. Wait for it, or choose another --out.")
        yield
