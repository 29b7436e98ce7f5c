"""What endurance tests share, importable by the processes they start."""

from __future__ import annotations

import gc
import multiprocessing
import os
import traceback
import warnings
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import psutil

from openrouter_embeddings import Client
from openrouter_embeddings.cache import CacheWarning, SqliteCache

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


def write_rows(path: str, number: int, count: int) -> None:
    """Write `count` small transactions of one writer's own, every one of them acknowledged without trouble."""
    with SqliteCache(path) as cache:
        for one in range(count):
            cache.put(writers_rows(number, one))
            assert not cache.failures


def read_rows(path: str, writers: int, count: int) -> None:
    """Read until every writer's last row is there; whatever is found must be right."""
    last = [next(iter(writers_rows(number, count - 1))) for number in range(writers)]
    with SqliteCache(path) as cache:
        while len(cache.get(last)) < writers:
            for number in range(writers):
                known = {k: v for one in range(0, count, 7) for k, v in writers_rows(number, one).items()}
                assert cache.get(list(known)).items() <= known.items()
            assert not cache.failures


def writers_rows(number: int, one: int) -> dict[bytes, bytes]:
    """Return the rows of a writer's n-th transaction."""
    return {b"%d-%d-%d" % (number, one, row): b"%064d" % (one + row) for row in range(4)}


def report_with_a_hurt_cache(
    pipe: Connection, options: Mapping[str, Any], wanted: Sequence[str], *, user: int | None, most: int | None
) -> None:
    """Embed in two calls as another user, or where no file may grow beyond `most` bytes; report what came of it."""
    import resource

    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            if most is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
            if user is not None:
                # Whatever is imported late is imported now: another user may not see the interpreter's files.
                Client(MODEL, **{**options, "cache": None}).embed_documents(wanted[:1])
                os.setuid(user)
            client = Client(MODEL, **options)
            results = [client.embed_documents(wanted[:5]), client.embed_documents(wanted)]
        except BaseException:
            pipe.send(traceback.format_exc())
        else:
            told = [str(one.message) for one in said if issubclass(one.category, CacheWarning)]
            pipe.send(([one.embeddings for one in results], [one.usage.cached for one in results], told))


def embed_when_told(pipe: Connection, options: Mapping[str, Any], path: str, wanted: Sequence[str]) -> None:
    """Say "ready", wait for a word, embed, and report the embeddings and how many of them were in the cache."""
    pipe.send("ready")
    pipe.recv()
    try:
        with Client(MODEL, **options, cache=path) as client:
            result = client.embed_documents(wanted)
    except BaseException:
        pipe.send(traceback.format_exc())
    else:
        pipe.send((result.embeddings, result.usage.cached))
