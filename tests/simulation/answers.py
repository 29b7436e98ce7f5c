"""What simulated gateways answer, and what is right."""

from __future__ import annotations

import base64
import heapq
import json
import struct
from typing import Any

from openrouter_embeddings._protocol import Response

from .world import Answer, Gateway, Request, World


def vector(text: str) -> list[float]:
    """Return the only right embedding of one of our texts: its number, and a one."""
    return [float(text), 1.0]


def right_rows(request: Request) -> list[dict[str, Any]]:
    """Return the rows of a right answer."""
    if request.encoding == "float":
        return [{"index": index, "embedding": vector(text)} for index, text in enumerate(request.inputs)]
    packed = [base64.b64encode(struct.pack("<2f", *vector(text))).decode() for text in request.inputs]
    return [{"index": index, "embedding": row} for index, row in enumerate(packed)]


def answer_with(request: Request, rows: list[dict[str, Any]], cost: float = 1e-6) -> Response:
    """Answer with these rows."""
    count = len(request.inputs)
    usage = {"prompt_tokens": count, "total_tokens": count, "cost": cost * count}
    return Response(200, {}, json.dumps({"data": rows, "model": "m", "usage": usage}).encode())


def right_answer(request: Request) -> Response:
    """Answer as a faultless gateway does."""
    request.billed = True
    return answer_with(request, right_rows(request))


def refusal(status: int, message: str = "no", **headers: str) -> Response:
    """Answer with an error."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(status, named, json.dumps({"error": {"code": status, "message": message}}).encode())


def numbers(count: int, start: int = 1) -> list[str]:
    """Return texts, each a number."""
    return [str(number) for number in range(start, start + count)]


def all_right(outcome: Any, texts: list[str]) -> bool:
    """Return whether a call came back with each text's own embedding."""
    return not isinstance(outcome, BaseException) and outcome.embeddings.tolist() == [vector(text) for text in texts]


def capped(caps: Any, told: str = "1", latency: float = 0.1, *, status: int = 429) -> Gateway:
    """Return a gateway that takes `caps(now)` requests at once."""
    under_way: list[float] = []

    def gateway(world: World, request: Request) -> Answer:
        while under_way and under_way[0] <= world.now:
            heapq.heappop(under_way)
        if len(under_way) >= caps(world.now):
            return 0.005, refusal(status, **({"retry_after": told} if told else {}))
        heapq.heappush(under_way, world.now + latency)
        return latency, right_answer(request)

    return gateway


class Bucket:
    """A gateway that takes so many a second, and so many at once after a rest."""

    def __init__(self, rate: float, burst: float, told: str) -> None:
        self.rate, self.burst, self.told = rate, burst, told
        self._left, self._since = burst, 0.0

    def __call__(self, world: World, request: Request) -> Answer:
        now = world.now
        self._left, self._since = min(self.burst, self._left + self.rate * (now - self._since)), now
        if self._left < 1.0:
            told = str((1.0 - self._left) / self.rate) if self.told == "exact" else self.told
            return 0.005, refusal(429, **({"retry_after": told} if told else {}))
        self._left -= 1.0
        return 0.1, right_answer(request)
