"""A third driver: whole clients in a world whose clock is a number.

Every flow is a process of its own, as threads and tasks are in the other two drivers, and everything but the wait itself
is the library's own: `perform`, the queue, single-flight, streams, the cache. A heap of moments says which process goes
on when, so two minutes of waiting take no time and a run can be repeated exactly. The gateway is a function of the time
and the request; what it answers is read by the library's own reader.
"""

from __future__ import annotations

import heapq
import itertools
import json
import math
import random
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from openrouter_embeddings._flows import Flow
from openrouter_embeddings._limits import TrafficLimiter
from openrouter_embeddings._protocol import Response, TransportFailure, TransportFault
from openrouter_embeddings._runtime import CancelScope, Runtime
from openrouter_embeddings._runtime.leasing import Ask, LimiterCall
from openrouter_embeddings._runtime.performing import perform
from openrouter_embeddings._runtime.steps import Begin, Block, Exchange, RunBeside, StartBeside, Wait
from openrouter_embeddings.cache import GuardedCache
from openrouter_embeddings.client.calls import Call, embed_call
from openrouter_embeddings.client.state import ClientState, Streams
from openrouter_embeddings.client.streams import StreamWindow
from openrouter_embeddings.options import Options

MODEL = "openai/text-embedding-3-small"
Answer = tuple[float, "Response | TransportFailure"]
Gateway = Callable[["World", "Request"], Answer]
Process = Generator[tuple["Bell", float | None], None, Any]


class Cancelled(BaseException):
    """What a cancelled process meets where it waits, as asyncio's tasks do."""


class Bell:
    """What a process waits for: rung by somebody with news, or by the clock."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._rung = False
        self._sleeper: Runner | None = None
        self._waits = 0
        """Which of the sleeper's waits it is: one that was cancelled is over, and the next is no concern of this bell."""

    def wake(self) -> None:
        if not self._rung:
            self._rung = True
            if self._sleeper is not None and self._sleeper.waits == self._waits:
                self._world.resume(self._sleeper)

    def hold(self, sleeper: Runner, seconds: float | None) -> None:
        """Let a process sleep until the bell rings; the clock rings it after `seconds`."""
        self._sleeper, self._waits = sleeper, sleeper.waits
        if self._rung:
            self._world.resume(sleeper)
        elif seconds is not None and seconds < math.inf:
            # Time goes on, be it by the least step there is: rounding must not let a process wait for now for ever.
            moment = max(self._world.now + seconds, math.nextafter(self._world.now, math.inf))
            self._world.do_at(moment, self.wake)


@dataclass(slots=True, eq=False)
class Loop:
    """What runs processes: a thread, or an event loop. It may stand still for a while, or for ever."""

    stands_still_until: float = 0.0


@dataclass(slots=True, eq=False)
class Runner:
    """A process on its loop."""

    process: Process
    loop: Loop
    ended: Callable[[], None] | None = None
    cancelled: bool = False
    over: bool = False
    waits: int = 0
    """How often it has waited: an old wake-up is none."""


@dataclass(slots=True, eq=False)
class Request:
    """One request, and what became of it."""

    sent: float
    inputs: list[str]
    encoding: str
    input_type: str
    seconds: float
    loop: Loop
    answered: float = math.nan
    status: int = 0
    """0 for an exchange without an answer."""
    billed: bool = False
    abandoned: bool = False
    """Whether its caller was cancelled meanwhile."""

    @property
    def is_open(self) -> bool:
        return math.isnan(self.answered) and not self.abandoned


@dataclass(slots=True, eq=False)
class Caller:
    """Somebody who makes calls, one after another: what each came to, and when."""

    loop: Loop
    outcomes: list[Any] = field(default_factory=list)
    began: list[float] = field(default_factory=list)
    ended: list[float] = field(default_factory=list)
    runner: Runner | None = None
    world: World | None = None

    @property
    def is_dead(self) -> bool:
        return self.world is not None and self.world.dead


