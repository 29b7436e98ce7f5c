"""The client of this process: one for each job, whatever number of tasks, threads and actors ask for it."""

from __future__ import annotations

import os
from collections import OrderedDict
from importlib import import_module
from threading import Lock
from typing import Any

from openrouter_embeddings import Cache, Client, ConfigurationError, Limiter

from .limit import is_redis
from .spec import JobSpec

_KEPT = 8
_LEASE_MARGIN = 5.0
"""Seconds that a lease lasts beyond the exchange that it is for."""


class _Clients:
    """The clients made in this process, the last used ones."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._made: OrderedDict[tuple[Any, ...], Client] = OrderedDict()

    def get(self, job: JobSpec, shares: int, limiter: Limiter | None) -> Client:
        name = (job.digest, shares)
        with self._lock:
            client = self._made.pop(name, None) or new_client(job, shares, limiter=limiter)
            self._made[name] = client
            while len(self._made) > _KEPT:
                self._made.popitem(last=False)
        return client

    def forget(self) -> None:
        """Begin anew in a forked child: the parent's clients go on there, and the lock may have been held."""
        self.__init__()  # type: ignore[misc]


_clients = _Clients()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_clients.forget)


def worker_client(job: JobSpec, shares: int = 1, *, limiter: Limiter | None = None) -> Client:
    """Return the client of this process for a job: the same one each time, with its share of the job's limits.

    `worker_client(job, shares).as_async()` is the same client for asyncio.

    Args:
        job: What to embed and how.
        shares: How many workers there are: this one has that part of `job.limit` and of `job.max_cost`.
        limiter: What keeps both for all workers together, where they share it: then nothing is divided here. The first
            call decides.

    Raises:
        ConfigurationError: The variable of the cache or of the limit is not set on this worker.
    """
    return _clients.get(job, shares, limiter)


def new_client(
    job: JobSpec, shares: int = 1, *, limiter: Limiter | None = None, max_cost: float | None = None
) -> Client:
    """Return a client for a job that nobody else in this process has.

    Args:
        job: What to embed and how.
        shares: How many workers there are.
        limiter: What keeps the limit and the budget for all of them; None: what `job.limit.at` names, else the client keeps
            its share of both.
        max_cost: USD in place of the job's.
    """
    limiter = limiter or _limiter_at(job, shares)
    shares = shares if limiter is None else 1
    share = job.limit.share(shares)
    limiter = limiter or share.limiter()
    budget = job.max_cost if max_cost is None else max_cost
    return Client(
        job.model,
        **job.options,
        max_concurrency=share.concurrency,
        max_cost=None if budget is None else budget / shares,
        cache=_opened_cache(job),
        limiter=limiter,
    )


def _limiter_at(job: JobSpec, workers: int) -> Limiter | None:
    """Return what keeps the limit in Redis, where it is to be kept there. The job that runs again goes on with its budget."""
    if job.limit.at is None:
        return None
    redis_limiter: Any = import_module(".redis_limiter", __package__)
    limiter: Limiter = redis_limiter.RedisLimiter(
        _address(job.limit.at, "limit"),
        name=f"job-{job.digest[:32]}",
        concurrency=job.limit.concurrency,
        per_second=job.limit.per_second,
        tokens_per_minute=job.limit.tokens_per_minute,
        max_cost=job.max_cost,
        lease_seconds=job.options.get("timeout", 60.0) + _LEASE_MARGIN,
        workers=workers,
    )
    return limiter


def _opened_cache(job: JobSpec) -> Cache | str | None:
    if job.cache is None:
        return None
    address = _address(job.cache, "cache")
    if not is_redis(address):
        return address
    redis_cache: Any = import_module(".redis_cache", __package__)
    cache: Cache = redis_cache.RedisCache(address)
    return cache


def _address(given: str, what: str) -> str:
    """Return an address, from the variable that is named where one is."""
    if not given.startswith("$"):
        return given
    found = os.environ.get(given[1:])
    if not found:
        raise ConfigurationError(f"No {what}: the variable {given[1:]} is not set on this worker.")
    return found
