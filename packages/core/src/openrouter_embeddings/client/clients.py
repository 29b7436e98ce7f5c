"""`Client` and `AsyncClient`: two colours of one client."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from typing import Any, Self

from openrouter_embeddings.checks import ConsistencyCheck, ModelCheck
from openrouter_embeddings.errors import Partial
from openrouter_embeddings.gateways import ModelInfo
from openrouter_embeddings.inputs import Input, InputType, Progress
from openrouter_embeddings.results import EmbeddingResult
from openrouter_embeddings.stream import StreamBatch, StreamProgress

from .base import BaseClient, client_sharing

# What a call needs (httpx, numpy, asyncio, pydantic) loads with the first call: each method imports it.


class Client(BaseClient):
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
        inputs: Iterable[Input | None],
        *,
        input_type: InputType,
        resume: Partial | None = None,
        on_progress: Progress | None = None,
    ) -> EmbeddingResult:
        """Return one embedding per input, in input order, marked as `input_type` asks.

        Equal inputs are sent once. Batches that land are kept even if a later one fails. A call ends within
        `call_timeout`; without one, each batch ends at the latest `retry_timeout` and `timeout` after it could be sent.

        Args:
            inputs: Texts, sent byte for byte after the profile's prefix, or `Content`; an Arrow array of strings will do.
                None counts as an empty text.
            input_type: `"query"` or `"document"`.
            resume: `error.partial` of an earlier call with the same inputs: only the rest is paid for.
            on_progress: Called with how many of how many inputs are done, whenever a batch lands, by the thread that
                landed it: one call at a time, each with more than the one before. An exception of it ends the call; what
                landed is on it, as `.partial`.

        Returns:
            Embeddings as float32 of shape (n, dimensions). No inputs: no rows and no request. With `on_error="null"` an
            input that cannot be embedded costs its own row: `.errors` says why, `.missing` which.

        Raises:
            InputError: An input is empty or of a wrong type. Raised before any request.
            EmbeddingError: A batch failed for good; what landed is in `.partial`.
        """
        from .calls import embed_call, run

        return run(self._state, embed_call(self._state, inputs, input_type, resume, on_progress))

    def embed_documents(self, texts: Iterable[Input | None], *, on_progress: Progress | None = None) -> EmbeddingResult:
        """Return one embedding per text, in input order, marked as documents. See `embed`."""
        return self.embed(texts, input_type="document", on_progress=on_progress)

    def embed_query(self, text: Input) -> EmbeddingResult:
        """Return the embedding of one query, as one row. See `embed`.

        It goes before bulk work of the same client, and takes `call_timeout` at most, by default 30 seconds, waiting and
        retries included.
        """
        return self.embed([text], input_type="query")

    def embed_stream(
        self,
        inputs: Iterable[Input | tuple[Any, Input | None] | None],
        *,
        input_type: InputType,
        on_progress: Callable[[StreamProgress], None] | None = None,
    ) -> Iterator[StreamBatch]:
        """Return embeddings batch by batch, in input order, for inputs without end: memory does not grow with them.

        The inputs are read in the thread that iterates, at most twice `max_concurrency` batches ahead. When iteration
        stops, so do the requests; what is in flight by then lands in the cache, if there is one. If the inputs raise an
        exception, everything read before is handed out, and then it is raised.

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
        from .streams import stream

        return stream(self._state, self._streams, inputs, input_type, on_progress)

    def list_models(self) -> list[ModelInfo]:
        """Return the embedding models that the gateway offers."""
        from .calls import listing_call, run

        return run(self._state, listing_call(self._state))

    def as_async(self) -> AsyncClient:
        """Return an `AsyncClient` that shares this one's limits, totals and what it has learnt."""
        return client_sharing(AsyncClient, self._state, self._streams)

    def check_model(self) -> ModelCheck:
        """Try the model with a handful of tiny live requests, and compare what it does with its profile.

        What fails is a finding. The cache is neither asked nor filled.

        Raises:
            AuthenticationError: The key was refused.
            InsufficientCreditsError: No credit is left.
            BudgetExceededError: A request would pass `max_cost`.
        """
        from .calls import model_check_call, run

        return run(self._state, model_check_call(self._state))

    def check_consistency(self, texts: Iterable[Input] | None = None) -> ConsistencyCheck:
        """Embed the same texts, as documents, through each provider of the model, and compare the embeddings.

        Providers are pinned one by one; the client's own preferences narrow the list and hold otherwise. A provider
        that fails is a row of the result. The cache is neither asked nor filled.

        Args:
            texts: None: eight short ones of several languages and kinds.

        Raises:
            InputError: A text cannot be embedded, or there is none.
            ConfigurationError: The gateway lists no providers, or the preferences leave none.
            ModelNotFoundError: The gateway does not know the model.
            AuthenticationError: The key was refused.
            InsufficientCreditsError: No credit is left.
            BudgetExceededError: A request would pass `max_cost`.
        """
        from .calls import consistency_check_call, run

        return run(self._state, consistency_check_call(self._state, texts))

    def close(self) -> None:
        """Close the connections. The client can be used again.

        Streams send nothing more, and what they have in flight is waited for. Other calls that are under way keep their
        connections until they are through.
        """
        if self._state.built is not None:
            from .streams import close_streams

            close_streams(self._streams)
            self._state.built.transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncClient(BaseClient):
    """The same, for asyncio: any number of tasks, on any number of loops, one after another or side by side.

    Args:
        model: The gateway's model id.
        **options: See `Options`, which holds each option's meaning and default.

    Raises:
        ConfigurationError: An option is unknown or cannot be right.
    """

    async def embed(
        self,
        inputs: Iterable[Input | None],
        *,
        input_type: InputType,
        resume: Partial | None = None,
        on_progress: Progress | None = None,
    ) -> EmbeddingResult:
        """Return one embedding per input, in input order. See `Client.embed`."""
        from .calls import arun, embed_call

        return await arun(self._state, embed_call(self._state, inputs, input_type, resume, on_progress))

    async def embed_documents(
        self, texts: Iterable[Input | None], *, on_progress: Progress | None = None
    ) -> EmbeddingResult:
        """Return one embedding per text, in input order, marked as documents. See `Client.embed`."""
        return await self.embed(texts, input_type="document", on_progress=on_progress)

    async def embed_query(self, text: Input) -> EmbeddingResult:
        """Return the embedding of one query, as one row. See `Client.embed_query`."""
        return await self.embed([text], input_type="query")

    def embed_stream(
        self,
        inputs: Iterable[Input | tuple[Any, Input | None] | None]
        | AsyncIterable[Input | tuple[Any, Input | None] | None],
        *,
        input_type: InputType,
        on_progress: Callable[[StreamProgress], None] | None = None,
    ) -> AsyncIterator[StreamBatch]:
        """Return embeddings batch by batch, in input order. See `Client.embed_stream`; inputs may be asynchronous too."""
        from .streams import astream

        return astream(self._state, self._streams, inputs, input_type, on_progress)

    async def list_models(self) -> list[ModelInfo]:
        """Return the embedding models that the gateway offers."""
        from .calls import arun, listing_call

        return await arun(self._state, listing_call(self._state))

    def as_sync(self) -> Client:
        """Return a `Client` that shares this one's limits, totals and what it has learnt."""
        return client_sharing(Client, self._state, self._streams)

    async def check_model(self) -> ModelCheck:
        """Try the model, and compare what it does with its profile. See `Client.check_model`."""
        from .calls import arun, model_check_call

        return await arun(self._state, model_check_call(self._state))

    async def check_consistency(self, texts: Iterable[Input] | None = None) -> ConsistencyCheck:
        """Compare the embeddings of the model's providers. See `Client.check_consistency`."""
        from .calls import arun, consistency_check_call

        return await arun(self._state, consistency_check_call(self._state, texts))

    async def aclose(self) -> None:
        """Close the connections of the running loop as `Client.close` does; other loops' close with their loops."""
        if self._state.built is not None:
            from .streams import aclose_streams

            await aclose_streams(self._streams)
            await self._state.built.transport.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
