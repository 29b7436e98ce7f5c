"""Random worlds: a client with random options, a gateway with random faults, callers who do what callers do.

A world is made from a seed alone, so a failing seed replays exactly. When it has run its course, its laws are checked
(`laws`), the gateway is healed, time passes, and a last call must find the client as good as new.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from openrouter_embeddings import MemoryCache
from openrouter_embeddings._protocol import Response, TransportFailure, TransportFault

from .answers import answer_with, numbers, refusal, right_answer, right_rows
from .shared_cache import SharedCache, Store
from .shared_limiter import Share, SharedLimiter
from .world import Answer, Caller, Loop, Request, Timeline, World

Fault = Callable[["RandomGateway", World, Request], "Answer | None"]


@dataclass(slots=True)
class Phase:
    """A time in which a share of the requests meets a fault."""

    begins: float
    ends: float
    share: float
    fault: Fault


class RandomGateway:
    """A gateway whose faults come and go."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.phases: list[Phase] = []
        self.latency = chance.choice([0.01, 0.1, 1.0])
        self.bad_texts: set[str] = set()
        self.long_texts: set[str] = set()
        self.max_inputs = 0
        """0: any number."""
        self.refuses_base64 = ""
        self.cap = 0
        self.healed = False
        self.refused_alone: set[str] = set()
        self.ambiguous: list[Request] = []
        """Requests that may have been billed, by what the client was told."""
        self._until: list[float] = []
        self._was_wide: set[World] = set()

    def __call__(self, world: World, request: Request) -> Answer:
        latency, answer = self._answer(world, request)
        if isinstance(answer, TransportFailure):
            if answer.fault is not TransportFault.REFUSED:
                self.ambiguous.append(request)
        elif answer.status in {500, 502} or (answer.status == 200 and not self._is_right(request, answer)):
            self.ambiguous.append(request)
        elif answer.status in {400, 413} and len(request.inputs) == 1:
            self.refused_alone.update(request.inputs)
        if latency > request.seconds:
            self.ambiguous.append(request)
        return latency, answer

    def may_be_wide(self, world: World) -> bool:
        """Return whether an answer of another width can be told from a right one: twice in a row it is believed."""
        if world.options.dimensions is not None:
            return True
        first = world not in self._was_wide
        if world.state.learned.dimensions is not None:
            self._was_wide.add(world)
        return first and world in self._was_wide

    def _is_right(self, request: Request, answer: Response) -> bool:
        data = json.loads(answer.body).get("data")
        right = right_rows(request)
        return isinstance(data, list) and sorted(data, key=lambda row: row.get("index", 0)) == right

    def _answer(self, world: World, request: Request) -> Answer:
        latency = self.latency * (0.5 + self.chance.random())
        if self.healed:
            return 0.01, right_answer(request)
        self._until = [moment for moment in self._until if moment > world.now]
        if self.cap and len(self._until) >= self.cap:
            return 0.005, refusal(429, retry_after="1")
        for phase in self.phases:
            if phase.begins <= world.now < phase.ends and self.chance.random() < phase.share:
                found = phase.fault(self, world, request)
                if found is not None:
                    return found
        if self.refuses_base64 and request.encoding == "base64":
            if self.refuses_base64 == "empty":
                return latency, answer_with(request, [])
            return latency, refusal(400, "base64 is not supported")
        if self.max_inputs and len(request.inputs) > self.max_inputs:
            words = "" if self.chance.random() < 0.5 else f"at most {self.max_inputs} inputs"
            return latency, refusal(413 if not words else 400, words or "too large")
        if self.bad_texts & set(request.inputs):
            return latency, refusal(400, "an input was refused")
        if self.long_texts & set(request.inputs):
            return latency, refusal(400, "maximum context length exceeded")
        self._until.append(world.now + latency)
        return latency, right_answer(request)


def _status(status: int, *times: str) -> Fault:
    def fault(gateway: RandomGateway, world: World, request: Request) -> Answer:
        told = gateway.chance.choice(times) if times else ""
        return 0.02, refusal(status, **({"retry_after": told} if told else {}))

    return fault


def _transport(kind: TransportFault, billed: float = 0.0) -> Fault:
    def fault(gateway: RandomGateway, world: World, request: Request) -> Answer:
        request.billed = gateway.chance.random() < billed
        return 0.05, TransportFailure(kind)

    return fault


