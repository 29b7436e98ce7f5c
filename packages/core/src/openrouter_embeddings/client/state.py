"""What the two colours of a client share, and each copy that is not deep."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from openrouter_embeddings._fork import AliveSet, ForkAware, Lock
from openrouter_embeddings.cache import open_cache
from openrouter_embeddings.gateways import Gateway
from openrouter_embeddings.options import Options
from openrouter_embeddings.usage import Usage, count_usage

if TYPE_CHECKING:  # httpx, numpy and pydantic load with the first request, not with the import
    from openrouter_embeddings._flows import EmbedCall, LearnedLimits
    from openrouter_embeddings._runtime import Runtime
    from openrouter_embeddings.errors import Partial
    from openrouter_embeddings.inputs import Input, InputType, Progress
    from openrouter_embeddings.option_types import OnError

    from .query_batcher import QueryBatcher


class Streams(ForkAware):
    """What a client that is closed has to end: its own streams, not those of others that share its state."""

    def __init__(self) -> None:
        self.after_fork()
        super().__init__()

    def after_fork(self) -> None:
        """Drop what belongs to the parent's threads and loops."""
        self.windows: AliveSet[Any] = AliveSet()
        """Streams that are not through."""


class ClientState:
    """Options, limits, what was learnt, connections and totals of one client."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self._lock = Lock()
        self._usage = Usage()
        self._address: str | None = None
        self._learned: LearnedLimits | None = None
        self._runtime: Runtime | None = None
        self._batcher: QueryBatcher | None = None
        self._has_warned = False

    def address(self) -> str:
        """Return the base URL, settled at first use: what is cached under it must be what it answered."""
        if self._address is None:
            self._address = self.options.address()
        return self._address

    def gateway(self) -> Gateway:
        """Return the gateway at the address that is used."""
        address, service = self.address(), self.options.service
        if address == service.base_url:
            return service
        return service.at(address, allow_plain_http=self.options.allow_plain_http)

    @property
    def usage(self) -> Usage:
        """The running totals."""
        return self._usage

    @property
    def learned(self) -> LearnedLimits:
        """What was found out about the model so far."""
        if self._learned is None:
            from openrouter_embeddings._flows import LearnedLimits

            initial = LearnedLimits.initial(self.options, self.options.facts)
            with self._lock:
                self._learned = self._learned or initial
        return self._learned

    @property
    def dimensions(self) -> int | None:
        """The width of the embeddings: as asked for, else as answered so far, else by the profile."""
        known = self._learned.dimensions if self._learned is not None else None
        return self.options.dimensions or known or self.options.facts.native_dimensions

    @property
    def built(self) -> Runtime | None:
        """What the flows act on, if there was anything to do yet."""
        return self._runtime

    def runtime(self) -> Runtime:
        """Return what the flows act on, built at first use."""
        if self._runtime is None:
            runtime = self._build()
            with self._lock:
                self._runtime = self._runtime or runtime
        return self._runtime

    def batcher(self) -> QueryBatcher:
        """Return what lets single queries share requests."""
        if self._batcher is None:
            from .query_batcher import QueryBatcher

            batcher = QueryBatcher(self.runtime().registry)
            with self._lock:
                self._batcher = self._batcher or batcher
        return self._batcher

    def call(
        self,
        inputs: Iterable[Input | None],
        input_type: InputType,
        *,
        resume: Partial | None = None,
        on_error: OnError | None = None,
        on_progress: Progress | None = None,
        urgent: bool | None = None,
    ) -> EmbedCall:
        """Return a call that embeds these inputs. Only if there is something to send must there be a key."""
        from openrouter_embeddings._flows import is_guessed, prepare_call

        call = prepare_call(
            self.options,
            self.learned,
            inputs,
            input_type,
            resume=resume,
            on_error=on_error,
            on_progress=on_progress,
            urgent=urgent,
            address=self.address(),
            registry=self.runtime().registry,
            count=self.count,
        )
        if call.unresolved():
            self.options.key()
            if not self._has_warned and is_guessed(self.options, self.options.facts, input_type):
                from .guesses import warn_of_a_guess

                self._has_warned = True
                warn_of_a_guess(self.options, input_type)
        return call

    def count(self, usage: Usage) -> None:
        """Add to the running totals, and to those of the `track_usage` blocks around the call."""
        with self._lock:
            self._usage += usage
        count_usage(usage)

    def _build(self) -> Runtime:
        from openrouter_embeddings._limits import TrafficLimiter
        from openrouter_embeddings._runtime import Runtime
        from openrouter_embeddings._transport import HttpTransport, accepted_encodings
        from openrouter_embeddings.cache import GuardedCache

        from .headers import RequestHeaders

        options = self.options
        limiter = TrafficLimiter(
            maximum=options.max_concurrency,
            max_cost=options.max_cost,
            pilot_seconds=min(2.0, options.timeout / 4),
            encoding_known=self.learned.encoding is not None,
        )
        transport = HttpTransport(
            headers=RequestHeaders(options, accept_encoding=accepted_encodings(options.compression)),
            connections=options.max_concurrency,
            http_client=options.http_client,
            async_http_client=options.async_http_client,
        )
        return Runtime(
            limiter=limiter,
            transport=transport,
            cache=GuardedCache(open_cache(options.cache)),
            url=self.gateway().embeddings_url,
            shared_limiter=options.shared_limiter,
        )
