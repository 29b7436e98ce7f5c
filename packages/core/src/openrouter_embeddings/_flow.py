"""The story of a call, told once for threads and asyncio: plan, send, wait, retry, split, check, keep. Pure.

`embed` plans the batches and runs workers that drain one queue. A worker `land`s a batch: `settle` sends it
until it landed or resending cannot help; then it is split, its culprit isolated, or the job ends.
"""

from __future__ import annotations

from ._effects import Failure, Flow, NotSent, Reply, Send, Withheld, fetch, gather, recall, remember, send, sleep
from ._job import Job
from ._limits import Pressure, Signal, back_off
from ._plan import Batch, batches, halves
from ._retry import Remedy, Trouble, trouble_with_answer, trouble_with_error, trouble_with_failure
from ._wire import Broken, Landed, check_width, read_answer, read_error, request_body
from .errors import BudgetExceededError, EmbeddingError, RateLimitError
from .gateways import Gateway, ModelInfo, parse_models
from .results import EmbeddingResult

_LISTING_ATTEMPTS = 3
_LEAST_BODY = 64 * 1024 * 1024
_BYTES_PER_NUMBER = 25
_WIDEST = 16_384


_UNPRICED = Trouble(
    BudgetExceededError,
    "The answer named no cost, so max_cost cannot be kept,",
    "Leave max_cost out, or use a gateway that reports the cost.",
    Remedy.NONE,
)


class Stopped(Exception):
    """The job was stopped by another of its flows."""


def embed(job: Job, *, workers: int) -> Flow[EmbeddingResult]:
    """Embed what the cache does not know, and return the whole call's result."""
    learned = job.learned
    todo = job.missing()
    if job.keys is not None:
        job.take(todo, (yield from recall([job.keys[one] for one in todo])))
        todo = job.missing()
    sizes = [job.sizes[one] for one in todo]
    job.queue.extend(batches(sizes, todo, inputs=learned.max_inputs, tokens=learned.max_tokens))
    outcomes = yield from gather([work(job) for _ in range(min(workers, len(job.queue)))])
    cause = next((one for one in outcomes if isinstance(one, BaseException)), None)
    if cause is not None and not isinstance(cause, EmbeddingError):
        raise cause
    if cause is None and job.failures:
        cause = next(iter(job.failures.values()))
    if cause is not None:
        raise job.with_partial(cause)
    return job.result()


def work(job: Job) -> Flow[None]:
    """Land batches until the queue is empty."""
    while job.queue:
        try:
            batch = job.queue.popleft()
        except IndexError:  # another worker took the last one
            return
        try:
            yield from land(job, batch)
        except Stopped:
            return


