"""What holds in every world."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

from openrouter_embeddings._flows import UNREACHED_SECONDS
from openrouter_embeddings._runtime.dispatcher import MARGIN
from openrouter_embeddings._runtime.lines import START_SECONDS
from openrouter_embeddings.errors import BudgetExceededError, EmbeddingError, InvalidRequestError
from openrouter_embeddings.stream import StreamBatch

from .answers import all_right, numbers, vector
from .random_worlds import RandomWorld
from .shared_cache import SharedCache
from .world import Cancelled, World

FOR_EVER = 1e8


class Broken(AssertionError):
    """A law was broken."""


def check(made: RandomWorld) -> None:
    """Run a world, and those beside it, to the end and check their laws; then heal their gateway and look again."""
    worlds = [made, *made.beside]
    made.world.timeline.checks.append(lambda: _while_they_run(worlds))
    made.world.run(until=FOR_EVER)
    for one in worlds:
        _embeddings_are_right(one)
        _everybody_is_done(one)
        _nothing_is_paid_twice(one)
        _nothing_is_left(one)
        _usage_is_what_was_sent(one)
    _leases_are_back(worlds)
    for one in worlds:
        _as_good_as_new(one)
    _leases_are_back(worlds)


def _require(holds: bool, law: str, made: RandomWorld, detail: object = "") -> None:
    if not holds:
        raise Broken(f"seed {made.seed}: {law} {detail}")


def _while_they_run(worlds: list[RandomWorld]) -> None:
    """No more requests in flight than there are leases, and no more leases than the cap of all."""
    for made in worlds:
        _while_it_runs(made)
    limiter = worlds[0].limiter
    if limiter is not None and not any(made.stalls for made in worlds):
        in_flight = sum(request.is_open for made in worlds for request in made.world.requests)
        _require(in_flight <= limiter.out, "a request is in flight without a lease", worlds[0])
        _require(limiter.out <= (limiter.cap or limiter.out), "the cap of all is passed", worlds[0])


def _leases_are_back(worlds: list[RandomWorld]) -> None:
    """Each lease was released, once, and told what had become of its request."""
    limiter, made = worlds[0].limiter, worlds[0]
    if limiter is None or any(gone(one) for one in worlds):
        return
    _require(len(limiter.outcomes) == limiter.given, "a lease is not released", made)
    _require(not limiter.released_twice, "a lease is released twice", made)
    sent = sum(len(one.world.requests) for one in worlds)
    _require(limiter.given - limiter.kinds["unused"] == sent, "a request left without a lease", made)


def gone(made: RandomWorld) -> bool:
    """Return whether a loop of a world stands still for ever."""
    return any(caller.loop.stands_still_until >= FOR_EVER for caller, _ in (*made.callers, *made.streams))


def _while_it_runs(made: RandomWorld) -> None:
    """No more in flight than is allowed; nobody waits for what is there; equal inputs are in flight once."""
    for world in made.worlds:
        if not world.dead:
            _process_keeps_its_limits(made, world)
    if not made.stalls:
        in_flight = Counter(
            # A single query is asked for by each process.
            (request.input_type, text, number if request.input_type == "query" or not made.cached else 0)
            for number, world in enumerate(made.worlds)
            for request in world.requests
            if request.is_open
            for text in request.inputs
        )
        twice = [text for text, count in in_flight.items() if count > 1]
        _require(not twice, "an input is in flight twice", made, twice)


def _process_keeps_its_limits(made: RandomWorld, world: World) -> None:
    _require(world.limiter.in_flight <= world.options.max_concurrency, "too many permits are out", made)
    if made.stalls:
        return
    open_now = [request for request in world.requests if request.is_open]
    _require(len(open_now) <= world.options.max_concurrency, "too many requests are in flight", made)
    dispatcher = world.runtime.dispatcher
    if dispatcher.waiting and world.options.max_cost is None:
        entry = dispatcher._lines.next(world.now)
        wait = dispatcher._obstacle(entry) if entry is not None else None
        _require(wait is not None, "a permit is free, and somebody waits for one", made, world.now)


def _outcomes(made: RandomWorld) -> list[tuple[Any, list[str]]]:
    return [
        (outcome, texts)
        for caller, calls in made.callers
        for outcome, texts in zip(caller.outcomes, calls, strict=False)
    ]


def _embeddings_are_right(made: RandomWorld) -> None:
    """Each embedding is its text's own, in results, partial results and streams; errors are ours, and blame rightly."""
    for outcome, texts in _outcomes(made):
        if isinstance(outcome, Cancelled):
            continue
        if isinstance(outcome, EmbeddingError):
            _error_is_honest(made, outcome, texts)
        else:
            _require(not isinstance(outcome, BaseException), "an error is not ours", made, repr(outcome))
            _rows_are_right(made, outcome, texts)
    for caller, texts in made.streams:
        _stream_is_right(made, caller.outcomes, texts)


