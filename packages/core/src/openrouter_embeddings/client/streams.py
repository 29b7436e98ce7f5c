"""Streams: slices of the inputs in flight side by side, handed out in order, in threads or in tasks."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

from openrouter_embeddings._flows import check_input_type, embed_each, estimated_tokens, marking
from openrouter_embeddings._fork import Lock
from openrouter_embeddings._runtime import CancelScope, Job, JobThreads, adrive, drive
from openrouter_embeddings.errors import EmbeddingError
from openrouter_embeddings.inputs import InputType
from openrouter_embeddings.stream import StreamBatch, StreamProgress
from openrouter_embeddings.usage import Usage

from .slices import Slice, Slicer, check_stream, lines_or_items
from .state import ClientState, Streams
from .telemetry import observed

OnProgress = Callable[[StreamProgress], None]
Handle = TypeVar("Handle", bound="Job[None] | asyncio.Task[None]")


class StreamWindow(Generic[Handle]):
    """The slices of one stream that were begun and not handed out. Without colour.

    Args:
        state: Of the client.
        streams: Of the client.
        inputs: What to embed.
        input_type: `"query"` or `"document"`.
        on_progress: Told after each batch.
    """

    def __init__(
        self,
        state: ClientState,
        streams: Streams,
        inputs: object,
        input_type: InputType,
        on_progress: OnProgress | None,
    ) -> None:
        check_input_type(input_type)
        check_stream(inputs)
        self.state = state
        self._streams = streams
        self.pending: deque[tuple[Slice, Handle]] = deque()
        self.cancelled = False
        self.broken: Exception | None = None
        """What reading the inputs has raised."""
        self._scopes: set[CancelScope] = set()
        self._input_type = input_type
        self._on_progress = on_progress
        self._began = 0.0
        self._lock = Lock()
        self._usage = Usage()
        self._done = self._failed = self._missing = 0
        self._fatal: EmbeddingError | None = None

    def begin(self) -> Slicer:
        """Look for the key before the first request, and return what gathers the inputs."""
        options = self.state.options
        options.key()
        self._began = self.state.runtime().clock()
        self._streams.windows.add(self)
        prefix = marking(options, options.facts, self._input_type).prefix
        return Slicer(self.state.learned, marked=estimated_tokens(prefix) - 1)

    def slice(self, pairs: list[tuple[Any, Any]]) -> Slice:
        """Return a slice, ready to be sent."""
        return Slice(pairs, lambda inputs: self.state.call(inputs, self._input_type, urgent=False, on_error="null"))

    def submit(self, part: Slice, handle: Handle) -> None:
        """Remember a slice that was begun: connections are not closed under it."""
        self.pending.append((part, handle))

    def handles(self) -> list[Handle]:
        """Return what was begun and not handed out, from any thread."""
        return [handle for _, handle in self.pending.copy()]

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
        self._missing += part.missing
        if self._on_progress is not None:
            seconds = self.state.runtime().clock() - self._began
            self._on_progress(
                StreamProgress(
                    done=self._done, failed=self._failed, missing=self._missing, seconds=seconds, usage=self._usage
                )
            )
        return batch

    def raise_if_broken(self) -> None:
        """Raise what ended the reading of the inputs, once everything before it was handed out."""
        if self.broken is not None:
            raise self.broken

    @contextmanager
    def running(self, part: Slice) -> Iterator[CancelScope | None]:
        """Yield the scope of a slice that is to be sent now, or None; count what it spends, note what ends the stream."""
        scope: CancelScope | None = None
        if not self.cancelled:
            scope = CancelScope(self.state.runtime().clock, part.call.settings.call_timeout, part.call.share)
            self._scopes.add(scope)
        try:
            with observed(self.state, self._input_type, [part.call] if scope is not None else []):
                yield scope
        except BaseException as error:
            if isinstance(error, EmbeddingError) and self._fatal is None:
                self._fatal = error
            self.cancel()
            raise
        finally:
            if scope is not None:
                self._scopes.discard(scope)
            with self._lock:
                self._usage += part.call.outcome.usage

    def cancel(self) -> None:
        """Send nothing more. What is in flight lands."""
        self.cancelled = True
        for scope in list(self._scopes):
            scope.cancel()


def stream(
    state: ClientState,
    streams: Streams,
    inputs: Iterable[Any],
    input_type: InputType,
    on_progress: OnProgress | None,
) -> Iterator[StreamBatch]:
    """Return a stream that runs in threads."""
    return _stream(StreamWindow(state, streams, inputs, input_type, on_progress), inputs)


def _stream(window: StreamWindow[Job[None]], inputs: Iterable[Any]) -> Iterator[StreamBatch]:
    state, slicer = window.state, window.begin()
    threads = JobThreads(state.options.max_concurrency)

    def run(part: Slice) -> None:
        with window.running(part) as scope:
            if scope is not None:
                drive(embed_each(part.call), state.runtime(), scope)

    def begin(part: Slice) -> Job[None]:
        job = Job(lambda: run(part))
        threads.start(job)
        return job

    def take() -> StreamBatch:
        job = window.pending[0][1]
        job.wait()
        return window.take(job.outcome)

    try:
        for pairs in _slices(window, slicer, inputs):
            part = window.slice(pairs)
            window.submit(part, begin(part))
            while window.is_ready():
                yield take()
        while window.pending:
            yield take()
        window.raise_if_broken()
    finally:
        # Nothing more is sent. What is in flight lands in the cache: `close` and the interpreter's end wait for it.
        window.cancel()


def _slices(window: StreamWindow[Any], slicer: Slicer, inputs: Iterable[Any]) -> Iterator[list[tuple[Any, Any]]]:
    """Yield the inputs in slices, up to the end or to where reading them fails."""
    try:
        for given in lines_or_items(inputs):
            if (full := slicer.add(given)) is not None:
                yield full
    except Exception as error:  # noqa: BLE001  what was read before is handed out first
        window.broken = error
    if held := slicer.flush():
        yield held


def astream(
    state: ClientState,
    streams: Streams,
    inputs: Iterable[Any] | AsyncIterable[Any],
    input_type: InputType,
    on_progress: OnProgress | None,
) -> AsyncIterator[StreamBatch]:
    """Return a stream that runs in tasks."""
    return _astream(StreamWindow(state, streams, inputs, input_type, on_progress), inputs)


async def _astream(
    window: StreamWindow[asyncio.Task[None]], inputs: Iterable[Any] | AsyncIterable[Any]
) -> AsyncIterator[StreamBatch]:
    state, slicer = window.state, window.begin()

    async def run(part: Slice) -> None:
        with window.running(part) as scope:
            if scope is not None:
                await adrive(embed_each(part.call), state.runtime(), scope)

    async def take() -> StreamBatch:
        task = window.pending[0][1]
        await asyncio.wait([task])
        return window.take(None if task.cancelled() else task.exception())

    try:
        async for pairs in _aslices(window, slicer, inputs):
            part = window.slice(pairs)
            window.submit(part, asyncio.create_task(run(part)))
            await asyncio.sleep(0)
            while window.is_ready():
                yield await take()
        while window.pending:
            yield await take()
        window.raise_if_broken()
    except asyncio.CancelledError:
        for _, task in window.pending:
            task.cancel()
        raise
    finally:
        window.cancel()
        await asyncio.gather(
            *(task for _, task in window.pending), return_exceptions=True
        )  # what is in flight may land


async def _aslices(
    window: StreamWindow[Any], slicer: Slicer, inputs: Iterable[Any] | AsyncIterable[Any]
) -> AsyncIterator[list[tuple[Any, Any]]]:
    """Yield the inputs in slices. See `_slices`."""
    if not isinstance(inputs, AsyncIterable):
        for pairs in _slices(window, slicer, inputs):
            yield pairs
        return
    try:
        async for given in inputs:
            if (full := slicer.add(given)) is not None:
                yield full
    except Exception as error:  # noqa: BLE001
        window.broken = error
    if held := slicer.flush():
        yield held


def close_streams(streams: Streams) -> None:
    """Let streams send nothing more, and wait for what those in threads have in flight: it is paid for."""
    for handle in _cancel_all(streams):
        if isinstance(handle, Job):
            handle.wait()


async def aclose_streams(streams: Streams) -> None:
    """Do the same for streams on the running loop."""
    loop = asyncio.get_running_loop()
    handles = _cancel_all(streams)
    tasks = [handle for handle in handles if isinstance(handle, asyncio.Task) and handle.get_loop() is loop]
    if tasks:
        await asyncio.wait(tasks)


def _cancel_all(streams: Streams) -> list[Any]:
    """Let nothing more be sent, and return what may be in flight."""
    windows = list(streams.windows)
    for window in windows:
        window.cancel()
    return [handle for window in windows for handle in window.handles()]