def land(job: Job, batch: Batch) -> Flow[None]:
    """See one batch through: landed, put back in halves, its culprits named, or the job ended by an error."""
    if len(batch) > job.learned.max_inputs:
        return _put_back_in_halves(job, batch)
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
        job.fail(bad.members, job.error(trouble, bad.members, attempts=1))
        if not aside:
            return
        rest = Batch(aside, suspects.tokens * len(aside) // len(suspects))
        found = yield from settle(job, rest)
        if found is None:
            return
        if found.remedy is not Remedy.ISOLATE:
            raise job.error(found, rest.members, attempts=1)
        if not spared_any and not job.landed_any and not (yield from _any_lands_alone(job, rest)):
            raise job.error(found, suspects.members, attempts=1)
        missing = set(job.missing())
        suspects, trouble = Batch([one for one in rest.members if one in missing], rest.tokens), found
        if not len(suspects):
            return


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
        answer = yield from send(_request(job, batch, patience))
        if isinstance(answer, NotSent):
            if answer.why is Withheld.UNWANTED:
                return Trouble(EmbeddingError, "Too many inputs", "", Remedy.SPLIT)
            raise _withheld(job, batch, answer, last, attempts)
        job.count_request(retry=attempts > 0, replay=last is not None and last.remedy is Remedy.REPLAY)
        attempts, patience = attempts + 1, patience - answer.waited
        verdict = answer.verdict
        if isinstance(verdict, Landed):
            if job.keys is not None:
                yield from remember(job.for_cache(batch, verdict))
            job.keep(batch, verdict)
            if job.ask.max_cost is not None and not verdict.priced:
                raise job.error(_UNPRICED, batch.members, attempts=attempts)
            return None
        last = verdict
        if verdict.remedy in {Remedy.SPLIT, Remedy.ISOLATE, Remedy.NONE}:
            return verdict
        if verdict.remedy is Remedy.FLOAT:
            job.learned.encoding = "float"
            continue
        told = verdict.remedy is Remedy.WAIT and (verdict.retry_after is not None or verdict.kind is RateLimitError)
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
    if last is None:
        hint = "Lower max_concurrency or raise retry_timeout."
        last = Trouble(RateLimitError, "Rate limited", hint, Remedy.WAIT, retry_after=answer.retry_after)
    return job.error(last, batch.members, attempts=attempts)


def _overspent(spent: float, max_cost: float | None) -> Trouble:
    what = f"Stopped before the next batch: {spent:.6g} USD spent, the batch would pass max_cost={max_cost},"
    return Trouble(BudgetExceededError, what, "Raise max_cost to go on.", Remedy.NONE)


def _request(job: Job, batch: Batch, patience: float) -> Send[Landed | Trouble]:
    """Return the effect that sends a batch: its body is built only when there is room, with what is known by then."""
    ask, learned = job.ask, job.learned
    asked = [ask.encoding]

    def build() -> bytes | None:
        if len(batch) > learned.max_inputs:
            return None
        asked[0] = (learned.encoding or "base64") if ask.encoding == "auto" else ask.encoding
        return request_body(ask.fields, job.wire_inputs(batch), asked[0])

    def read(answer: Reply | Failure) -> tuple[Landed | Trouble, Signal]:
        verdict = _read(job, batch, answer, base64=asked[0] == "base64")
        if isinstance(verdict, Landed):
            costs = verdict.priced and not verdict.usage.server_cached  # what was free says nothing about prices
            return verdict, Signal(Pressure.LANDED, cost=verdict.usage.cost if costs else None)
        return verdict, Signal(verdict.pressure, retry_after=verdict.retry_after)

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
            landed = read_answer(answer, len(batch), cost_at_top=ask.cost_at_top)
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


def list_models(gateway: Gateway, *, timeout: float) -> Flow[list[ModelInfo]]:
    """Return every embedding model that the gateway lists, page after page."""
    models: list[ModelInfo] = []
    url: str | None = gateway.models_url
    seen = set[str]()
    while url is not None and url not in seen:
        seen.add(url)
        page, url = parse_models(gateway, (yield from _page(gateway, url, timeout=timeout)))
        models.extend(page)
    return models


def _page(gateway: Gateway, url: str, *, timeout: float) -> Flow[bytes]:
    """Return one page of the listing, tried again where that costs nothing: listing is free."""
    for attempt in range(_LISTING_ATTEMPTS):
        answer = yield from fetch(url, keyed=gateway.models_take_key)
        if isinstance(answer, Reply) and answer.status == 200 and read_error(answer) is None:
            return bytes(answer.body)
        trouble = _listing_trouble(answer, gateway, timeout=timeout)
        last = attempt == _LISTING_ATTEMPTS - 1
        if last or trouble.remedy not in {Remedy.WAIT, Remedy.RETRY, Remedy.REPLAY}:
            break
        pause = max(back_off(attempt, 1.0), trouble.retry_after or 0.0)
        if pause > timeout:
            break
        yield from sleep(pause)
    said = trouble.said
    raise trouble.kind(
        f"{trouble.what} while listing the models of {gateway.name}. {trouble.hint}",
        status=said.status if said else None,
        code=said.code if said else None,
        retry_after=trouble.retry_after,
    )


def _listing_trouble(answer: Reply | Failure, gateway: Gateway, *, timeout: float) -> Trouble:
    if isinstance(answer, Failure):
        return trouble_with_failure(answer, timeout=timeout)
    said = read_error(answer)
    assert said is not None
    hints = gateway.error_hints
    return trouble_with_error(said, answer.headers, now=answer.at, count=1, base64=False, hints=hints)