def _late(gateway: RandomGateway, world: World, request: Request) -> Answer:
    return 3600.0, right_answer(request)


def _broken(gateway: RandomGateway, world: World, request: Request) -> Answer:
    request.billed = True
    rows = right_rows(request)
    how = gateway.chance.choice(["short", "doubled", "empty", "nan", "wide", "null"])
    if how == "short":
        rows = rows[:-1]
    elif how == "doubled":
        rows = [*rows, rows[0]]
    elif how == "empty":
        rows = []
    elif how == "nan":
        rows = [{**row, "embedding": [float("nan"), 1.0]} for row in rows]
        return 0.05, Response(200, {}, json.dumps({"data": rows}).encode())
    elif how == "wide" and gateway.may_be_wide(world):
        rows = [{**row, "embedding": [1.0, 2.0, 3.0]} for row in rows]
    else:
        rows = [{**row, "embedding": None} for row in rows]
    return 0.05, answer_with(request, rows)


def _shuffled(gateway: RandomGateway, world: World, request: Request) -> Answer:
    request.billed = True
    rows = right_rows(request)
    gateway.chance.shuffle(rows)
    return 0.05, answer_with(request, rows)


FAULTS: list[Fault] = [
    _status(429, "", "1", "5", "0.2", "90"),
    _status(429, "1e12", "Fri, 31 Dec 9999 23:59:59 GMT"),
    _status(503, "", "1", "20"),
    _status(500),
    _status(400),
    _status(413),
    _transport(TransportFault.REFUSED),
    _transport(TransportFault.CONNECTION_LOST, billed=0.5),
    _late,
    _broken,
    _shuffled,
    _status(402),
]


@dataclass(slots=True)
class RandomWorld:
    """One world and what its laws need to know."""

    seed: int
    world: World
    gateway: RandomGateway
    callers: list[tuple[Caller, list[list[str]]]] = field(default_factory=list)
    streams: list[tuple[Caller, list[str]]] = field(default_factory=list)
    cached: bool = False
    stalls: bool = False
    cancels: bool = False
    limiter: SharedLimiter | None = None
    beside: list[RandomWorld] = field(default_factory=list)
    """Other clients of the same gateway, which share the limiter."""
    second: World | None = None
    """Another process on the same cache."""

    @property
    def worlds(self) -> list[World]:
        return [self.world] if self.second is None else [self.world, self.second]


def make(seed: int) -> RandomWorld:
    """Return the world of a seed."""
    chance = random.Random(seed)
    gateway, timeline = RandomGateway(chance), Timeline()
    limiter = _limiter(chance, timeline) if chance.random() < 0.3 else None
    made = _client(chance, seed, gateway, timeline, limiter)
    if limiter is not None:
        made.beside = [_client(chance, seed, gateway, timeline, limiter) for _ in range(chance.choice([0, 1, 1, 3]))]
    _add_faults(chance, gateway)
    return made


def _limiter(chance: random.Random, timeline: Timeline) -> SharedLimiter:
    cap, rate = chance.choice([(1, None), (3, None), (None, 5.0), (None, 50.0), (4, 20.0)])
    raises = chance.choice([0.0, 0.0, 0.0, 0.05])
    return SharedLimiter(lambda: timeline.now, cap=cap, rate=rate, chance=chance, raises=raises)


def _client(
    chance: random.Random, seed: int, gateway: RandomGateway, timeline: Timeline, limiter: SharedLimiter | None
) -> RandomWorld:
    cached = chance.random() < 0.4
    of_processes = random.Random(-seed - 1)  # so that the worlds of one process are what they were
    shares = cached and limiter is None and of_processes.random() < 0.6
    store = Store(clock=lambda: timeline.now) if shares else None
    cache = SharedCache(store) if store is not None else MemoryCache() if cached else None
    options = _options(chance) | ({} if limiter is None else {"limiter": Share(limiter)})
    options["on_error"] = random.Random(f"{seed}, rows").choice(["raise", "raise", "null"])  # apart: old seeds replay
    world = World(gateway, seed=seed, cache=cache, timeline=timeline, **options)
    world.disk_seconds = chance.choice([0.0, 0.05, 0.3])
    world.limiter_seconds = chance.choice([0.0, 0.0, 0.2, 20.0])
    made = RandomWorld(seed, world, gateway, cached=cached, limiter=limiter)
    pool = numbers(chance.choice([3, 10, 40]))
    gateway.bad_texts |= set(chance.sample(pool, 1)) if chance.random() < 0.15 else set()
    gateway.long_texts |= set(chance.sample(pool, 1)) if chance.random() < 0.1 else set()
    _add_callers(chance, made, world, pool, chance.randint(1, 5))
    if store is not None:
        _add_process(of_processes, made, store, pool)
    return made


