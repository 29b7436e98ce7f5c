"""A third driver: the real flows and the real gate in a world whose clock is a number.

Every flow is a process of its own, as threads and tasks are in the other two drivers. A heap of moments says who goes
on when, so that two minutes of waiting take no time and a run can be repeated exactly. The gateway is a function of the
time and the request; what it answers is looked at by the library's own reader.
"""

from __future__ import annotations

import base64
import heapq
import itertools
import json
import math
import random
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from openrouter_embeddings._flows.call import Job
from openrouter_embeddings._flows.effects import (
    CacheGet,
    CachePut,
    Flow,
    Gather,
    NotSent,
    NotSentReason,
    Send,
    Sent,
    Sleep,
)
from openrouter_embeddings._flows.embed import embed
from openrouter_embeddings._flows.learned import LearnedLimits
from openrouter_embeddings._flows.prepare import prepare
from openrouter_embeddings._limits.limiter import TrafficLimiter
from openrouter_embeddings._protocol.exchange import Response, TransportFailure
from openrouter_embeddings._runtime.dispatcher import Gate
from openrouter_embeddings._runtime.waiting import Scope
from openrouter_embeddings.options import Options
from openrouter_embeddings.profiles import profile_for

MODEL = "openai/text-embedding-3-small"

Answer = tuple[float, Response | TransportFailure]
Gateway = Callable[[float, list[str]], Answer]
Process = Generator[tuple["Bell", float | None], None, Any]