def _rows_are_right(made: RandomWorld, result: Any, texts: list[str]) -> None:
    """Each row is its text's own, or missing for a cause that is the text's own, where that is chosen."""
    chosen = made.world.options.on_error == "null"
    _require(chosen or not result.missing_positions, "a row is missing", made)
    _require(tuple(result.errors) == result.missing_positions, "a row is missing without an error", made)
    rows = result.tolist()
    right = all(
        row == vector(text) for at, (row, text) in enumerate(zip(rows, texts, strict=True)) if at not in result.errors
    )
    _require(right, "an embedding is another's", made)
    for position, cause in result.errors.items():
        _require(rows[position] is None, "a failed row holds an embedding", made)
        _require(isinstance(cause, InvalidRequestError), "what ends a job cost a row", made, repr(cause))
        _blame_is_right(made, cause, texts[position])


def _error_is_honest(made: RandomWorld, error: EmbeddingError, texts: list[str]) -> None:
    partial = error.partial
    if partial is None:
        return
    rows = partial.embeddings
    _require(
        all(rows[position].tolist() == vector(texts[position]) for position in partial.positions_done),
        "a partial result holds another's embedding",
        made,
    )
    positions = sorted([*partial.positions_done, *partial.positions_failed])
    _require(positions == list(range(len(texts))), "a partial result forgets an input", made)
    for position, cause in partial.positions_failed.items():
        _blame_is_right(made, cause, texts[position])


def _blame_is_right(made: RandomWorld, cause: EmbeddingError, text: str) -> None:
    named = isinstance(cause, InvalidRequestError) and len(cause.positions) == 1
    if named and "inputs it names" in cause.message:
        _require(text in made.gateway.refused_alone, "an input is blamed that was not refused alone", made, text)


def _stream_is_right(made: RandomWorld, outcomes: list[Any], texts: list[str]) -> None:
    ids: list[int] = []
    for outcome in outcomes:
        if isinstance(outcome, StreamBatch):
            rows = outcome.embeddings.tolist()
            _require(rows == [vector(texts[ident]) for ident in outcome.ids], "a stream mixes embeddings up", made)
            ids += [*outcome.ids, *outcome.errors]
        else:
            _require(isinstance(outcome, (EmbeddingError, Cancelled)), "an error is not ours", made, repr(outcome))
    _require(ids == sorted(ids, key=int) or len(set(ids)) == len(ids), "a stream is out of order", made)
    _require(len(set(ids)) == len(ids), "a stream hands an input out twice", made)
    _require(set(ids) == set(range(len(ids))), "a stream forgets an input", made)


