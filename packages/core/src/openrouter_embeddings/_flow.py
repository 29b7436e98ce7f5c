"""The story of a call, told once for threads and asyncio: plan, send, wait, retry, split, check, keep. Pure.

`embed` plans the batches and runs workers that drain one queue. A worker `board`s a batch, leaving out what another
call has in flight, and `land`s it: `settle` sends it until it landed or resending cannot help; then it is split, its
culprit isolated, or the job ends. What others had in flight is waited for at the end.
"""

from __future__ import annotations

from dataclasses import replace

from ._company import Company
from ._effects import (
    Failure,
    Flow,
    NotSent,
    Reply,
    Send,
    Stopped,
    Withheld,
    follow,
    gather,
    recall,
    remember,
    send,
    sleep,
)
from ._flow_long import shorten, surely_too_long
from ._job import Job
from ._limits import Pressure, Signal, back_off
from ._plan import Batch, batches, halves
from ._retry import TOO_LONG, Remedy, Trouble, trouble_with_answer, trouble_with_error, trouble_with_failure
from ._wire import Broken, Landed, check_width, read_answer, read_error, request_body
from .errors import BudgetExceededError, EmbeddingError, InputTooLongError, RateLimitError
from .results import EmbeddingResult

GATHERING = 0.003
"""Seconds for which a query waits for others, where the user wants queries to share requests."""
_LEAST_BODY = 64 * 1024 * 1024
_BYTES_PER_NUMBER = 25
_WIDEST = 16_384


_UNPRICED = Trouble(
    BudgetExceededError,
    "The answer named no cost, so max_cost cannot be kept,",
    "Leave max_cost out, or use a gateway that reports the cost.",
    Remedy.NONE,
)


def embed(job: Job, *, workers: int) -> Flow[EmbeddingResult]:
    """Embed what the cache does not know, and return the whole call's result."""
    try:
        cause = yield from fill(job, workers=workers)
    finally:
        if job.company is not None and job.company.shares:
            job.company.part()
    if cause is None:
        cause = job.first_failure()
    if cause is not None:
        raise job.with_partial(cause)
    return job.result()


def embed_each(job: Job) -> Flow[None]:
    """Give every input of one slice its embedding or the cause why it has none. Only what ends the job is raised."""
    if job.missing():
        cause = yield from fill(job, workers=1)
        if cause is not None:
            raise cause


def fill(job: Job, *, workers: int) -> Flow[EmbeddingError | None]:
    """Give every input its embedding or the cause why it has none; return the error that ended the job, if one did."""
    learned, company = job.learned, job.company
    if company is not None and company.shares:
        yield from share(job, company)
    todo = [] if company is not None and company.followed else job.missing()
    if job.keys is not None and todo:
        job.take(todo, (yield from recall([job.keys[one] for one in todo])))
        todo = job.missing()
    while True:
        long = job.suspects(todo)
        rest = [one for one in todo if one not in long] if long else todo
        sizes = [job.sizes[one] for one in rest]
        job.queue.extend(batches(sizes, rest, inputs=learned.max_inputs, tokens=learned.max_tokens))
        job.queue.extend(Batch([one], job.sizes[one]) for one in sorted(long))
        outcomes = yield from gather([work(job) for _ in range(min(workers, len(job.queue)))])
        cause = next((one for one in outcomes if isinstance(one, BaseException)), None)
        if isinstance(cause, EmbeddingError):
            return cause
        if cause is not None:
            raise cause
        if company is None or not company.followed:
            return None
        heard = yield from follow(company.flight, job.ask.patience + job.ask.timeout)
        todo = job.take_over(company.heard(heard))


def share(job: Job, company: Company) -> Flow[None]:
    """Send the one input in a request with those that other calls ask for at this moment."""
    if company.join(job.items[0], job.learned.max_inputs):
        yield from sleep(GATHERING)
        job.take_along(company.gathered())


def work(job: Job) -> Flow[None]:
    """Land batches until the queue is empty."""
    while job.queue:
        try:
            batch = job.queue.popleft()
        except IndexError:  # another worker took the last one
            return
        cause: EmbeddingError | None = None
        try:
            mine = yield from board(job, batch)
            if len(mine):
                yield from land(job, mine)
        except Stopped:
            return
        except EmbeddingError as error:
            cause = error
            raise
        finally:
            if job.company is not None:
                job.company.release(batch.members, job.failures, cause)


