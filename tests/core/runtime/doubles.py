"""A clock that is set by hand, waits that only say whether they were ended, and a gateway that is a function."""

from __future__ import annotations

from typing import Any

from openrouter_embeddings._flows import NotSent, Send
from openrouter_embeddings._limits import Feedback, Load, Permit, TrafficLimiter
from openrouter_embeddings._protocol import Response
from openrouter_embeddings._runtime import CancelScope, Runtime
from openrouter_embeddings._runtime.dispatcher import Dispatcher
from openrouter_embeddings._runtime.performing import perform
from openrouter_embeddings.cache import GuardedCache

LANDED = Feedback(Load.LANDED)
URL = "http://gateway.test/v1/embeddings"


def to_send(**given: Any) -> Send[Any]:
    defaults: dict[str, Any] = {
        "build": lambda: b"body",
        "read": lambda answer, seconds: (answer.body, LANDED),
        "wait_budget": 10.0,
        "timeout": 30.0,
        "tokens": 1,
        "max_bytes": 1000,
    }
    return Send(**defaults | given)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Bell:
    """A wait that only says whether it was ended."""

    def __init__(self) -> None:
        self.rung = False

    def wake(self) -> None:
        self.rung = True


class Transport:
    """Answers each exchange with the body that was sent, or does what it is given to do."""

    def __init__(self, act: Any = None) -> None:
        self.act = act or (lambda body: Response(200, {}, body or b""))
        self.exchanges: list[dict[str, Any]] = []
        self.dropped = 0

    def exchange(self, url: str, body: bytes | None, **given: Any) -> Any:
        self.exchanges.append({"url": url, "body": body, **given})
        return self.act(body)

    async def aexchange(self, url: str, body: bytes | None, **given: Any) -> Any:
        answer = self.exchange(url, body, **given)
        return await answer if hasattr(answer, "__await__") else answer

    def drop_connections(self) -> None:
        self.dropped += 1

    def close(self) -> None: ...

    async def aclose(self) -> None: ...


class Cache:
    """A cache in a dict."""

    def __init__(self) -> None:
        self.rows: dict[bytes, bytes] = {}

    def get(self, keys: Any) -> dict[bytes, bytes]:
        return {key: self.rows[key] for key in keys if key in self.rows}

    def put(self, items: Any) -> None:
        self.rows.update(items)

    def close(self) -> None: ...


class Claiming(Cache):
    """A cache that notes what is claimed and given up."""

    def __init__(self) -> None:
        super().__init__()
        self.claimed: list[bytes] = []
        self.given_up: list[bytes] = []

    def claim(self, keys: Any, seconds: float) -> Any:
        self.claimed += keys
        return keys

    def unclaim(self, keys: Any) -> None:
        self.given_up += keys


class Waiting:
    """One request in the queue."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        *,
        urgent: bool = False,
        wait_budget: float = 10.0,
        seconds: float = 30.0,
        call_seconds: float | None = None,
        tokens: int = 1,
        goes_first: bool = False,
    ) -> None:
        self.scope = CancelScope(dispatcher._clock, call_seconds)
        self.acquiring = dispatcher.acquire(
            self.scope,
            Bell,
            tokens=tokens,
            wait_budget=wait_budget,
            seconds=seconds,
            urgent=urgent,
            goes_first=goes_first,
        )
        self.outcome: Permit | NotSent | None = None
        self.held = 0.0
        self.go_on()

    def go_on(self) -> None:
        try:
            self.bell, self.delay = next(self.acquiring)
        except StopIteration as done:
            self.outcome, self.held = done.value

    @property
    def permit(self) -> Permit:
        """Take up what was handed over, and return it."""
        if self.outcome is None:
            assert self.bell.rung
            self.go_on()
        assert isinstance(self.outcome, Permit), self.outcome
        return self.outcome


def limiter(maximum: int = 1, max_cost: float | None = None) -> TrafficLimiter:
    return TrafficLimiter(maximum=maximum, max_cost=max_cost, encoding_known=True)


def runtime(
    transport: Transport | None = None, *, clock: Any = None, maximum: int = 1, cache: Any = None, **given: Any
) -> Runtime:
    timing = {} if clock is None else {"clock": clock}
    return Runtime(
        limiter=limiter(maximum),
        transport=transport or Transport(),
        cache=GuardedCache(cache or Cache()),
        url=URL,
        jitter=lambda: 0.0,
        **timing,
        **given,
    )


def scope_of(run: Runtime, seconds: float | None = None, share: Any = None) -> CancelScope:
    return CancelScope(run.clock, seconds, share)


class Performed:
    """One flow of one effect, done step by step by hand."""

    def __init__(self, effect: Any, run: Any, scope: Any = None) -> None:
        self.result: Any = None
        self.over = False
        self.closed = False
        self.scope = scope or scope_of(run)
        self.steps = perform(self._flow(effect), run, self.scope, Bell)
        self.step: Any = None
        self.go_on()

    def _flow(self, effect: Any) -> Any:
        try:
            return (yield effect)
        finally:
            self.closed = True

    def go_on(self, done: Any = None) -> Performed:
        try:
            self.step = self.steps.send(done)
        except StopIteration as end:
            self.over, self.result, self.step = True, end.value, None
        return self

    def fail(self, error: BaseException) -> None:
        self.steps.throw(error)
