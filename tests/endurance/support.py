"""What endurance tests share, importable by the processes they start."""

from __future__ import annotations

import gc
import multiprocessing
import os
import traceback
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import psutil

from openrouter_embeddings import Client
from openrouter_embeddings.cache import SqliteCache

MODEL = "openai/text-embedding-3-small"
FULL = os.environ.get("OPENROUTER_EMBEDDINGS_ENDURANCE") == "full"
PATIENCE = 120.0
"""Seconds after which something is taken to hang: far more than anything here takes."""


def sized(full: int, ci: int) -> int:
    """Return how often: as the goal has it, or what CI has the seconds for."""
    return full if FULL else ci


def texts(count: int) -> list[str]:
    return [f"sentence number {one}" for one in range(count)]


def descriptors() -> int:
    """Return how many files and sockets this process has open."""
    gc.collect()
    return psutil.Process().num_fds()


def zygote() -> Any:
    """Return a context whose processes are forked from one that has imported everything and has no threads."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["openrouter_embeddings", "numpy", "pytest", "psutil"])
    return context


class TellingCache(SqliteCache):
    """Says over a pipe which rows are on disk, as soon as they are."""

    pipe: Connection | None = None

    def put(self, items: Mapping[bytes, bytes]) -> None:
        super().put(items)
        assert not self.failures
        if self.pipe is not None:
            self.pipe.send_bytes(b"".join(items))


def embed_and_tell(pipe: Connection, path: str, wanted: Sequence[str], options: Mapping[str, Any]) -> None:
    """Embed everything, saying "ready" and then the 32-byte keys of what is kept, in batches."""
    cache = TellingCache(path)
    cache.pipe = pipe
    client = Client(MODEL, **options, cache=cache)
    pipe.send_bytes(b"ready")
    client.embed_documents(wanted)


def wrong_calls(client: Client, truth: np.ndarray, *, calls: int, start: int = 0) -> int:
    """Embed one text a call, and return how many embeddings are not those of `truth`."""
    wanted = texts(len(truth))
    picks = [(start + one) % len(truth) for one in range(calls)]
    return sum(not np.array_equal(client.embed_documents([wanted[at]]).embeddings[0], truth[at]) for at in picks)


def report_wrong_calls(pipe: Connection, client: Client, truth: np.ndarray, calls: int) -> None:
    """Do the same in another process; what is raised is said in place of a count."""
    try:
        pipe.send(wrong_calls(client, truth, calls=calls))
    except BaseException:
        pipe.send(traceback.format_exc())
