"""What the tests of flows share: a call without a client, requests answered by hand, and any flow in the simulator's world."""

from __future__ import annotations

import json
from typing import Any

from openrouter_embeddings._flows import (
    Batch,
    EmbedCall,
    Flow,
    LearnedLimits,
    Send,
    Sent,
    prepare_call,
    send_until_settled,
)
from openrouter_embeddings._protocol import Response, TransportFailure
from openrouter_embeddings.client.calls import Call
from openrouter_embeddings.options import Options

from ...simulation.answers import numbers, right_answer
from ...simulation.world import MODEL, Answer, Loop, Request, World

_OF_THE_CALL = {"resume", "on_progress", "urgent", "registry", "count", "address"}


def call_of(
    texts: list[Any],
    input_type: Any = "document",
    *,
    model: str = MODEL,
    learned: LearnedLimits | None = None,
    **how: Any,
) -> EmbedCall:
    """Return a call that is alone in the world. Keywords are options, or arguments of `prepare_call`."""
    arguments = {name: how.pop(name) for name in _OF_THE_CALL & set(how)}
    options = Options(model=model, api_key="secret-key", **how)
    learned = learned or LearnedLimits.initial(options, options.facts)
    return prepare_call(options, learned, texts, input_type, **arguments)


def request_of(effect: Send[Any]) -> Request:
    """Build an effect's body, and return it as the simulated gateways see it."""
    raw = effect.build()
    assert raw is not None
    body = json.loads(raw)
    return Request(0.0, body["input"], body["encoding_format"], body.get("input_type", ""), effect.timeout, Loop())


def answered(
    effect: Send[Any], answer: Response | TransportFailure, *, seconds: float = 60.0, waited: float = 0.0, **facts: Any
) -> Sent[Any]:
    """Return how an effect is answered where its exchange, of so many seconds, came to this."""
    verdict, _ = effect.read(answer, seconds)
    return Sent(verdict, waited, **{"jitter": 0.5, **facts})


class Delivery:
    """One batch under way, answered by hand."""

    def __init__(self, call: EmbedCall, batch: Batch | None = None) -> None:
        self.call = call
        self.flow = send_until_settled(call, batch or Batch(call.unresolved(), len(call.inputs)))
        self.effect = next(self.flow)

    def answer(self, answer: Response | TransportFailure | None = None, **how) -> object:
        """Answer the request, rightly if nothing is said, and return the next effect, or what came of it all."""
        assert isinstance(self.effect, Send)
        request = request_of(self.effect)
        return self.go_on(answered(self.effect, answer or right_answer(request), **how))

    def go_on(self, reaction: object = None) -> object:
        try:
            self.effect = self.flow.send(reaction)
        except StopIteration as settled:
            self.effect = settled.value
        return self.effect


def delivery(count: int = 1, **options) -> Delivery:
    """Begin to deliver a batch of so many inputs, of a call of its own."""
    return Delivery(call_of(numbers(count), **options))


def faultless(world: World, request: Request) -> Answer:
    """Answer rightly."""
    return 0.01, right_answer(request)


def outcome_of(world: World, make: Any) -> Any:
    """Make one call, let the world run, and return what came of it, or raise it."""
    caller = world.call(make, start=world.now)
    world.run()
    (outcome,) = caller.outcomes
    if isinstance(outcome, BaseException):
        raise outcome
    return outcome


def embed(world: World, texts: list[str], input_type: Any = "document", **how: Any) -> Any:
    """Embed texts by a call of the world's client."""
    return outcome_of(world, world.embed(texts, input_type, **how))


def play(world: World, flow: Flow[Any]) -> Any:
    """Run any flow to its end."""
    return outcome_of(world, lambda: Call(flow))


def sizes(world: World) -> list[int]:
    """Return how many inputs each request has held."""
    return [len(request.inputs) for request in world.requests]
