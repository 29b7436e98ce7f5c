"""`Client` and `AsyncClient`: two colours of one client. They prepare a flow and have it driven."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any, NoReturn, Self, TypeVar, Unpack

from ._drive import World, adrive, drive
from ._drive_cache import Store
from ._drive_flights import Flights
from ._drive_http import Http
from ._flow import embed as embed_flow
from ._flow_models import list_models as list_models_flow
from ._job import Job, Learned
from ._limits import Limits
from ._prepare import InputType, Progress, first_lessons, prepare
from .cache import open_cache
from .errors import ConfigurationError
from .gateways import Gateway, ModelInfo
from .inputs import Input
from .options import ClientOptions, Options, check_known
from .profiles import profile_for
from .results import EmbeddingResult, Partial
from .usage import Usage, count_usage

try:
    _VERSION = version("openrouter-embeddings")
except PackageNotFoundError:  # pragma: no cover - run from a source tree that is not installed
    _VERSION = "0"


class _Shared:
    """What both colours of a client share: options, limits, what was learnt, connections, totals."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.profile = profile_for(options.model)
        self._lock = threading.Lock()
        self._usage = Usage()
        self._address: str | None = None
        self.built: World | None = None
        self.flights = Flights()
        self.learned = first_lessons(options, self.profile)

    def address(self) -> str:
        """Return the base URL, settled at first use: what is cached under it must be what it answered."""
        if self._address is None:
            self._address = self.options.address()
        return self._address

    def gateway(self) -> Gateway:
        """Return the gateway at the address that is used."""
        address = self.address()
        service = self.options.service
        return service if address == service.base_url else service.at(address)

    def world(self) -> World:
        """Return what the flows act on, built at first use."""
        with self._lock:
            if self.built is None:
                self.built = self._build(self.gateway())
            return self.built

    def _build(self, gateway: Gateway) -> World:
        options = self.options
        limits = Limits(
            most=options.max_concurrency, max_cost=options.max_cost, settled=self.learned.encoding is not None
        )
        http = Http(
            headers=self._headers,
            secret=lambda: options.key(required=False),
            timeout=options.timeout,
            tls=gateway.embeddings_url.startswith("https:"),
            connections=options.max_concurrency,
            http_client=options.http_client,
            async_http_client=options.async_http_client,
        )
        return World(
            limits=limits,
            http=http,
            url=gateway.embeddings_url,
            store=Store(open_cache(options.cache)),
            flights=self.flights,
        )

    def _headers(self, keyed: bool) -> Mapping[str, str]:
        """Return the headers of one request. The key is read for each, and kept in none."""
        options = self.options
        key = options.key(required=False) if keyed else ""
        headers = {
            "authorization": f"Bearer {key}" if key else None,
            "content-type": "application/json",
            "accept": "application/json",
            "accept-encoding": "gzip, deflate",
            "user-agent": f"openrouter-embeddings/{_VERSION}",
            "http-referer": options.app_url,
            "x-openrouter-title": options.app_title,
            "x-openrouter-categories": ",".join(options.app_categories or ()) or None,
            "x-session-id": options.session_id,
            "x-openrouter-cache": "true" if options.server_cache else None,
            "x-openrouter-cache-ttl": str(options.server_cache) if options.server_cache else None,
        }
        known = {name: value for name, value in headers.items() if value is not None}
        return known | {name.lower(): value for name, value in (options.extra_headers or {}).items()}

    def add(self, usage: Usage) -> None:
        """Add to the running totals, and to those of the `track_usage` blocks around the call."""
        with self._lock:
            self._usage += usage
        count_usage(usage)

    @property
    def usage(self) -> Usage:
        """The running totals."""
        return self._usage


_AnyClient = TypeVar("_AnyClient", bound="_Client")


