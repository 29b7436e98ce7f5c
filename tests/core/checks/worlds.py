"""A gateway in one process: providers that are so far apart, so noisy, and heed so much; and a driver for the checks' flows.

Which embeddings are right is known here, so a verdict can be held against the truth.
"""

from __future__ import annotations

import base64
import json
import random
import zlib
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import count
from typing import Any

import numpy as np

from openrouter_embeddings._flows.effects import Fetch, Flow, Gather, Send, Sent
from openrouter_embeddings._protocol.exchange import Response
from openrouter_embeddings.checks.consistency import check_consistency
from openrouter_embeddings.checks.model import check_model
from openrouter_embeddings.checks.reports import ConsistencyCheck, ModelCheck
from openrouter_embeddings.checks.session import PROBES, CheckSession
from openrouter_embeddings.gateways import OPENROUTER
from openrouter_embeddings.options import Options

WIDTH = 384
BY_VALUE, BY_PREFIX = "voyageai/voyage-4", "nomic-ai/nomic-embed-text-v1.5"
NAMES = ("Alpha", "Beta", "Gamma", "Delta")
VALUES = {"query": "query", "document": "document", "search_query": "query"}
PREFIXES = {"search_query: ": "query", "search_document: ": "document"}
_PROVIDER, _MARK, _BATCH, _NARROW = 1, 5, 7, 8


def reply(status: int, body: object) -> Response:
    return Response(status, {}, json.dumps(body).encode())


def answer(rows: np.ndarray, provider: str | None = None) -> Response:
    """Return an answer in base64."""
    whole = np.ascontiguousarray(rows, dtype="<f4")
    data = [{"index": index, "embedding": base64.b64encode(row).decode()} for index, row in enumerate(whole)]
    named = {} if provider is None else {"provider": provider}
    return reply(200, {"data": data, "model": "m", "usage": {"prompt_tokens": len(data), "cost": 0.0}, **named})


def listing(*endpoints: tuple[str, str]) -> Response:
    rows = [{"tag": tag, "provider_name": name, "quantization": None} for tag, name in endpoints]
    return reply(200, {"data": {"endpoints": rows}})


def drive(flow: Flow[Any], gateway: Any) -> Any:
    """Run a flow to its end; what it sends is answered by `gateway.answer(body)`, what it lists by `gateway.list_providers()`."""
    reaction: Any = None
    while True:
        try:
            effect = flow.send(reaction)
        except StopIteration as done:
            return done.value
        match effect:
            case Send():
                verdict, _ = effect.read(gateway.answer(json.loads(effect.build())), 1.0)
                reaction = Sent(verdict, 0.0, waits_alone=True, jitter=0.5)
            case Fetch():
                reaction = gateway.list_providers()
            case Gather(flows):
                reaction = [drive(inner, gateway) for inner in flows]
            case _:
                reaction = None


def model_checked(gateway: Any, model: str = BY_VALUE, **options: Any) -> ModelCheck:
    return drive(check_model(CheckSession(Options(model=model, api_key="k", **options), OPENROUTER)), gateway)


def consistency_checked(gateway: Any, model: str = BY_VALUE, texts: Any = None, **options: Any) -> ConsistencyCheck:
    session = CheckSession(Options(model=model, api_key="k", **options), OPENROUTER)
    return drive(check_consistency(session, texts), gateway)


@lru_cache(maxsize=4096)
def directions(text: str) -> np.ndarray:
    """Return what a text's embeddings are made of: its own direction, and others at right angles to it."""
    count = 9 if text in PROBES else 1
    square = np.random.default_rng(zlib.crc32(text.encode())).standard_normal((WIDTH, count))
    return np.linalg.qr(square)[0].T


