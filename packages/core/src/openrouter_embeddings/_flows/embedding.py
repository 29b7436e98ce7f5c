"""A call from beginning to end, written once for threads and asyncio: look up, claim, send, split, isolate, keep.

`embed` runs workers that drain one queue. A worker claims a batch, leaving out what another call has in flight, and
delivers it: it is sent until it landed or sending it again cannot help; then it is split, its culprits are isolated, or
the call ends. What other calls have in flight is waited for at the end.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial

from openrouter_embeddings._protocol import TOO_LONG, Diagnosis, Remedy
from openrouter_embeddings.errors import EmbeddingError, InputTooLongError
from openrouter_embeddings.results import EmbeddingResult

from .batches import Batch, SizeTest
from .call import EmbedCall
from .claims import await_elsewhere, leave, set_aside
from .delivery import NO_LONGER_FITS, ClaimedElsewhere, not_sent_error, send_until_settled
from .effects import CallStopped, Flow, NotSent, NotSentReason, await_shared, cache_get, gather
from .isolate import isolate_culprits
from .too_long import shorten, surely_too_long


def embed(call: EmbedCall) -> Flow[EmbeddingResult]:
    """Embed what the cache does not know, and return the whole call's result."""
    try:
        cause = yield from embed_missing(call)
    except EmbeddingError:
        raise
    except Exception as foreign:  # a callback of the user's: the exception is theirs, what landed must not be lost
        error = EmbeddingError(f"The call was ended by {type(foreign).__name__}.", model=call.settings.model)
        with suppress(Exception):
            foreign.partial = call.partial(error)  # type: ignore[attr-defined]
        raise
    finally:
        leave(call)
    cause = cause or call.cause_to_raise()
    if cause is None and call.unresolved():
        cause = EmbeddingError("The call was stopped.", model=call.settings.model)
    if cause is not None:
        raise call.with_partial(cause)
    return call.result()


def embed_each(call: EmbedCall) -> Flow[None]:
    """Give every input of a part of a stream its embedding or its error. Only what ends the stream is raised."""
    try:
        if call.unresolved():
            cause = yield from embed_missing(call, workers=1)
            if cause is not None:
                raise cause
    finally:
        leave(call)


def embed_missing(call: EmbedCall, *, workers: int | None = None) -> Flow[EmbeddingError | None]:
    """Give every input its embedding or its error; return the error that ended the call, if one did.

    Args:
        call: What to embed.
        workers: Most requests in flight; None: as many as the client may have.
    """
    todo = call.unresolved()
    if call.keys is not None and todo:
        call.take_cached(todo, (yield from cache_get([call.keys[index] for index in todo])))
        todo = call.unresolved()
    while todo:
        cause = yield from _send_all(call, todo, alone=workers == 1)
        if cause is not None:
            return cause
        left = yield from _await_others(call)
        if isinstance(left, NotSentReason):
            stopped = not_sent_error(call, call.unresolved(), NotSent(left))
            return stopped if isinstance(stopped, EmbeddingError) else None
        todo = left
    return None


def _await_others(call: EmbedCall) -> Flow[list[int] | NotSentReason]:
    """Wait for what other processes and other calls have in flight, and return what they have left to us.

    Other processes come first: what they hold, our client's other calls wait for us to get.
    """
    left = yield from await_elsewhere(call)
    if left or isinstance(left, NotSentReason) or call.share is None or not call.share.is_waiting:
        return left
    outcomes = yield from await_shared(call.share, call.settings.wait_budget + call.settings.timeout)
    return outcomes if isinstance(outcomes, NotSentReason) else call.adopt_shared(outcomes)


