"""`Client` and `AsyncClient`: two colours of one client. They prepare a flow and have it driven."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from typing import Any, Self, TypeVar, Unpack

from ._client_checks import AsyncChecks, Checks
from ._client_shared import Shared
from ._learned import Learned
from .errors import ConfigurationError
from .gateways import Gateway, ModelInfo
from .inputs import Input, InputType, Progress
from .options import ClientOptions, Options, check_known
from .results import EmbeddingResult, Partial
from .stream import StreamBatch, StreamProgress
from .usage import Usage

_AnyClient = TypeVar("_AnyClient", bound="_Client")


class _Client:
    """What has no colour."""

    def __init__(self, model: str, **options: Unpack[ClientOptions]) -> None:
        check_known(list(options))
        self._shared = Shared(Options(model=model, **options))

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
        return _sharing(type(self), Shared(self._shared.options))


def _sharing(kind: type[_AnyClient], shared: Shared) -> _AnyClient:
    """Return a client that uses what another has built."""
    client = kind.__new__(kind)
    client._shared = shared
    return client


def _rebuilt(kind: type[_Client], options: dict[str, Any]) -> _Client:
    return kind(**options)


class Client(_Client, Checks):
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
        from ._client_calls import embed

        return embed(self._shared, inputs, input_type, resume, on_progress)

    def embed_documents(self, texts: Iterable[Input], *, on_progress: Progress | None = None) -> EmbeddingResult:
        """Return one embedding per text, in input order, marked as documents. See `embed`."""
        return self.embed(texts, input_type="document", on_progress=on_progress)

    def embed_query(self, text: Input) -> EmbeddingResult:
        """Return the embedding of one query, as one row. See `embed`; it is given half a minute at most to wait."""
        return self.embed([text], input_type="query")

    def embed_stream(
        self,
        inputs: Iterable[Input | tuple[Any, Input]],
        *,
        input_type: InputType,
        on_progress: Callable[[StreamProgress], None] | None = None,
    ) -> Iterator[StreamBatch]:
        """Return embeddings batch by batch, in input order, for inputs without end: memory does not grow with them.

        The inputs are read in the thread that iterates, at most twice `max_concurrency` batches ahead. Whoever stops
        iterating stops the requests; what is in flight by then lands in the cache, if there is one.

        Args:
            inputs: Texts or `Content`, or pairs of an id and one of them; a generator, an open text file (a line is a
                text) or an Arrow array of strings will do. Without ids, they are counted from 0.
            input_type: `"query"` or `"document"`.
            on_progress: Called after each batch, by the thread that iterates.

        Returns:
            Batches of `(ids, embeddings, errors)`. An input that cannot be embedded is in `errors` by its id, and stops
            nothing.

        Raises:
            EmbeddingError: No more can be embedded. Everything before it has been handed out.
        """
        from ._client_calls import stream

        return stream(self._shared, inputs, input_type, on_progress)

    def list_models(self) -> list[ModelInfo]:
        """Return the embedding models that the gateway offers."""
        from ._client_calls import list_models

        return list_models(self._shared)

    def as_async(self) -> AsyncClient:
        """Return an `AsyncClient` that shares this one's limits, totals and what it has learnt."""
        return _sharing(AsyncClient, self._shared)

    def close(self) -> None:
        """Close the connections, once what streams have in flight has landed. The client can be used again."""
        if self._shared.built is not None:
            from ._client_calls import settle

            settle(self._shared.built.under_way)
            self._shared.built.http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncClient(_Client, AsyncChecks):
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
        from ._client_calls import aembed

        return await aembed(self._shared, inputs, input_type, resume, on_progress)

    async def embed_documents(self, texts: Iterable[Input], *, on_progress: Progress | None = None) -> EmbeddingResult:
        """Return one embedding per text, in input order, marked as documents. See `Client.embed`."""
        return await self.embed(texts, input_type="document", on_progress=on_progress)

    async def embed_query(self, text: Input) -> EmbeddingResult:
        """Return the embedding of one query, as one row. See `Client.embed_query`."""
        return await self.embed([text], input_type="query")

    def embed_stream(
        self,
        inputs: Iterable[Input | tuple[Any, Input]] | AsyncIterable[Input | tuple[Any, Input]],
        *,
        input_type: InputType,
        on_progress: Callable[[StreamProgress], None] | None = None,
    ) -> AsyncIterator[StreamBatch]:
        """Return embeddings batch by batch, in input order. See `Client.embed_stream`; inputs may be asynchronous too."""
        from ._client_calls import astream

        return astream(self._shared, inputs, input_type, on_progress)

    async def list_models(self) -> list[ModelInfo]:
        """Return the embedding models that the gateway offers."""
        from ._client_calls import alist_models

        return await alist_models(self._shared)

    def as_sync(self) -> Client:
        """Return a `Client` that shares this one's limits, totals and what it has learnt."""
        return _sharing(Client, self._shared)

    async def aclose(self) -> None:
        """Close the connections of the running loop as `Client.close` does; other loops' close with their loops."""
        if self._shared.built is not None:
            from ._client_calls import asettle

            await asettle(self._shared.built.under_way)
            await self._shared.built.http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