@dataclass(slots=True, eq=False)
class Handle:
    """A slice of a stream under way, as a job or a task is."""

    result: BaseException | None = None
    is_done: bool = False
    bell: Bell | None = None

    def done(self) -> bool:
        return self.is_done

    def finish(self, error: BaseException | None) -> None:
        self.is_done, self.result = True, error
        if self.bell is not None:
            self.bell.wake()


class Timeline:
    """A clock that jumps from event to event. Worlds may share one."""

    def __init__(self) -> None:
        self.now = 0.0
        self.checks: list[Callable[[], None]] = []
        """Called before time goes on."""
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()

    def do_at(self, moment: float, what: Callable[[], None]) -> None:
        """Let something happen at a moment."""
        if moment < math.inf:
            heapq.heappush(self._events, (moment, next(self._order), what))

    def run(self, until: float) -> None:
        """Go from event to event until nothing is left to happen, or the time has come."""
        while self._events and self._events[0][0] <= until:
            moment, _, what = heapq.heappop(self._events)
            if moment > self.now:
                for check in self.checks:
                    check()
                self.now = moment
            what()


class World:
    """One client, one gateway, any number of callers; beside others, where they share a timeline.

    Args:
        gateway: What answers.
        seed: Of what is random.
        cache: Of the client.
        timeline: That of the clients and processes beside this one.
        **options: Of the client.
    """

    def __init__(
        self,
        gateway: Gateway,
        *,
        seed: int = 0,
        cache: Any = None,
        timeline: Timeline | None = None,
        **options: Any,
    ) -> None:
        self.timeline = timeline or Timeline()
        self.wall = 1_700_000_000.0
        """Wall-clock seconds at the time 0. A test may move it while the world runs."""
        self.dead = False
        self.requests: list[Request] = []
        self.disk_seconds = 0.0
        """The longest that the cache takes."""
        self.limiter_seconds = 0.0
        """The longest that the user's limiter takes to answer."""
        self._disk = random.Random(seed)
        self._gateway = gateway
        self.options = Options(model=MODEL, api_key="secret-key", normalize=False, cache=cache, **options)
        self.state = ClientState(self.options)
        limiter = TrafficLimiter(
            maximum=self.options.max_concurrency,
            max_cost=self.options.max_cost,
            pilot_seconds=min(2.0, self.options.timeout / 4),
            encoding_known=self.state.learned.encoding is not None,
        )
        self.runtime = self.state._runtime = Runtime(
            limiter=limiter,
            transport=SimpleNamespace(drop_connections=lambda: None),  # type: ignore[arg-type]
            cache=GuardedCache(self.options.cache),
            url="http://simulated/v1/embeddings",
            shared_limiter=self.options.shared_limiter,
            clock=lambda: self.now,
            jitter=random.Random(seed).random,
        )

    @property
    def now(self) -> float:
        """The time, the same in all processes."""
        return self.timeline.now

    @now.setter
    def now(self, now: float) -> None:
        self.timeline.now = now

    def die(self) -> None:
        """Be killed: nothing goes on, nothing is written, what is in flight is lost, and so is what is not written yet."""
        self.dead = True
        for request in self.requests:
            request.abandoned = request.abandoned or not request.answered < self.now - self.disk_seconds

    @property
    def limiter(self) -> TrafficLimiter:
        return self.runtime.dispatcher.limiter

    # ------------------------------------------------------------------------------------------------- callers

    def embed(self, texts: Sequence[str], input_type: Any = "document", **how: Any) -> Callable[[], Call[Any]]:
        """Return what makes a call, when its turn has come."""
        return lambda: embed_call(self.state, texts, input_type, **how)

    def call(self, *makers: Callable[[], Call[Any]], loop: Loop | None = None, start: float = 0.0) -> Caller:
        """Let somebody make these calls, one after another; those that fail do not keep them from the next."""
        caller = Caller(loop or Loop(), world=self)

        def calling() -> Process:
            for make in makers:
                caller.began.append(self.now)
                try:
                    outcome = yield from self.run_call(make(), caller.loop)
                except (Exception, Cancelled) as failed:
                    outcome = failed
                caller.outcomes.append(outcome)
                caller.ended.append(self.now)

        caller.runner = self.start(calling(), caller.loop, at=start)
        return caller

    def stream(self, texts: Iterable[Any], input_type: Any = "document", *, start: float = 0.0, **how: Any) -> Caller:
        """Let somebody iterate over a stream; each outcome is a batch."""
        caller = Caller(how.pop("loop", None) or Loop(), world=self)
        caller.runner = self.start(self._streaming(caller, texts, input_type, **how), caller.loop, at=start)
        return caller

    def run_call(self, call: Call[Any], loop: Loop) -> Process:
        """Run a call as `client.calls.run` and `arun` do."""
        scope = CancelScope(self.runtime.clock, call.seconds, call.share)
        return (yield from self.drive(call.flow, scope, loop))

    def _streaming(self, caller: Caller, texts: Iterable[Any], input_type: Any, take: int | None = None) -> Process:
        from openrouter_embeddings._flows import embed_each
        from openrouter_embeddings.client.streams import _slices

        window: StreamWindow[Any] = StreamWindow(self.state, Streams(), texts, input_type, None)
        caller.began.append(self.now)
        slicer = window.begin()

        def running(part: Any, handle: Handle) -> Process:
            error: BaseException | None = None
            try:
                with window.running(part) as scope:
                    if scope is not None and part.call is not None:
                        yield from self.drive(embed_each(part.call), scope, caller.loop)
            except BaseException as failed:
                error = failed
            handle.finish(error)

        def handed_out() -> Process:
            handle = window.pending[0][1]
            if not handle.done():
                handle.bell = Bell(self)
                yield handle.bell, None
            caller.outcomes.append(window.take(handle.result))
            caller.ended.append(self.now)

        try:
            for pairs in _slices(window, slicer, texts):
                part, handle = window.slice(pairs), Handle()
                window.submit(part, handle)
                self.start(running(part, handle), caller.loop)
                while window.is_ready():
                    yield from handed_out()
                if take is not None and len(caller.outcomes) >= take:
                    return
            while window.pending:
                yield from handed_out()
            window.raise_if_broken()
        except (Exception, Cancelled) as failed:
            caller.outcomes.append(failed)
            caller.ended.append(self.now)
        finally:
            window.cancel()

    # -------------------------------------------------------------------------------------------------- driver

    def drive(self, flow: Flow[Any], scope: CancelScope, loop: Loop) -> Process:
        """Run the flow of a call, as `drive` and `adrive` do."""
        try:
            return (yield from self._drive(flow, scope, loop))
        finally:
            if not self.dead:
                self.runtime.end_call(scope, wait=True)

    def _drive(self, flow: Flow[Any], scope: CancelScope, loop: Loop, group: Group | None = None) -> Process:
        steps = perform(flow, self.runtime, scope, lambda: Bell(self))
        done: Any = None
        raised: BaseException | None = None
        while True:
            try:
                step = steps.send(done) if raised is None else steps.throw(raised)
            except StopIteration as end:
                return end.value
            done = raised = None
            try:
                match step:
                    case Wait(bell, seconds):
                        yield bell, seconds
                    case Exchange():
                        done = yield from self._exchange(step, loop)
                    case Block(work):
                        done = yield from self._block(work)
                    case Begin(call):
                        self._begin(call)
                    case RunBeside(flows):
                        done = yield from Group(self, scope, loop).run(flows)
                    case StartBeside(other):
                        assert group is not None
                        group.start(other)
            except Cancelled as cancelled:
                scope.cancel()
                raised = cancelled
            except Exception as error:
                raised = error

    def _block(self, work: Callable[[], Any]) -> Process:
        """Use the disk. A thread does so: it goes on where the process that waits for it is cancelled."""
        seconds = self.disk_seconds * self._disk.random()
        written = self.now + seconds
        try:
            if seconds:
                yield Bell(self), seconds
        except Cancelled:
            self.do_at(written, work)
            raise
        return work()

    def _begin(self, call: LimiterCall) -> None:
        """Call the user's limiter, in a thread: it goes on where the process that waits for it is cancelled."""
        if self.limiter_seconds and isinstance(call, Ask):
            self.do_at(self.now + self.limiter_seconds * self._disk.random(), call.run)
        else:
            call.run()

    def _exchange(self, step: Exchange, loop: Loop) -> Process:
        assert step.body is not None
        body = json.loads(step.body)
        request = Request(
            self.now, body["input"], body["encoding_format"], body.get("input_type", ""), step.seconds, loop
        )
        self.requests.append(request)
        latency, answer = self._gateway(self, request)
        try:
            yield Bell(self), min(latency, step.seconds)
        except Cancelled:
            request.abandoned = True
            raise
        request.answered = self.now
        if latency > step.seconds:
            return TransportFailure(TransportFault.TIMED_OUT)
        if isinstance(answer, TransportFailure):
            return answer
        request.status = answer.status
        return Response(answer.status, answer.headers, answer.body, self.wall + self.now)

    # -------------------------------------------------------------------------------------------------- events

    def start(self, process: Process, loop: Loop, *, at: float | None = None) -> Runner:
        """Begin a process."""
        runner = Runner(process, loop)
        self.do_at(self.now if at is None else at, lambda: self._step(runner, 0))
        return runner

    def resume(self, runner: Runner) -> None:
        """Let a process go on now, or when its loop moves again."""
        waits = runner.waits
        self.do_at(max(self.now, runner.loop.stands_still_until), lambda: self._step(runner, waits))

    def cancel(self, runner: Runner) -> None:
        """Cancel a process where it waits."""
        if runner.waits and not runner.over:
            runner.cancelled = True
            self.resume(runner)

    def do_at(self, moment: float, what: Callable[[], None]) -> None:
        """Let something happen at a moment."""
        self.timeline.do_at(moment, lambda: None if self.dead else what())

    def run(self, until: float = math.inf) -> None:
        """Go from event to event until nothing is left to happen, or the time has come."""
        self.timeline.run(until)

    def _step(self, runner: Runner, waits: int) -> None:
        if runner.over or waits != runner.waits:
            return
        if runner.loop.stands_still_until > self.now:
            self.do_at(runner.loop.stands_still_until, lambda: self._step(runner, waits))
            return
        runner.waits += 1
        try:
            if runner.cancelled:
                runner.cancelled = False
                bell, seconds = runner.process.throw(Cancelled())
            else:
                bell, seconds = next(runner.process)
        except (StopIteration, Cancelled):
            runner.over = True
            if runner.ended is not None:
                runner.ended()
            return
        bell.hold(runner, seconds)


