"""One batch: sent, waited for and sent again until it is settled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from openrouter_embeddings._limits import Feedback, Load
from openrouter_embeddings._protocol import (
    BatchResult,
    Diagnosis,
    MalformedAnswer,
    Remedy,
    Response,
    TransportFailure,
    TransportFault,
    diagnose_answer,
    diagnose_error,
    diagnose_failure,
    read_answer,
    read_error,
    request_body,
)
from openrouter_embeddings.errors import (
    BudgetExceededError,
    ConnectionFailedError,
    EmbeddingError,
    RateLimitError,
    TimedOutError,
)
from openrouter_embeddings.usage import Usage

from .attempts import UNREACHED_SECONDS, AttemptBudget
from .batches import Batch
from .call import EmbedCall
from .claims import keys_to_claim
from .effects import CallStopped, Flow, NotSent, NotSentReason, Send, cache_put, send, sleep

_MIN_BODY_LIMIT = 64 * 1024 * 1024
_BYTES_PER_NUMBER = 25
_MAX_ASSUMED_DIMENSIONS = 16_384
_FIRST_REQUEST = Usage(requests=1)
_FOR_THE_CALLER = {Remedy.SPLIT, Remedy.ISOLATE, Remedy.NONE}
NO_LONGER_FITS = Diagnosis(EmbeddingError, "Fewer inputs are taken by now", "", Remedy.SPLIT)
"""The request did not leave: it was cut before something was learnt."""
_EMPTY_BASE64 = Diagnosis(EmbeddingError, "The answer to base64 was empty", "", Remedy.ASK_FOR_FLOATS)
_UNPRICED = Diagnosis(
    BudgetExceededError,
    "The answer named no cost, so max_cost cannot be kept,",
    "Leave max_cost out, or use a gateway that reports the cost.",
    Remedy.NONE,
)


class ClaimedElsewhere(Exception):
    """A batch did not leave: another process pays for some of it, or has paid."""


class BatchRequest:
    """One batch as a request: its body, and what an answer to it means.

    Args:
        call: Whose batch it is.
        batch: What to send.
    """

    def __init__(self, call: EmbedCall, batch: Batch) -> None:
        self._call = call
        self._batch = batch
        self._encoding = ""
        self.ask_for_floats = False
        self.attempts = 0
        self.is_a_replay = False

    def effect(self, wait_budget: float) -> Send[BatchResult | Diagnosis]:
        """Return the effect that sends it."""
        call, batch = self._call, self._batch
        width = call.settings.dimensions or call.learned.dimensions or _MAX_ASSUMED_DIMENSIONS
        return Send(
            build=self.build,
            read=self.read,
            wait_budget=wait_budget,
            timeout=call.settings.timeout,
            tokens=batch.tokens,
            max_bytes=max(_MIN_BODY_LIMIT, len(batch) * width * _BYTES_PER_NUMBER),
            keys=keys_to_claim(call, batch),
            urgent=call.settings.urgent,
            start_beside=call.next_worker,
        )

    def build(self) -> bytes | None:
        """Return the body, built only when there is a permit, with what is known by then; None: it no longer fits."""
        call, batch = self._call, self._batch
        if len(batch) > call.learned.max_inputs and not batch.is_a_try:
            return None
        asked = call.settings.encoding
        learned = "float" if self.ask_for_floats else call.learned.encoding_to_ask_for()
        self._encoding = learned if asked == "auto" else asked
        body = request_body(call.settings.fields, call.wire_inputs(batch), self._encoding)
        # Now, not when it is answered: the call may be cancelled before.
        call.outcome.spend(
            Usage(requests=1, retries=1, replays=int(self.is_a_replay)) if self.attempts else _FIRST_REQUEST
        )
        self.attempts += 1
        return body

    def read(self, answer: Response | TransportFailure, seconds: float) -> tuple[BatchResult | Diagnosis, Feedback]:
        """Return what an exchange of so many seconds came to, and what it tells the limiter."""
        verdict = self._verdict_on(answer, seconds)
        if isinstance(verdict, BatchResult):
            usage, is_free = verdict.usage, bool(verdict.usage.server_cached)
            cost = usage.cost if verdict.priced else None
            tokens = usage.total_tokens if usage.total_tokens or is_free else None
            return verdict, Feedback(Load.LANDED, cost=cost, tokens=tokens, is_priced=not is_free)
        feedback = Feedback(verdict.load, retry_after=verdict.retry_after, cause=verdict, ends_calls=verdict.ends_calls)
        return verdict, feedback

    def _verdict_on(self, answer: Response | TransportFailure, seconds: float) -> BatchResult | Diagnosis:
        settings = self._call.settings
        if isinstance(answer, TransportFailure):
            cut_short = answer.fault is TransportFault.TIMED_OUT and seconds < settings.timeout
            self._call.out_of_time = self._call.out_of_time or cut_short
            return diagnose_failure(answer, seconds=seconds)
        self._call.learned.reached = True
        may_ask_for_floats = self._encoding == "base64" and settings.encoding == "auto"
        problem = MalformedAnswer(f"the answer had status {answer.status}")
        if answer.status == 200:
            try:
                return self._checked(answer)
            except MalformedAnswer as malformed:
                problem = malformed
        body = read_error(answer)
        if body is not None:
            return diagnose_error(
                body,
                answer.headers,
                now=answer.at,
                count=len(self._batch),
                base64=may_ask_for_floats,
                hints=settings.hints,
            )
        return _EMPTY_BASE64 if problem.empty and may_ask_for_floats else diagnose_answer(problem.what)

    def _checked(self, response: Response) -> BatchResult:
        """Return the embeddings of an answer that is right in every way, or raise `MalformedAnswer`."""
        call, batch, settings = self._call, self._batch, self._call.settings
        place = call.rows.view_for(batch.members)
        result = read_answer(response, len(batch), cost_at_top=settings.cost_at_top, into=place)
        asked = settings.dimensions
        if settings.cuttable and settings.cuts and asked is not None:
            result = result.cut(asked)
        width = result.rows.shape[1]
        if asked is not None and width != asked:
            hint = "; dimensions_fallback=True cuts them" if settings.cuttable and width > asked else ""
            raise MalformedAnswer(f"the answer's embeddings have {width} dimensions where {asked} were asked for{hint}")
        expected = call.rows.dimensions or call.learned.dimensions
        accepted = asked is not None or call.learned.accepts_width(width)
        if not accepted or (call.rows.dimensions or width) != width:
            raise MalformedAnswer(f"the answer's embeddings have {width} dimensions where {expected} were expected")
        return result


def send_until_settled(call: EmbedCall, batch: Batch) -> Flow[Diagnosis | None]:
    """Send a batch until it landed and is kept (None), or return a diagnosis that sending it again cannot cure.

    Raises:
        EmbeddingError: The wait budget, the attempts, the time or the money ran out.
        ClaimedElsewhere: Another process pays for some of the batch, or has paid.
        CallStopped: Another flow of the call ended it.
    """
    request, budget = BatchRequest(call, batch), AttemptBudget.of(call.settings)
    last: Diagnosis | None = None
    while True:
        call.workers.wait()
        answer = yield from send(request.effect(budget.wait_left))
        if isinstance(answer, NotSent):
            if answer.reason is NotSentReason.NO_LONGER_NEEDED:
                return NO_LONGER_FITS
            call.workers.wait_no_longer()
            if answer.reason is NotSentReason.CLAIMED_ELSEWHERE:
                raise ClaimedElsewhere
            raise not_sent_error(call, batch.members, answer, last, request.attempts)
        verdict = answer.verdict
        if isinstance(verdict, BatchResult):
            yield from _keep(call, batch, verdict)
            return None
        if verdict.remedy in _FOR_THE_CALLER:
            return verdict
        last = verdict
        request.is_a_replay = verdict.remedy is Remedy.REPLAY
        if verdict.remedy is Remedy.ASK_FOR_FLOATS:
            request.ask_for_floats = True
            call.learned.base64_refused(in_words=verdict is not _EMPTY_BASE64)
            continue
        pause = budget.after(verdict, answer, reached=call.learned.reached)
        if pause is None:
            raise call.error(_with_wait_budget(call, verdict), batch.members, attempts=request.attempts)
        if pause and (interrupted := (yield from sleep(pause))) is not None:
            raise not_sent_error(call, batch.members, NotSent(interrupted), last, request.attempts)


def _keep(call: EmbedCall, batch: Batch, result: BatchResult) -> Flow[None]:
    """Keep what landed. The calls that wait for it come first: a disk may be slow."""
    call.record(batch, result)
    if batch.half_of is not None:
        test = batch.half_of
        test.halves_landed += 1
        if test.halves_landed == 2:
            call.learned.size_refused(count=test.count, tokens=test.tokens, by_tokens=test.by_tokens)
    if call.keys is not None:
        kept = partial(call.share.kept, batch.members) if call.share is not None else None
        yield from cache_put(call.for_cache(batch, result), kept)
    call.report_done(batch.members)
    if call.settings.max_cost is not None and not result.priced:
        raise call.error(_UNPRICED, batch.members)


def not_sent_error(
    call: EmbedCall, members: Sequence[int], answer: NotSent, last: Diagnosis | None = None, attempts: int = 1
) -> Exception:
    """Return what to raise for a request that may not leave: the last thing that went wrong, if anything did."""
    reason, settings = answer.reason, call.settings
    if reason is NotSentReason.CALL_STOPPED:
        return CallStopped()
    if reason is NotSentReason.OVER_BUDGET:
        spent = f"{answer.spent:.6g} USD spent, it would pass max_cost={settings.max_cost},"
        found = _of(BudgetExceededError, f"Stopped before the next batch: {spent}", "Raise max_cost to go on.")
        return call.error(found, members, attempts=attempts)
    if last is None and isinstance(answer.cause, Diagnosis):
        last = replace(answer.cause, retry_after=answer.retry_after or answer.cause.retry_after)
    if reason is NotSentReason.OUT_OF_TIME:
        call.out_of_time = True
        over = f"The {settings.call_timeout:g} s that the call may take (call_timeout) are over."
        busy = _of(TimedOutError, "No request could be sent in time", "Ask for less at once.")
        last = replace(last or busy, advice=f"{(last or busy).advice} {over}")
    if last is None:
        last = _of(RateLimitError, "Rate limited", "Lower max_concurrency or raise retry_timeout.")
        last = replace(last, retry_after=answer.retry_after)
    if reason is NotSentReason.BREAKER_OPEN:
        last = _with_wait_budget(call, last)
    return call.error(last, members, attempts=attempts)


def _with_wait_budget(call: EmbedCall, found: Diagnosis) -> Diagnosis:
    """Say for how long an outage is waited out. A query gives up sooner, by its attempts."""
    settings = call.settings
    if found.load is not Load.UNAVAILABLE or settings.urgent or not settings.wait_budget:
        return found
    why = f"An outage is waited out for {settings.wait_budget:g} s (retry_timeout)."
    if found.kind is ConnectionFailedError and not call.learned.reached:
        why = f"An address that has never answered is waited for {min(settings.wait_budget, UNREACHED_SECONDS):g} s."
    return replace(found, advice=f"{found.advice} {why}")


def _of(kind: type[EmbeddingError], summary: str, advice: str) -> Diagnosis:
    return Diagnosis(kind, summary, advice, Remedy.NONE)
