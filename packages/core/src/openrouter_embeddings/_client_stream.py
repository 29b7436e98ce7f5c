"""Streams: slices of the inputs on their way side by side, handed out in order, in threads or in tasks."""

from __future__ import annotations

import asyncio
import contextvars
import time
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from ._client_shared import Shared
from ._drive import adrive, drive
from ._drive_gate import Scope
from ._flow import embed_each
from ._plan import estimated_tokens
from ._prepare import check_side, marking
from ._slices import Slice, Slicer, check_stream, one_by_one, slices
from .errors import EmbeddingError
from .inputs import InputType
from .stream import StreamBatch, StreamProgress
from .usage import Usage

OnProgress = Callable[[StreamProgress], None]


class _Stream:
    """One stream: what has no colour."""

    def __init__(self, shared: Shared, inputs: object, side: InputType, on_progress: OnProgress | None) -> None:
        check_side(side)
        check_stream(inputs)
        self.shared = shared
        self.scope = Scope()
        self.ahead = 2 * shared.options.max_concurrency
        self._side = side
        self._on_progress = on_progress
        self._began = time.monotonic()
        self._usage = Usage()
        self._done = self._failed = 0
        self._fatal: EmbeddingError | None = None

    def slicer(self) -> Slicer:
        """Return what gathers the inputs."""
        prefix = marking(self.shared.options, self.shared.profile, self._side).prefix
        return Slicer(self.shared.learned, marked=estimated_tokens(prefix) - 1)

    def slice(self, pairs: list[tuple[Any, Any]]) -> Slice:
        """Return a slice, ready to be sent."""
        return Slice(pairs, lambda inputs: self.shared.prepare(inputs, self._side))

    def begin(self) -> None:
        """Look for the key before the first request."""
        self.shared.options.key()

    def ended(self, one: Slice, error: BaseException | None) -> None:
        """Count what a slice has spent, and remember what ends the stream."""
        if one.job is not None:
            self._usage += one.job.usage()
            self.shared.add(one.job.usage())
        if isinstance(error, EmbeddingError) and self._fatal is None:
            self._fatal = error

    def handed_out(self, one: Slice) -> StreamBatch:
        """Return the batch, or raise what kept it from landing."""
        batch = one.batch()
        if batch is None:
            raise self._fatal or EmbeddingError("The stream was stopped.")
        self._done += len(batch.ids)
        self._failed += len(batch.errors)
        if self._on_progress is not None:
            seconds = time.monotonic() - self._began
            self._on_progress(StreamProgress(done=self._done, failed=self._failed, seconds=seconds, usage=self._usage))
        return batch


def _under_way(shared: Shared, one: Future[None] | asyncio.Task[None]) -> None:
    """Remember a slice until it is through: connections are not closed under it."""
    under_way = shared.world().under_way
    under_way.add(one)
    one.add_done_callback(under_way.discard)


def settle(under_way: set[Any]) -> None:
    """Wait for what streams in threads have under way: it is paid for."""
    for one in list(under_way):
        if isinstance(one, Future):
            with suppress(CancelledError):
                one.exception()


async def asettle(under_way: set[Any]) -> None:
    """Wait for what streams on this loop have under way."""
    loop = asyncio.get_running_loop()
    tasks = [one for one in list(under_way) if isinstance(one, asyncio.Task) and one.get_loop() is loop]
    if tasks:
        await asyncio.wait(tasks)


def stream(
    shared: Shared, inputs: Iterable[Any], side: InputType, on_progress: OnProgress | None
) -> Iterator[StreamBatch]:
    """Return a stream that runs in threads."""
    return _stream(_Stream(shared, inputs, side, on_progress), inputs)


def _stream(one_stream: _Stream, inputs: Iterable[Any]) -> Iterator[StreamBatch]:
    one_stream.begin()
    shared, scope = one_stream.shared, one_stream.scope
    pool = ThreadPoolExecutor(shared.options.max_concurrency, thread_name_prefix="openrouter-embeddings")

    def run(one: Slice) -> None:
        error: BaseException | None = None
        try:
            if one.job is not None and not scope.stopped:
                drive(embed_each(one.job), shared.world(), scope)
        except BaseException as failed:
            error = failed
            scope.stop()
            raise
        finally:
            one_stream.ended(one, error)

    def hand_out() -> StreamBatch:
        one, future = waiting[0]
        failed = future.exception()
        waiting.popleft()
        if failed is not None and not isinstance(failed, EmbeddingError):
            raise failed
        return one_stream.handed_out(one)

    waiting: deque[tuple[Slice, Future[None]]] = deque()
    try:
        for pairs in slices(inputs, one_stream.slicer()):
            one = one_stream.slice(pairs)
            waiting.append((one, pool.submit(contextvars.copy_context().run, run, one)))
            _under_way(shared, waiting[-1][1])
            while len(waiting) >= one_stream.ahead or (waiting and waiting[0][1].done()):
                yield hand_out()
        while waiting:
            yield hand_out()
    finally:
        scope.stop()
        # Nothing more is sent. What is in flight lands in the cache: `close` and the interpreter's end wait for it.
        pool.shutdown(wait=False, cancel_futures=True)


def astream(
    shared: Shared, inputs: Iterable[Any] | AsyncIterable[Any], side: InputType, on_progress: OnProgress | None
) -> AsyncIterator[StreamBatch]:
    """Return a stream that runs in tasks."""
    return _astream(_Stream(shared, inputs, side, on_progress), inputs)


async def _astream(one_stream: _Stream, inputs: Iterable[Any] | AsyncIterable[Any]) -> AsyncIterator[StreamBatch]:
    one_stream.begin()
    shared, scope = one_stream.shared, one_stream.scope

    async def run(one: Slice) -> None:
        error: BaseException | None = None
        try:
            if one.job is not None and not scope.stopped:
                await adrive(embed_each(one.job), shared.world(), scope)
        except BaseException as failed:
            error = failed
            scope.stop()
            raise
        finally:
            one_stream.ended(one, error)

    async def hand_out() -> StreamBatch:
        one, task = waiting[0]
        await asyncio.wait([task])
        waiting.popleft()
        failed = task.exception()
        if failed is not None and not isinstance(failed, EmbeddingError):
            raise failed
        return one_stream.handed_out(one)

    waiting: deque[tuple[Slice, asyncio.Task[None]]] = deque()
    try:
        async for pairs in _aslices(inputs, one_stream.slicer()):
            one = one_stream.slice(pairs)
            waiting.append((one, asyncio.create_task(run(one))))
            _under_way(shared, waiting[-1][1])
            while len(waiting) >= one_stream.ahead or (waiting and waiting[0][1].done()):
                yield await hand_out()
        while waiting:
            yield await hand_out()
    except asyncio.CancelledError:
        for _, task in waiting:
            task.cancel()
        raise
    finally:
        scope.stop()
        await asyncio.gather(*(task for _, task in waiting), return_exceptions=True)  # what is in flight may land


async def _aslices(inputs: Iterable[Any] | AsyncIterable[Any], slicer: Slicer) -> AsyncIterator[list[tuple[Any, Any]]]:
    if isinstance(inputs, AsyncIterable):
        async for given in inputs:
            if (full := slicer.add(given)) is not None:
                yield full
    else:
        for given in one_by_one(inputs):
            if (full := slicer.add(given)) is not None:
                yield full
                await asyncio.sleep(0)
    if held := slicer.rest():
        yield held