def _send_all(call: EmbedCall, todo: list[int], *, alone: bool) -> Flow[EmbeddingError | None]:
    """Send inputs, by one worker or by as many as there are permits for; return the error that ended the call."""
    long = call.probably_too_long(todo)
    rest = [index for index in todo if index not in long] if long else todo
    call.queue.begin(rest, alone=sorted(long))
    if alone or call.queue.is_one_batch():
        call.workers.begin(None)
        try:
            yield from drain_queue(call)
        except EmbeddingError as error:
            return error
        return None
    call.workers.begin(partial(drain_queue, call))
    outcomes = yield from gather([drain_queue(call)])
    causes = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    foreign = next((cause for cause in causes if not isinstance(cause, EmbeddingError)), None)
    if foreign is not None:
        raise foreign
    return next((cause for cause in causes if isinstance(cause, EmbeddingError)), None)


def drain_queue(call: EmbedCall) -> Flow[None]:
    """Deliver batches until the queue is empty."""
    try:
        while (batch := call.queue.next()) is not None:
            yield from _claim_and_deliver(call, batch)
    except CallStopped:
        return
    finally:
        call.workers.end()


def _claim_and_deliver(call: EmbedCall, batch: Batch) -> Flow[None]:
    cause: EmbeddingError | None = None
    try:
        own = yield from _claim_batch(call, batch)
        while len(own):
            try:
                yield from _deliver(call, own)
                break
            except ClaimedElsewhere:
                own = yield from set_aside(call, own)
    except EmbeddingError as error:
        cause = error
        raise
    finally:
        if batch.is_a_try:
            call.learned.try_ended()
        if call.share is not None:
            shared = None if call.out_of_time else cause
            ended = [index for index in batch.members if index not in call.elsewhere.now]
            call.share.abandon(ended, {index: call.failures.get(index, shared) for index in ended})


def _claim_batch(call: EmbedCall, batch: Batch) -> Flow[Batch]:
    """Return the part of a batch that this call sends: neither in flight in another call nor landed by now."""
    if call.share is None:
        return batch
    own = call.share.claim(batch.members)
    if call.keys is not None and own and call.share.has_newer_results():
        call.take_cached(own, (yield from cache_get([call.keys[index] for index in own])))
        own = [index for index in own if not call.rows.filled[index]]
    return batch.only(own)


def _deliver(call: EmbedCall, batch: Batch) -> Flow[None]:
    """See one batch through: landed, put back in parts, its culprits dealt with, or the call ended by an error."""
    first = batch.members[0]
    shortens = call.settings.on_too_long != "error" and len(batch) == 1
    if shortens and surely_too_long(call.inputs.items[first], call.settings.max_tokens):
        return (yield from shorten(call, first, TOO_LONG, embed_missing))
    diagnosis = yield from send_until_settled(call, batch)
    if diagnosis is None:
        return None
    if diagnosis is NO_LONGER_FITS:
        return call.queue.cut_anew(batch)
    if diagnosis.remedy is Remedy.SPLIT:
        return _split(call, batch, diagnosis)
    if diagnosis.remedy is not Remedy.ISOLATE:
        raise call.error(diagnosis, batch.members)
    culprits = yield from isolate_culprits(call, batch, diagnosis)
    for index, found in culprits.items():
        yield from _deal_with(call, index, found)
    return None


def _split(call: EmbedCall, batch: Batch, diagnosis: Diagnosis) -> None:
    """Queue a batch that was refused for its size again, in smaller parts."""
    if diagnosis.batch_limit is not None:
        call.learned.limit_named(diagnosis.batch_limit)
        call.queue.cut_anew(batch)
    else:
        by_tokens = diagnosis.error_body is not None and diagnosis.error_body.status == 413
        call.queue.put_back(batch.halves(SizeTest(len(batch), batch.tokens, by_tokens)))


def _deal_with(call: EmbedCall, index: int, diagnosis: Diagnosis) -> Flow[None]:
    """Shorten an input that was refused alone, if that is wanted and may help, or remember why it has no embedding."""
    too_long = issubclass(diagnosis.kind, InputTooLongError) and isinstance(call.inputs.items[index], str)
    if too_long and call.settings.on_too_long != "error":
        yield from shorten(call, index, diagnosis, embed_missing)
    else:
        call.fail([index], call.error(diagnosis, [index]))
