"""Streams: slices of the inputs in flight side by side, handed out in order, in threads or in tasks."""

from __future__ import annotations

import asyncio
import contextvars
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Generic, TypeVar

from openrouter_embeddings._flows import check_input_type, embed_each, estimated_tokens, marking
from openrouter_embeddings._fork import Lock
from openrouter_embeddings._runtime import CancelScope, adrive, drive
from openrouter_embeddings.errors import EmbeddingError
from openrouter_embeddings.inputs import InputType
from openrouter_embeddings.stream import StreamBatch, StreamProgress
from openrouter_embeddings.usage import Usage

from .slices import Slice, Slicer, check_stream, lines_or_items
from .state import ClientState

OnProgress = Callable[[StreamProgress], None]
Handle = TypeVar("Handle", bound="Future[None] | asyncio.Task[None]")


class StreamWindow(Generic[Handle]):
    """The slices of one stream that were begun and not handed out. Without colour.

    Args:
        state: Of the client.
        inputs: What to embed.
        input_type: `"query"` or `"document"`.
        on_progress: Told after each batch.
    """

    def __init__(
        self, state: ClientState, inputs: object, input_type: InputType, on_progress: OnProgress | None
    ) -> None:
        check_input_type(input_type)
        check_stream(inputs)
        self.state = state
        self.pending: deque[tuple[Slice, Handle]] = deque()
        self.cancelled = False
        self._scopes: set[CancelScope] = set()
        self._input_type = input_type
        self._on_progress = on_progress
        self._began = 0.0
        self._lock = Lock()
        self._usage = Usage()
        self._done = self._failed = 0
        self._fatal: EmbeddingError | None = None

    def begin(self) -> Slicer:
        """Look for the key before the first request, and return what gathers the inputs."""
        options = self.state.options
        options.key()
        self._began = self.state.runtime().clock()
        self.state.streams.add(self)
        prefix = marking(options, options.facts, self._input_type).prefix
        return Slicer(self.state.learned, marked=estimated_tokens(prefix) - 1)

    def slice(self, pairs: list[tuple[Any, Any]]) -> Slice:
        """Return a slice, ready to be sent."""
        return Slice(pairs, lambda inputs: self.state.call(inputs, self._input_type, urgent=False))

    def submit(self, part: Slice, handle: Handle) -> None:
        """Remember a slice that was begun: connections are not closed under it."""
        self.pending.append((part, handle))
        background = self.state.runtime().background
        background.add(handle)
        handle.add_done_callback(background.discard)

    def is_ready(self) -> bool:
        """Return whether the next batch is to be handed out before more is read."""
        full = len(self.pending) >= 2 * self.state.options.max_concurrency
        return full or (bool(self.pending) and self.pending[0][1].done())

    def take(self, failed: BaseException | None) -> StreamBatch:
        """Return the next batch, or raise what kept it from landing.

        Args:
            failed: What ended its slice, if something did.
        """
        part, _ = self.pending.popleft()
        if failed is not None and not isinstance(failed, EmbeddingError):
            raise failed
        batch = part.result()
        if batch is None:
            raise self._fatal or EmbeddingError("The stream was stopped: its client was closed.")
        self._done += len(batch.ids)
        self._failed += len(batch.errors)
        if self._on_progress is not None:
            seconds = self.state.runtime().clock() - self._began
            self._on_progress(StreamProgress(done=self._done, failed=self._failed, seconds=seconds, usage=self._usage))
        return batch

    def scope_for(self, part: Slice) -> CancelScope | None:
        """Return the scope of a slice that is to be sent now, or None: there is nothing to send."""
        if part.call is None or self.cancelled:
            return None
        settings = part.call.settings
        scope = CancelScope(self.state.runtime().clock, settings.call_timeout, part.call.share)
        self._scopes.add(scope)
        return scope

    def ended(self, part: Slice, scope: CancelScope | None, error: BaseException | None) -> None:
        """Count what a slice has spent, and remember what ends the stream."""
        if scope is not None:
            self._scopes.discard(scope)
        if part.call is not None:
            with self._lock:
                self._usage += part.call.outcome.usage
        if error is not None:
            if isinstance(error, EmbeddingError) and self._fatal is None:
                self._fatal = error
            self.cancel()

    def cancel(self) -> None:
        """Send nothing more. What is in flight lands."""
        self.cancelled = True
        for scope in list(self._scopes):
            scope.cancel()


def stream(
    state: ClientState, inputs: Iterable[Any], input_type: InputType, on_progress: OnProgress | None
) -> Iterator[StreamBatch]:
    """Return a stream that runs in threads."""
    return _stream(StreamWindow(state, inputs, input_type, on_progress), inputs)