def _everybody_is_done(made: RandomWorld) -> None:
    """Every call ends, and within its bound."""
    world = made.world
    for caller, calls in made.callers:
        if caller.loop.stands_still_until >= FOR_EVER or caller.is_dead:
            continue
        cancelled = any(isinstance(outcome, Cancelled) for outcome in caller.outcomes)
        _require(cancelled or len(caller.outcomes) == len(calls), "a call never ends", made)
        if caller.loop.stands_still_until > 0.0:
            continue
        for began, ended, texts in zip(caller.began, caller.ended, calls, strict=False):
            bound = world.options.call_timeout or _longest(made, texts)
            slack = 2 * START_SECONDS + MARGIN + 1.0
            _require(ended - began <= bound + slack, "a call takes too long", made, (ended - began, bound))


def _longest(made: RandomWorld, texts: list[str]) -> float:
    """Return what a call may take without a bound of its own: each of its inputs, sent again as often as is allowed."""
    options = made.world.options
    if len(texts) == 1:
        attempts = options.max_retries + options.max_replays + 2
        alone = attempts * (options.timeout + 20.0) + options.retry_timeout + UNREACHED_SECONDS
        return alone * (1 + sum(len(calls) for _, calls in made.callers)) + 120.0
    return math.inf


def _nothing_is_paid_twice(made: RandomWorld) -> None:
    """With a cache each text is billed once, and once more for each request that may have been billed or was left."""
    if not made.cached or made.stalls:
        return
    requests = [request for world in made.worlds for request in world.requests]
    billed = Counter(
        (request.input_type, text) for request in requests if request.billed for text in set(request.inputs)
    )
    doubtful = [*made.gateway.ambiguous, *(request for request in requests if request.abandoned)]
    excused = Counter((request.input_type, text) for request in doubtful for text in set(request.inputs))
    asked_by = {"query": len(made.worlds)}  # a single query waits for no other process
    wrong = {text: count for text, count in billed.items() if count > asked_by.get(text[0], 1) + excused[text]}
    _require(not wrong, "a text is paid for twice", made, wrong)


def _nothing_is_left(made: RandomWorld) -> None:
    """No permit, no claim and nobody in the queue is left behind."""
    for world in made.worlds:
        if not world.dead:
            _nothing_is_left_of(made, world)


def _nothing_is_left_of(made: RandomWorld, world: World) -> None:
    world.limiter.take_back_expired(world.now + FOR_EVER)
    _require(world.limiter.in_flight == 0, "a permit is not given back", made)
    if not gone(made):
        _require(world.runtime.dispatcher.waiting == 0, "somebody is left in the queue", made)
        left = {kind: names for kind, names in world.runtime.registry.owners.items() if names}
        _require(not left, "a claim is left behind", made, list(left))
        if isinstance(world.options.cache, SharedCache):
            _require(not world.options.cache.claimed(), "a claim in the cache is left behind", made)


def _usage_is_what_was_sent(made: RandomWorld) -> None:
    for world in made.worlds:
        _require(world.state.usage.requests == len(world.requests), "a request is not counted", made)


def _as_good_as_new(made: RandomWorld) -> None:
    """Some time after everything is healed, the client does what a fresh one does."""
    world = made.world
    if any(isinstance(outcome, BudgetExceededError) for outcome, _ in _outcomes(made)) or world.options.max_cost:
        return
    made.gateway.healed, world.disk_seconds = True, 0.0
    if made.limiter is not None:
        made.limiter.raises, made.limiter.cap, made.limiter.rate, world.limiter_seconds = 0.0, None, None, 0.0
    world.now += 3600.0
    first, before = 1000, len(world.requests)
    for _ in range(6):  # what was learnt is forgotten by use: cautious tries
        texts = numbers(24, start=first)
        again = world.call(world.embed(texts), start=world.now)
        world.run(until=world.now + FOR_EVER)
        _require(all_right(again.outcomes[0], texts), "it does not work when all is well again", made, again.outcomes)
        first += 24
    spent = len(world.requests) - before
    fresh = 6 * -(-24 // (world.options.batch_size or 256))
    _require(spent <= 4 * fresh + 150, "it goes on as if nothing had healed", made, (spent, fresh))
