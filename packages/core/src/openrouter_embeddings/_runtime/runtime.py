"""What one client's flows act on: its queue, its connections, its cache. Shared by all threads, loops and colours."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Protocol

from openrouter_embeddings._flows import InFlightRegistry
from openrouter_embeddings._fork import ForkAware, Lock
from openrouter_embeddings._limits import TrafficLimiter
from openrouter_embeddings._protocol import Response, TransportFailure
from openrouter_embeddings._warn import warn
from openrouter_embeddings.cache import GuardedCache
from openrouter_embeddings.limiter import Limiter, LimiterWarning

from .claims import Claims
from .dispatcher import Dispatcher
from .waiting import CancelScope


class Transport(Protocol):
    """What exchanges requests for answers: `_transport.HttpTransport`, or whatever a test puts in its place."""

    def exchange(
        self, url: str, body: bytes | None, *, max_bytes: int, seconds: float, keyed: bool
    ) -> Response | TransportFailure: ...

    async def aexchange(
        self, url: str, body: bytes | None, *, max_bytes: int, seconds: float, keyed: bool
    ) -> Response | TransportFailure: ...

    def drop_connections(self) -> None: ...

    def close(self) -> None: ...

    async def aclose(self) -> None: ...


class Runtime(ForkAware):
    """What drivers act on.

    Args:
        limiter: The client's traffic.
        transport: Exchanges requests for answers.
        cache: What is paid for, kept.
        url: Where embeddings are asked for.
        shared_limiter: The user's, asked before each request, or None.
        clock: Monotonic seconds.
        jitter: Random numbers in [0, 1); None: `random.random`.
    """

    def __init__(
        self,
        *,
        limiter: TrafficLimiter,
        transport: Transport,
        cache: GuardedCache,
        url: str,
        shared_limiter: Limiter | None = None,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] | None = None,
    ) -> None:
        self.clock = clock
        self.dispatcher = Dispatcher(
            limiter, clock=clock, jitter=jitter or random.random, asks=shared_limiter is not None
        )
        self.registry = InFlightRegistry(clock)
        self.transport = transport
        self.cache = cache
        self.claims = Claims(cache)
        self.url = url
        self.shared_limiter = shared_limiter
        self._lock = Lock()
        self._has_reported = False
        self._disk: ThreadPoolExecutor | None = None
        super().__init__()

    @property
    def disk(self) -> ThreadPoolExecutor:
        """The threads in which asyncio waits for the cache.

        The loop's own executor may be full of threads that wait for this very client.
        """
        with self._lock:
            if self._disk is None:
                self._disk = ThreadPoolExecutor(2, thread_name_prefix="openrouter-embeddings-cache")
            return self._disk

    def report_lost_lease(self, failed: BaseException) -> None:
        """Warn, once, that the user's limiter does not take its leases back."""
        if not self._has_reported:
            self._has_reported = True
            message = f"The limiter could not take a lease back ({type(failed).__name__}); going on."
            warn(message, LimiterWarning)

    def end_call(self, scope: CancelScope, *, wait: bool) -> None:
        """Give up what a call has claimed in the cache and not stored, now or in a thread."""
        if scope.claimed and wait:
            self.claims.release(scope)
        elif scope.claimed:
            with suppress(RuntimeError):  # the interpreter ends
                self.disk.submit(self.claims.release, scope)

    def after_fork(self) -> None:
        """Drop what belongs to the parent: sockets and threads."""
        self._disk = None
        self.claims = Claims(self.cache)
        self.transport.drop_connections()