class Bell:
    """What a process waits for: rung by whoever has news, or by the clock."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._rung = False
        self._sleeper: Process | None = None

    def wake(self) -> None:
        if not self._rung:
            self._rung = True
            if self._sleeper is not None:
                self._world.at(self._world.now, self._sleeper)

    def hold(self, sleeper: Process, seconds: float | None) -> None:
        """Let a process sleep until the bell rings; the clock rings it after `seconds`."""
        self._sleeper = sleeper
        if self._rung:
            self._world.at(self._world.now, sleeper)
        elif seconds is not None:
            # Time goes on, be it by the least step there is: rounding must not let somebody wait for now for ever.
            self._world.ring_at(max(self._world.now + seconds, math.nextafter(self._world.now, math.inf)), self)


@dataclass(slots=True)
class Exchange:
    """One request and when it was answered."""

    sent: float
    inputs: int
    answered: float = float("nan")
    status: int = 0
    """0 for an exchange without an answer."""


@dataclass(slots=True)
class Caller:
    """Somebody who makes calls, one after another: what each came to, and when."""

    outcomes: list[Any] = field(default_factory=list)
    ended: list[float] = field(default_factory=list)


class World:
    """One client's limits, one gateway, any number of callers, and a clock that jumps from event to event."""

    def __init__(self, gateway: Gateway, *, seed: int = 0, **options: Any) -> None:
        self.options = Options(model=MODEL, api_key="secret-key", dimensions=2, normalize=False, **options)
        self.learned = LearnedLimits.initial(self.options, profile_for(MODEL))
        self.now = 0.0
        self.wall = 1_700_000_000.0
        """Wall-clock seconds at the time 0. A test may move it while the world runs."""
        self.gate = Gate(
            TrafficLimiter(most=self.options.max_concurrency, max_cost=self.options.max_cost), clock=lambda: self.now
        )
        self.gate.chance = random.Random(seed).random
        self.sent: list[Exchange] = []
        self.cache: dict[bytes, bytes] = {}
        self._gateway = gateway
        self._events: list[tuple[float, int, Process | Bell]] = []
        self._order = itertools.count()

    def job(self, texts: Iterable[str], side: Any = "document") -> Job:
        """Return a call's job, which shares what the client has learnt."""
        return prepare(self.options, self.learned, texts, side)

    def call(self, *jobs: Job) -> Caller:
        """Let somebody make these calls, one after another; those that fail do not keep them from the next."""
        caller = Caller()

        def calling() -> Process:
            for job in jobs:
                scope = Scope()
                try:
                    outcome = yield from self._drive(embed(job, workers=self.options.max_concurrency), scope)
                except Exception as failed:
                    outcome = failed
                caller.outcomes.append(outcome)
                caller.ended.append(self.now)

        self.at(self.now, calling())
        return caller

    def run(self) -> None:
        """Go from event to event until nothing is left to happen."""
        while self._events:
            self.now, _, what = heapq.heappop(self._events)
            if isinstance(what, Bell):
                what.wake()
                continue
            try:
                bell, seconds = next(what)
            except StopIteration:
                continue
            bell.hold(what, seconds)

    def at(self, moment: float, process: Process) -> None:
        heapq.heappush(self._events, (moment, next(self._order), process))

    def ring_at(self, moment: float, bell: Bell) -> None:
        heapq.heappush(self._events, (moment, next(self._order), bell))

    def do_at(self, moment: float, what: Callable[[], None]) -> None:
        """Let something happen to the world at a moment."""

        def doing() -> Process:
            what()
            return
            yield

        self.at(moment, doing())

    def _drive(self, flow: Flow[Any], scope: Scope) -> Process:
        answer: Any = None
        while True:
            try:
                effect = flow.send(answer)
            except StopIteration as done:
                return done.value
            match effect:
                case Send():
                    answer = yield from self._send(effect, scope)
                case Sleep(seconds):
                    answer = yield from self._pause(seconds, scope)
                case Gather(flows):
                    answer = yield from self._gather(flows, scope)
                case CacheGet(keys):
                    answer = {key: self.cache[key] for key in keys if key in self.cache}
                case CachePut(items):
                    answer = self.cache.update(items)

    def _send(self, effect: Send[Any], scope: Scope) -> Process:
        entered = yield from self.gate.entering(effect.tokens, effect.patience, scope, lambda: Bell(self))
        ticket, waited = entered
        if isinstance(ticket, NotSent):
            return ticket
        signal = None
        try:
            body = effect.build()
            if body is None:
                return NotSent(NotSentReason.NO_LONGER_NEEDED)
            verdict, signal = effect.read((yield from self._exchange(body)))
        finally:
            may_replay = self.gate.leave(ticket, signal)
        return Sent(verdict, waited, may_replay, self.gate.chance())

    def _exchange(self, body: bytes) -> Process:
        inputs = json.loads(body)["input"]
        exchange = Exchange(self.now, len(inputs))
        self.sent.append(exchange)
        latency, answer = self._gateway(self.now, inputs)
        yield Bell(self), latency
        exchange.answered = self.now
        if isinstance(answer, TransportFailure):
            return answer
        exchange.status = answer.status
        return Response(answer.status, answer.headers, answer.body, self.wall + self.now)

    def _pause(self, seconds: float, scope: Scope) -> Process:
        bell = Bell(self)
        scope.watch(bell)
        yield bell, seconds
        scope.forget(bell)
        return not scope.stopped

    def _gather(self, flows: Iterable[Flow[Any]], scope: Scope) -> Process:
        outcomes: dict[int, Any] = {}
        bells: list[Bell] = []

        def run(at: int, flow: Flow[Any], ended: Bell) -> Process:
            try:
                outcomes[at] = yield from self._drive(flow, scope)
            except Exception as failed:
                outcomes[at] = failed
                scope.stop()
            ended.wake()

        for at, flow in enumerate(flows):
            bells.append(Bell(self))
            self.at(self.now, run(at, flow, bells[at]))
        for bell in bells:
            yield bell, None
        return [outcomes[at] for at in range(len(bells))]


def vector(text: str) -> list[float]:
    """Return the only right embedding of one of our texts: its number, and a one."""
    return [float(text), 1.0]


def right_answer(inputs: list[str]) -> Response:
    """Answer as a faultless gateway does."""
    rows = [base64.b64encode(np.array(vector(text), "<f4").tobytes()).decode() for text in inputs]
    data = [{"index": at, "embedding": row} for at, row in enumerate(rows)]
    usage = {"prompt_tokens": len(inputs), "total_tokens": len(inputs), "cost": 0.0}
    return Response(200, {}, json.dumps({"data": data, "model": MODEL, "usage": usage}).encode())


def refusal(status: int, **headers: str) -> Response:
    """Answer with an error."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(status, named, json.dumps({"error": {"code": status, "message": "no"}}).encode())


def numbers(count: int, start: int = 1) -> list[str]:
    return [str(one) for one in range(start, start + count)]


def all_right(outcome: Any, texts: list[str]) -> bool:
    """Say whether a call came back with each text's own embedding."""
    return not isinstance(outcome, BaseException) and outcome.embeddings.tolist() == [vector(one) for one in texts]