@dataclass
class World:
    """One truth.

    Attributes:
        cosine: Between two providers' embeddings of one text.
        noise: 1 less the cosine between two answers to one request.
        effect: The cosine between a marked text and an unmarked one, where the mark is heeded.
        heeds: Which sides' values of `input_type` and prefixes are heeded.
        pins: `"kept"`, `"ignored"` or `"refused"`.
        sticky: Whether one provider serves whatever is not pinned.
        in_turn: Whether providers serve in turn what is neither pinned nor sticky.
        named: Whether answers name who served.
        listed: Whether the gateway lists its providers.
        scales: Each provider's length of an embedding.
        batch: What a batch does: `"right"`, `"turned"` round, or `"other"` numbers.
        cut: Whether a shorter embedding is the beginning of the full one.
        shares: How often each provider serves what is neither pinned nor sticky; empty: at random.
        served: Who has answered to unmarked texts.
    """

    seed: int
    providers: int = 1
    cosine: float = 1.0
    noise: float = 0.0
    effect: float = 0.95
    heeds: tuple[str, ...] = ("query", "document")
    pins: str = "kept"
    sticky: bool = False
    in_turn: bool = False
    named: bool = True
    listed: bool = True
    scales: tuple[float, ...] = (1.0, 1.0, 1.0, 1.0)
    batch: str = "right"
    cut: bool = True
    shares: tuple[float, ...] = ()
    served: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.turns = count()
        self.noises = np.random.default_rng(self.seed)
        self.home = self.chance.randrange(self.providers)
        self.shares = self.shares or tuple(self.chance.random() + 0.05 for _ in range(self.providers))

    def quiet_and_pinned(self) -> bool:
        """Return whether nothing should be in the way of a verdict."""
        return self.noise <= 1e-4 and self.pins == "kept" and self.named and self.listed

    def list_providers(self) -> Response:
        if not self.listed:
            return reply(404, {"error": {"code": 404, "message": "no"}})
        return listing(*((name.lower(), name) for name in NAMES[: self.providers]))

    def answer(self, body: dict[str, Any]) -> Response:
        """Return what the gateway answers: one provider's rows, or a refusal of the pin."""
        only = (body.get("provider") or {}).get("only")
        if only and self.pins == "refused":
            return reply(404, {"error": {"code": 404, "message": "no provider"}})
        if only and self.pins == "kept":
            provider = [name.lower() for name in NAMES].index(only[0])
        else:
            provider = self.unpinned()
        if "input_type" not in body and "dimensions" not in body:
            self.served.add(provider)
        return answer(self.answer_by(provider, body), NAMES[provider] if self.named else None)

    def unpinned(self) -> int:
        """Return who serves what is pinned to nobody."""
        if self.sticky:
            return self.home
        if self.in_turn:
            return next(self.turns) % self.providers
        return self.chance.choices(range(self.providers), self.shares)[0]

    def answer_by(self, provider: int, body: dict[str, Any]) -> np.ndarray:
        """Return the rows that a provider gives."""
        texts, width = body["input"], body.get("dimensions", WIDTH)
        rows = np.empty((len(texts), WIDTH), np.float64)
        for index, text in enumerate(texts):
            prefix = next((prefix for prefix in PREFIXES if text.startswith(prefix)), "")
            side = PREFIXES.get(prefix) or VALUES.get(body.get("input_type", ""), "")
            bare = text.removeprefix(prefix)
            rows[index] = self.embedding(bare, provider, side, together=len(texts) > 1, narrow=width < WIDTH)
        if self.batch == "turned":
            rows = rows[::-1]
        return rows[:, :width] * self.scales[provider]

    def embedding(self, text: str, provider: int, side: str, *, together: bool, narrow: bool) -> np.ndarray:
        basis = directions(text)
        if len(basis) == 1:
            return basis[0]
        if narrow and not self.cut:
            return basis[_NARROW]
        row = basis[0]
        if self.providers > 1:
            row = towards(row, basis[_PROVIDER + provider], self.cosine**0.5)
        if side in self.heeds:
            row = towards(row, basis[_MARK + (side == "query")], self.effect)
        if together and self.batch == "other":
            row = towards(row, basis[_BATCH], 0.99)
        return row + self.noises.standard_normal(WIDTH) * (self.noise / WIDTH) ** 0.5


def towards(row: np.ndarray, direction: np.ndarray, cosine: float) -> np.ndarray:
    """Return a row turned until it has this cosine to where it was."""
    return cosine * row + (1.0 - cosine * cosine) ** 0.5 * direction
