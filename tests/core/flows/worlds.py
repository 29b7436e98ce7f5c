"""What the tests of flows share: a call without a client, requests answered by hand, and any flow in the simulator's world."""

from __future__ import annotations

import json
from typing import Any

from openrouter_embeddings._flows import EmbedCall, Flow, LearnedLimits, Send, Sent, prepare_call
from openrouter_embeddings._protocol import Response, TransportFailure
from openrouter_embeddings.client.calls import Call
from openrouter_embeddings.options import Options

from ...simulation.answers import right_answer
from ...simulation.world import MODEL, Answer, Loop, Request, World

_OF_THE_CALL = {"resume", "on_progress", "urgent", "registry", "count", "address"}


def call_of(
    texts: list[Any], input_type: Any = "document", *, model: str = MODEL, learned: LearnedLimits | None = None, **how: Any
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
