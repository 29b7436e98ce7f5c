"""POST /embeddings: an answer that is kept, scripted trouble, or work, and its delivery."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass, replace

from starlette.requests import Request
from starlette.responses import Response

from openrouter_embeddings.profiles import Profile

from .answer import build, corrupt, unbilled
from .errors import Refused
from .keys import check_key
from .limits import check_shape
from .preferences import check_routing
from .received import Entry
from .response_cache import CacheRequest, cache_request, miss
from .responses import CutResponse, DripResponse, OnSent, ResetResponse, refusal
from .schema import EmbeddingRequest, read_body, read_request
from .state import State
from .troubles import Rule, refuse

PRICE_WHERE_UNKNOWN = 0.02
"""USD per million tokens."""
_INLINE_INPUTS, _INLINE_CHARACTERS = 32, 20_000
"""Above either, the work is handed to a thread so that other requests are not kept waiting."""
_BOM = b"\xef\xbb\xbf"


@dataclass(slots=True)
class _Call:
    """One request on its way, and what it meets."""

    request: EmbeddingRequest
    profile: Profile
    rule: Rule | None
    caching: CacheRequest | None
    generation_id: str

    @property
    def price(self) -> float:
        """USD per million tokens."""
        known = self.profile.price_per_million
        return PRICE_WHERE_UNKNOWN if known is None else known


@dataclass(slots=True)
class _Work:
    """What was made: the body, the same as it reads from the cache, and what it costs."""

    content: bytes
    unbilled: bytes
    tokens: int
    cost: float


class EmbeddingsEndpoint:
    """Answers POST /embeddings."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def respond(self, http: Request) -> Response:
        """Answer one request, and write down what becomes of it."""
        raw = await http.body()
        entry = self._state.log.begin(http, raw)
        entry.count_in(self._state.log.usage.total)
        generation_id = f"gen-emb-{secrets.token_hex(10)}"
        try:
            response = await self._answer(http, raw, entry, generation_id)
        except Refused as refused:
            response = refusal(refused)
        except BaseException:
            entry.end()
            raise
        response.headers["X-Generation-Id"] = generation_id
        response.headers["x-embedding-model"] = self._state.model.name
        entry.status = None if isinstance(response, ResetResponse) else response.status_code
        return OnSent(response, entry.end)

    async def _answer(self, http: Request, raw: bytes, entry: Entry, generation_id: str) -> Response:
        state = self._state
        check_key(http, state.api_key)
        request = read_request(read_body(raw))
        await self._enter(request, entry)
        caching = cache_request(http, raw)
        if (kept := self._kept(caching, entry)) is not None:
            return kept
        rule = state.troubles.match(request) or state.faults.strike(raw, state.settings.faults)
        if rule is not None and (scripted := _scripted_response(rule, request)) is not None:
            return scripted
        call = _Call(request, state.catalog.profile_of(request.model), rule, caching, generation_id)
        work = await self._work(call)
        self._settle(call, work, entry)
        return await _delivered(call, work)

    async def _enter(self, request: EmbeddingRequest, entry: Entry) -> None:
        """Count a request, let it in, and take the time that every request takes."""
        state = self._state
        entry.inputs = len(request.items)
        entry.count_in(state.log.usage.of(request.model))
        state.traffic.enter()
        entry.when_over.append(state.traffic.leave)
        if state.settings.latency:
            await asyncio.sleep(state.settings.latency)

    def _kept(self, caching: CacheRequest | None, entry: Entry) -> Response | None:
        """Return the answer from the response cache. No provider is asked for it, so no trouble is met."""
        cache = self._state.cache
        if caching is None or (kept := cache.find(caching)) is None:
            return None
        entry.server_cached = True
        return Response(kept.content, headers=cache.hit(kept), media_type="application/json")

    async def _work(self, call: _Call) -> _Work:
        """Embed, in a thread where it takes long."""
        request, lenient = call.request, self._state.settings.lenient
        if not lenient:
            check_routing(request.preferences, call.price)
        check_shape(request, call.profile)
        characters = sum(len(text) for item in request.items for text in item.texts)
        pictures = any(item.others for item in request.items)
        if len(request.items) <= _INLINE_INPUTS and characters <= _INLINE_CHARACTERS and not pictures:
            return self._embed(call, lenient=lenient)
        return await asyncio.to_thread(self._embed, call, lenient=lenient)

    def _embed(self, call: _Call, *, lenient: bool) -> _Work:
        request, rule = call.request, call.rule
        if rule is not None and rule.kind == "ignore_dimensions":
            request = replace(request, dimensions=None)
        embedded = self._state.embedder.embed(request, call.profile, lenient=lenient)
        cost = embedded.tokens * call.price / 1e6
        answer = build(request, embedded, generation_id=f"embd-{call.generation_id[8:]}", cost=cost)
        start = b""
        if rule is not None:
            corrupt(answer, rule.kind, rule.options)
            start = _BOM if rule.kind == "bom" else b""
        again = b"" if call.caching is None else start + unbilled(answer).to_bytes()
        return _Work(start + answer.to_bytes(), again, embedded.tokens, cost)

    def _settle(self, call: _Call, work: _Work, entry: Entry) -> None:
        """Charge for the work and keep the answer, where it is right and of use to the client."""
        right = call.rule is None or call.rule.spares(call.request)
        lost = call.rule is not None and call.rule.loses_the_answer
        keep = call.caching is not None and (right or lost)
        if right or keep:  # what is cut on its way is of use to the client only where the cache has it
            entry.pay(len(call.request.items), work.tokens, work.cost)
        if call.caching is not None and keep:
            self._state.cache.keep(call.caching, work.unbilled, call.generation_id)


def _scripted_response(rule: Rule, request: EmbeddingRequest) -> Response | None:
    """Return what a rule answers in place of the model, or None where the model is asked all the same."""
    kind, options = rule.kind, rule.options
    refuse(rule, request)
    if kind == "reset" and not options.get("worked"):
        return ResetResponse()
    if kind == "html":
        page = "<html><head><title>Attention Required!</title></head><body>edge network</body></html>"
        return Response(page, status_code=int(options.get("status", 200)), media_type="text/html")
    if kind == "not_json":
        return Response(b'{"object":"list","data":[{"obj', media_type="application/json")
    if kind == "empty_body":
        return Response(b"", status_code=int(options.get("status", 200)), media_type="application/json")
    if kind == "redirect":
        location = str(options.get("location", "/api/v1/embeddings"))
        return Response(b"", status_code=int(options.get("status", 307)), headers={"Location": location})
    return None


async def _delivered(call: _Call, work: _Work) -> Response:
    """Return the response that brings the work to the client, or fails to."""
    if call.rule is not None and call.rule.kind == "slow":
        await asyncio.sleep(float(call.rule.options["seconds"]))
    response = _delivery(call.rule, work.content)
    if call.caching is not None:
        response.headers.update(miss(call.caching))
    return response


def _delivery(rule: Rule | None, content: bytes) -> Response:
    kind = None if rule is None else rule.kind
    if kind == "cut":
        return CutResponse(content, media_type="application/json")
    if kind == "reset":
        return ResetResponse()
    if rule is not None and kind == "drip":
        return DripResponse(content, seconds=float(rule.options["seconds"]), media_type="application/json")
    return Response(content, media_type="application/json")