def board(job: Job, batch: Batch) -> Flow[Batch]:
    """Return what of a batch is ours to send: not what another call has in flight, nor what one has landed by now."""
    if job.company is None:
        return batch
    mine = job.company.claim(batch.members)
    if job.keys is not None and mine and job.company.flight.overtaken():
        job.take(mine, (yield from recall([job.keys[one] for one in mine])))
        missing = set(job.missing())
        mine = [one for one in mine if one in missing]
    return batch if len(mine) == len(batch) else Batch(mine, batch.tokens * len(mine) // len(batch))


def land(job: Job, batch: Batch) -> Flow[None]:
    """See one batch through: landed, put back in halves, its culprits named, or the job ended by an error."""
    if len(batch) > job.learned.max_inputs:
        return _put_back_in_halves(job, batch)
    shortens = job.ask.on_too_long != "error" and len(batch) == 1
    if shortens and surely_too_long(job.items[batch.members[0]], job.ask.max_tokens):
        return (yield from shorten(job, batch.members[0], TOO_LONG, fill))
    trouble = yield from settle(job, batch)
    if trouble is None:
        return None
    if trouble.remedy is Remedy.SPLIT:
        job.learned.refuse_size(len(batch))
        return _put_back_in_halves(job, batch)
    if trouble.remedy is Remedy.ISOLATE:
        return (yield from isolate(job, batch, trouble))
    raise job.error(trouble, batch.members, attempts=1)


def _put_back_in_halves(job: Job, batch: Batch) -> None:
    """Queue a batch as two, in their order, before everything else."""
    job.queue.extendleft(reversed(halves(batch)))


def isolate(job: Job, suspects: Batch, trouble: Trouble) -> Flow[None]:
    """Land every input of a refused batch but those at fault, and name these.

    Halving leads to one culprit in log2(n) requests, and whatever lands on the way is kept. What was set
    aside then goes out in one request; if that is refused too, the search starts again within it.
    """
    spared_any = False
    while True:
        bad, aside = suspects, list[int]()
        while len(bad) > 1:
            left, right = halves(bad)
            found = yield from settle(job, left)
            if found is None:
                bad, spared_any = right, True
            elif found.remedy is Remedy.ISOLATE:
                bad, trouble = left, found
                aside = [*right.members, *aside]
            else:
                raise job.error(found, left.members, attempts=1)
        if _may_shorten(job, bad, trouble):
            yield from shorten(job, bad.members[0], trouble, fill)
        else:
            job.fail(bad.members, job.error(trouble, bad.members, attempts=1))
        if not aside:
            return
        rest = Batch(aside, suspects.tokens * len(aside) // len(suspects))
        found = yield from settle(job, rest)
        if found is None:
            return
        if found.remedy is not Remedy.ISOLATE:
            raise job.error(found, rest.members, attempts=1)
        unclear = not spared_any and not job.landed_any and not issubclass(found.kind, InputTooLongError)
        if unclear and not (yield from _any_lands_alone(job, rest)):
            raise job.error(found, suspects.members, attempts=1)
        missing = set(job.missing())
        suspects, trouble = Batch([one for one in rest.members if one in missing], rest.tokens), found
        if not len(suspects):
            return


def _may_shorten(job: Job, bad: Batch, trouble: Trouble) -> bool:
    long = issubclass(trouble.kind, InputTooLongError) and isinstance(job.items[bad.members[0]], str)
    return long and job.ask.on_too_long != "error"


def _any_lands_alone(job: Job, rest: Batch) -> Flow[bool]:
    """Try a few inputs one by one: if none lands, not the inputs are at fault but the request."""
    count = len(rest)
    for at in sorted({count - 1, count // 2, count // 4}, reverse=True):
        if (yield from settle(job, Batch([rest.members[at]], 1))) is None:
            return True
    return False


def settle(job: Job, batch: Batch) -> Flow[Trouble | None]:
    """Send a batch until it landed and is kept (None), or return a trouble that sending it again cannot cure.

    Raises:
        EmbeddingError: Patience, attempts or money ran out.
        Stopped: Another flow of the job ended it.
    """
    patience, attempts, retries, replays = job.ask.patience, 0, 0, 0
    last: Trouble | None = None
    while True:
        replay = last is not None and last.remedy is Remedy.REPLAY
        answer = yield from send(_request(job, batch, patience, retry=attempts > 0, replay=replay))
        if isinstance(answer, NotSent):
            if answer.why is Withheld.UNWANTED:
                return Trouble(EmbeddingError, "Too many inputs", "", Remedy.SPLIT)
            raise _withheld(job, batch, answer, last, attempts)
        attempts, patience = attempts + 1, patience - answer.waited
        verdict = answer.verdict
        if isinstance(verdict, Landed):
            try:
                if job.keys is not None:
                    yield from remember(job.for_cache(batch, verdict))
            finally:
                job.keep(
                    batch, verdict
                )  # if the call is cancelled meanwhile, too: others may wait for what is paid for
            if job.ask.max_cost is not None and not verdict.priced:
                raise job.error(_UNPRICED, batch.members, attempts=attempts)
            return None
        last = verdict
        if verdict.remedy in {Remedy.SPLIT, Remedy.ISOLATE, Remedy.NONE}:
            return verdict
        if verdict.remedy is Remedy.FLOAT:
            job.learned.encoding = "float"
            continue
        told = verdict.remedy is Remedy.WAIT and verdict.kind is RateLimitError
        retries += not told
        replays += verdict.remedy is Remedy.REPLAY
        spent = replays > job.ask.max_replays or retries > job.ask.max_retries or not (told or answer.may_replay)
        if spent or (verdict.retry_after or 0.0) > patience:
            raise job.error(verdict, batch.members, attempts=attempts)
        if verdict.remedy is not Remedy.WAIT:  # the gate does not hold this one back: pause by ourselves
            pause = max(back_off(retries - 1, answer.chance), verdict.retry_after or 0.0)
            patience -= pause
            if patience <= 0.0:
                raise job.error(verdict, batch.members, attempts=attempts)
            if not (yield from sleep(pause)):
                raise Stopped


def _withheld(job: Job, batch: Batch, answer: NotSent, last: Trouble | None, attempts: int) -> Exception:
    """Return what to raise for a request that may not leave."""
    if answer.why is Withheld.STOPPED:
        return Stopped()
    if answer.why is Withheld.OVERSPENT:
        return job.error(_overspent(answer.spent, job.ask.max_cost), batch.members, attempts=attempts)
    if last is None and isinstance(answer.cause, Trouble):
        last = replace(answer.cause, retry_after=answer.retry_after)
    if last is None:
        hint = "Lower max_concurrency or raise retry_timeout."
        last = Trouble(RateLimitError, "Rate limited", hint, Remedy.WAIT, retry_after=answer.retry_after)
    return job.error(last, batch.members, attempts=attempts)


def _overspent(spent: float, max_cost: float | None) -> Trouble:
    what = f"Stopped before the next batch: {spent:.6g} USD spent, the batch would pass max_cost={max_cost},"
    return Trouble(BudgetExceededError, what, "Raise max_cost to go on.", Remedy.NONE)


def _request(job: Job, batch: Batch, patience: float, *, retry: bool, replay: bool) -> Send[Landed | Trouble]:
    """Return the effect that sends a batch: its body is built only when there is room, with what is known by then."""
    ask, learned = job.ask, job.learned
    asked = [ask.encoding]

    def build() -> bytes | None:
        if len(batch) > learned.max_inputs:
            return None
        asked[0] = (learned.encoding or "base64") if ask.encoding == "auto" else ask.encoding
        body = request_body(ask.fields, job.wire_inputs(batch), asked[0])
        job.count_request(retry=retry, replay=replay)  # now, not when it is answered: the call may be cancelled before
        return body

    def read(answer: Reply | Failure) -> tuple[Landed | Trouble, Signal]:
        verdict = _read(job, batch, answer, base64=asked[0] == "base64")
        if isinstance(verdict, Landed):
            costs = verdict.priced and not verdict.usage.server_cached  # what was free says nothing about prices
            return verdict, Signal(Pressure.LANDED, cost=verdict.usage.cost if costs else None)
        return verdict, Signal(verdict.pressure, retry_after=verdict.retry_after, cause=verdict)

    width = ask.dimensions or learned.dimensions or _WIDEST
    most = max(_LEAST_BODY, len(batch) * width * _BYTES_PER_NUMBER)
    return Send(build=build, read=read, patience=patience, tokens=batch.tokens, max_bytes=most)


def _read(job: Job, batch: Batch, answer: Reply | Failure, *, base64: bool) -> Landed | Trouble:
    """Return what an exchange came to."""
    ask = job.ask
    if isinstance(answer, Failure):
        return trouble_with_failure(answer, timeout=ask.timeout)
    may_ask_floats = base64 and ask.encoding == "auto"
    broken: Broken | None = None
    if answer.status == 200:
        try:
            landed = read_answer(answer, len(batch), cost_at_top=ask.cost_at_top, into=job.room_for(batch))
            if ask.cuttable and ask.cuts and ask.dimensions is not None:
                landed = landed.cut(ask.dimensions)
            check_width(
                landed.rows.shape[1],
                asked=ask.dimensions,
                learned=job.learned.dimensions,
                model=ask.model,
                cuttable=ask.cuttable,
            )
        except Broken as how:
            broken = how
        else:
            return landed
    said = read_error(answer)
    if said is not None:
        return trouble_with_error(
            said, answer.headers, now=answer.at, count=len(batch), base64=may_ask_floats, hints=ask.hints
        )
    assert broken is not None or answer.status != 200
    if broken is None:
        return trouble_with_answer(f"the answer had status {answer.status}")
    if broken.empty and may_ask_floats:
        return Trouble(EmbeddingError, "The answer to base64 was empty", "", Remedy.FLOAT, Pressure.NEUTRAL)
    return trouble_with_answer(broken.what)