def _add_process(chance: random.Random, made: RandomWorld, store: Store, pool: list[str]) -> None:
    """Let another process work with the same cache, and perhaps be killed."""
    given = made.world.options.given()
    options = {name: given[name] for name in _options(chance) if name in given}
    made.second = World(
        made.gateway, seed=-made.seed - 1, cache=SharedCache(store), timeline=made.world.timeline, **options
    )
    made.second.disk_seconds = made.world.disk_seconds
    _add_callers(chance, made, made.second, pool, chance.randint(1, 3))
    if chance.random() < 0.4:
        made.second.do_at(chance.random() * 12.0, made.second.die)


def _add_callers(chance: random.Random, made: RandomWorld, world: World, pool: list[str], count: int) -> None:
    for _ in range(count):
        loop = Loop()
        start = chance.choice([0.0, chance.random() * 10.0])
        if chance.random() < 0.2:
            texts = [chance.choice(pool) for _ in range(chance.randint(1, 60))]
            take = chance.choice([None, None, None, 2])
            made.streams.append((world.stream(texts, start=start, loop=loop, take=take), texts))
        else:
            calls = [_texts(chance, pool) for _ in range(chance.randint(1, 3))]
            makers = [
                world.embed(texts, "query" if len(texts) == 1 and chance.random() < 0.7 else "document")
                for texts in calls
            ]
            made.callers.append((world.call(*makers, loop=loop, start=start), calls))
        _disturb(chance, made, world, loop)


def _options(chance: random.Random) -> dict[str, Any]:
    return {
        "batch_size": chance.choice([None, 1, 2, 4, 8]),
        "max_concurrency": chance.choice([1, 2, 4, 16]),
        "timeout": chance.choice([1.0, 5.0, 60.0]),
        "retry_timeout": chance.choice([0.0, 5.0, 30.0, 300.0]),
        "max_retries": chance.choice([0, 2, 5]),
        "max_replays": chance.choice([0, 1, 1, 2]),
        "call_timeout": chance.choice([None, None, 3.0, 20.0]),
        "coalesce_queries": chance.random() < 0.3,
        "query_input_type": "query",  # so that the two are told apart on the wire
        "document_input_type": "document",
        "dimensions": chance.choice([None, 2]),
        "max_cost": chance.choice([None, None, None, 2e-5]),
    }


def _add_faults(chance: random.Random, gateway: RandomGateway) -> None:
    for _ in range(chance.choice([0, 1, 1, 2, 4])):
        begins = chance.choice([0.0, chance.random() * 10.0])
        ends = begins + chance.choice([0.05, 1.0, 5.0, 60.0])
        gateway.phases.append(Phase(begins, ends, chance.choice([0.05, 0.3, 1.0]), chance.choice(FAULTS)))
    if chance.random() < 0.15:
        gateway.max_inputs = chance.choice([1, 2, 3, 8])
    if chance.random() < 0.1:
        gateway.refuses_base64 = chance.choice(["empty", "words"])
    if chance.random() < 0.15:
        gateway.cap = chance.choice([1, 2, 3, 8])


def _texts(chance: random.Random, pool: list[str]) -> list[str]:
    count = 1 if chance.random() < 0.4 else chance.randint(2, 40)
    return [chance.choice(pool) for _ in range(count)]


def _disturb(chance: random.Random, made: RandomWorld, world: World, loop: Loop) -> None:
    """Let a caller be cancelled, or its loop stand still for a while, or for ever."""
    last = (made.callers or made.streams)[-1][0]
    if chance.random() < 0.15:
        made.cancels = True
        runner = last.runner
        assert runner is not None
        world.do_at(chance.random() * 5.0, lambda: world.cancel(runner))
    if chance.random() < 0.1:
        made.stalls = True
        length = chance.choice([1.0, 30.0, 1e9])

        def stand_still() -> None:
            loop.stands_still_until = world.now + length

        world.do_at(chance.random() * 3.0, stand_still)