class _Client:
    """What has no colour."""

    def __init__(self, model: str, **options: Unpack[ClientOptions]) -> None:
        check_known(list(options))
        self._shared = _Shared(Options(model=model, **options))

    @property
    def model(self) -> str:
        """The model's id, as given."""
        return self._shared.options.model

    @property
    def gateway(self) -> Gateway:
        """The gateway, at the address that is used."""
        return self._shared.gateway()

    @property
    def dimensions(self) -> int | None:
        """The width of the embeddings: as asked for, else as answered so far, else None."""
        return self._shared.options.dimensions or self._shared.learned.dimensions

    @property
    def options(self) -> Options:
        """The checked options."""
        return self._shared.options

    @property
    def learned(self) -> Learned:
        """What was found out about the model so far."""
        return self._shared.learned

    @property
    def usage(self) -> Usage:
        """What this client, and each that shares with it, has spent since it was made."""
        return self._shared.usage

    def _prepare(
        self, inputs: Iterable[Input], side: InputType, resume: Partial | None, on_progress: Progress | None
    ) -> Job:
        shared = self._shared
        return prepare(
            shared.options,
            shared.learned,
            inputs,
            side,
            resume=resume,
            on_progress=on_progress,
            address=shared.address,
            flights=shared.flights,
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}(model={self.model!r}, gateway={self._shared.options.service.name!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        """Carry the configuration: no socket, no lock, no totals. A key from the environment stays there."""
        options = self._shared.options
        if options.http_client is not None or options.async_http_client is not None:
            raise ConfigurationError("A client with an http_client of yours cannot be pickled: sockets stay at home.")
        return (_rebuilt, (type(self), options.given()))

    def __copy__(self) -> Self:
        return _sharing(type(self), self._shared)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Return a client of the same configuration with limits, totals and connections of its own."""
        return _sharing(type(self), _Shared(self._shared.options))


def _sharing(kind: type[_AnyClient], shared: _Shared) -> _AnyClient:
    """Return a client that uses what another has built."""
    client = kind.__new__(kind)
    client._shared = shared
    return client


def _rebuilt(kind: type[_Client], options: dict[str, Any]) -> _Client:
    return kind(**options)


class Client(_Client):
    """Embeds texts through OpenRouter, or a gateway that speaks its dialect.

    One client may be used by any number of threads at once, inside a running event loop, and after a fork.
    All of them share one limit on what is in flight. The key is looked for at the first request.

    Args:
        model: The gateway's model id.
        **options: See `Options`, which holds each option's meaning and default.

    Raises:
        ConfigurationError: An option is unknown or cannot be right.
    """

    def embed(
        self,
        inputs: Iterable[Input],
        *,
        input_type: InputType,
        resume: Partial | None = None,
        on_progress: Progress | None = None,
    ) -> EmbeddingResult:
        """Return one embedding per input, in input order, marked as `input_type` asks.

        Equal inputs are sent once. Batches that land are kept even if a later one fails.

        Args:
            inputs: Texts, sent byte for byte after the profile's prefix, or `Content`.
            input_type: `"query"` or `"document"`.
            resume: `error.partial` of an earlier call with the same inputs: only the rest is paid for.
            on_progress: Called with how many of how many inputs are done, whenever a batch lands, by whichever
                thread landed it.

        Returns:
            Embeddings as float32 of shape (n, dimensions). No inputs: no rows and no request.

        Raises:
            InputError: An input is empty or of a wrong type. Raised before any request.
            EmbeddingError: A batch failed for good; what landed is in `.partial`.
        """
        job = self._prepare(inputs, input_type, resume, on_progress)
        if not job.missing():
            return job.result()
        shared = self._shared
        shared.options.key()  # only now must there be one
        try:
            return drive(embed_flow(job, workers=shared.options.max_concurrency), shared.world())
        finally:
            shared.add(job.usage())

    def embed_documents(self, texts: Iterable[Input], *, on_progress: Progress | None = None) -> EmbeddingResult:
        """Return one embedding per text, in input order, marked as documents. See `embed`."""
        return self.embed(texts, input_type="document", on_progress=on_progress)

    def embed_query(self, text: Input) -> EmbeddingResult:
        """Return the embedding of one query, as one row. See `embed`; it is given half a minute at most to wait."""
        return self.embed([text], input_type="query")

    def embed_stream(self, inputs: Iterable[Input], *, input_type: InputType) -> NoReturn:
        """Not in this release yet."""
        del inputs, input_type
        raise ConfigurationError("embed_stream is not in this release yet. Call embed with slices of the input.")

    def list_models(self) -> list[ModelInfo]:
        """Return the embedding models that the gateway offers."""
        flow = list_models_flow(self.gateway, timeout=self._shared.options.timeout)
        return drive(flow, self._shared.world())

    def as_async(self) -> AsyncClient:
        """Return an `AsyncClient` that shares this one's limits, totals and what it has learnt."""
        return _sharing(AsyncClient, self._shared)

    def close(self) -> None:
        """Close the connections. The client can be used again: it opens new ones."""
        if self._shared.built is not None:
            self._shared.built.http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncClient(_Client):
    """The same, for asyncio: any number of tasks, on any number of loops, one after another or side by side.

    Args:
        model: The gateway's model id.
        **options: See `Options`, which holds each option's meaning and default.

    Raises:
        ConfigurationError: An option is unknown or cannot be right.
    """

    async def embed(
        self,
        inputs: Iterable[Input],
        *,
        input_type: InputType,
        resume: Partial | None = None,
        on_progress: Progress | None = None,
    ) -> EmbeddingResult:
        """Return one embedding per input, in input order. See `Client.embed`."""
        job = self._prepare(inputs, input_type, resume, on_progress)
        if not job.missing():
            return job.result()
        shared = self._shared
        shared.options.key()  # only now must there be one
        try:
            return await adrive(embed_flow(job, workers=shared.options.max_concurrency), shared.world())
        finally:
            shared.add(job.usage())

    async def embed_documents(self, texts: Iterable[Input], *, on_progress: Progress | None = None) -> EmbeddingResult:
        """Return one embedding per text, in input order, marked as documents. See `Client.embed`."""
        return await self.embed(texts, input_type="document", on_progress=on_progress)

    async def embed_query(self, text: Input) -> EmbeddingResult:
        """Return the embedding of one query, as one row. See `Client.embed_query`."""
        return await self.embed([text], input_type="query")

    def embed_stream(self, inputs: Iterable[Input], *, input_type: InputType) -> NoReturn:
        """Not in this release yet."""
        del inputs, input_type
        raise ConfigurationError("embed_stream is not in this release yet. Call embed with slices of the input.")

    async def list_models(self) -> list[ModelInfo]:
        """Return the embedding models that the gateway offers."""
        flow = list_models_flow(self.gateway, timeout=self._shared.options.timeout)
        return await adrive(flow, self._shared.world())

    def as_sync(self) -> Client:
        """Return a `Client` that shares this one's limits, totals and what it has learnt."""
        return _sharing(Client, self._shared)

    async def aclose(self) -> None:
        """Close the connections of the running loop; those of other loops close with their loops."""
        if self._shared.built is not None:
            await self._shared.built.http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