def _stream(window: StreamWindow[Future[None]], inputs: Iterable[Any]) -> Iterator[StreamBatch]:
    state, slicer = window.state, window.begin()
    pool = ThreadPoolExecutor(state.options.max_concurrency, thread_name_prefix="openrouter-embeddings")

    def run(part: Slice) -> None:
        error: BaseException | None = None
        scope = window.scope_for(part)
        try:
            if scope is not None and part.call is not None:
                drive(embed_each(part.call), state.runtime(), scope)
        except BaseException as failed:
            error = failed
            raise
        finally:
            window.ended(part, scope, error)

    def submit(pairs: list[tuple[Any, Any]]) -> None:
        part = window.slice(pairs)
        window.submit(part, pool.submit(contextvars.copy_context().run, run, part))

    broken: Exception | None = None
    source = iter(lines_or_items(inputs))
    try:
        while True:
            try:
                given = next(source)
            except StopIteration:
                break
            except Exception as error:  # noqa: BLE001  the user's: what was read before it is handed out first
                broken = error
                break
            if (full := slicer.add(given)) is not None:
                submit(full)
                while window.is_ready():
                    yield window.take(window.pending[0][1].exception())
        if held := slicer.flush():
            submit(held)
        while window.pending:
            yield window.take(window.pending[0][1].exception())
        if broken is not None:
            raise broken
    finally:
        window.cancel()
        # Nothing more is sent. What is in flight lands in the cache: `close` and the interpreter's end wait for it.
        pool.shutdown(wait=False, cancel_futures=True)


def astream(
    state: ClientState,
    inputs: Iterable[Any] | AsyncIterable[Any],
    input_type: InputType,
    on_progress: OnProgress | None,
) -> AsyncIterator[StreamBatch]:
    """Return a stream that runs in tasks."""
    return _astream(StreamWindow(state, inputs, input_type, on_progress), inputs)


async def _astream(
    window: StreamWindow[asyncio.Task[None]], inputs: Iterable[Any] | AsyncIterable[Any]
) -> AsyncIterator[StreamBatch]:
    state, slicer = window.state, window.begin()

    async def run(part: Slice) -> None:
        error: BaseException | None = None
        scope = window.scope_for(part)
        try:
            if scope is not None and part.call is not None:
                await adrive(embed_each(part.call), state.runtime(), scope)
        except BaseException as failed:
            error = failed
            raise
        finally:
            window.ended(part, scope, error)

    async def take() -> StreamBatch:
        task = window.pending[0][1]
        await asyncio.wait([task])
        return window.take(None if task.cancelled() else task.exception())

    def submit(pairs: list[tuple[Any, Any]]) -> None:
        part = window.slice(pairs)
        window.submit(part, asyncio.create_task(run(part)))

    broken: Exception | None = None
    source = _items(inputs)
    try:
        while True:
            try:
                given = await anext(source)
            except StopAsyncIteration:
                break
            except Exception as error:  # noqa: BLE001
                broken = error
                break
            if (full := slicer.add(given)) is not None:
                submit(full)
                await asyncio.sleep(0)
                while window.is_ready():
                    yield await take()
        if held := slicer.flush():
            submit(held)
        while window.pending:
            yield await take()
        if broken is not None:
            raise broken
    except asyncio.CancelledError:
        for _, task in window.pending:
            task.cancel()
        raise
    finally:
        window.cancel()
        await asyncio.gather(
            *(task for _, task in window.pending), return_exceptions=True
        )  # what is in flight may land


async def _items(inputs: Iterable[Any] | AsyncIterable[Any]) -> AsyncIterator[Any]:
    if isinstance(inputs, AsyncIterable):
        async for given in inputs:
            yield given
    else:
        for given in lines_or_items(inputs):
            yield given


def close_streams(state: ClientState) -> None:
    """Let streams send nothing more, and wait for what those in threads have in flight: it is paid for."""
    _cancel_all(state)
    for handle in list(state.runtime().background):
        if isinstance(handle, Future):
            with suppress(CancelledError):
                handle.exception()


async def aclose_streams(state: ClientState) -> None:
    """Do the same for streams on the running loop."""
    _cancel_all(state)
    loop = asyncio.get_running_loop()
    handles = list(state.runtime().background)
    tasks = [handle for handle in handles if isinstance(handle, asyncio.Task) and handle.get_loop() is loop]
    if tasks:
        await asyncio.wait(tasks)


def _cancel_all(state: ClientState) -> None:
    for window in list(state.streams):
        window.cancel()