class Group:
    """Flows that run side by side, each a process of its own."""

    def __init__(self, world: World, scope: CancelScope, loop: Loop) -> None:
        self._world, self._scope, self._loop = world, scope, loop
        self._outcomes: list[list[Any]] = []
        self._runners: list[tuple[Runner, Bell]] = []

    def run(self, flows: Iterable[Flow[Any]]) -> Process:
        """Run flows, and those that they start, to their ends."""
        for flow in flows:
            self.start(flow)
        try:
            for _, ended in self._runners:  # which grows as long as one of them runs
                yield ended, None
        except Cancelled:
            for runner, _ in self._runners:
                self._world.cancel(runner)
            for runner, _ in self._runners:
                again = Bell(self._world)
                runner.ended = again.wake
                if not runner.over:
                    yield again, None
            raise
        return [outcome for [outcome] in self._outcomes]

    def start(self, flow: Flow[Any]) -> None:
        """Run one more."""
        outcome: list[Any] = [None]
        self._outcomes.append(outcome)

        def running() -> Process:
            try:
                outcome[0] = yield from self._world._drive(flow, self._scope, self._loop, self)
            except (Exception, Cancelled) as failed:
                outcome[0] = failed
                self._scope.cancel()

        ended = Bell(self._world)
        runner = self._world.start(running(), self._loop)
        runner.ended = ended.wake
        self._runners.append((runner, ended))
