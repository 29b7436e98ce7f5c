"""The gateway's application: OpenRouter's embedding endpoints, and a control endpoint beside them."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from openrouter_embeddings.profiles import profile_for, wire_model_id

from .answer import HARMLESS, UNDELIVERED, build, spoil, unbilled
from .embed import embed
from .errors import Refused, availability, classic
from .limits import check_shape
from .listing import endpoints_of, listing_page
from .model import Model, load_model
from .received import Entry, Log, bearer
from .responses import CutResponse, DripResponse, ResetResponse, note_transport
from .schema import Asked, read_body, read_request
from .stored import Answers, miss, read_wish
from .troubles import Rule, Troubles, refuse

PRICE_WHERE_UNKNOWN = 0.02
"""USD per million tokens."""
_INLINE_INPUTS, _INLINE_CHARACTERS = 32, 20_000
"""Above either, the work is handed to a thread so that other requests are not kept waiting."""
_BOM = b"\xef\xbb\xbf"


class Gateway:
    """An ASGI application with its state: the model, the scripted trouble, the log."""

    def __init__(self, *, api_key: str | None = None, model: Model | None = None) -> None:
        self.model = model or load_model()
        self.troubles = Troubles()
        self.log = Log()
        self.answers = Answers()
        self._api_key = api_key
        base = "/api/v1"
        self._app = Starlette(
            routes=[
                Route(f"{base}/embeddings", self.embeddings, methods=["POST"]),
                Route(f"{base}/embeddings/models", self._logged(self.models)),
                Route(f"{base}/models/{{author}}/{{slug}}/endpoints", self._logged(self.endpoints)),
                Route(f"{base}/key", self._logged(self.key)),
                Route("/_control/troubles", self.control_troubles, methods=["POST", "DELETE"]),
                Route("/_control/requests", self.control_requests),
                Route("/_control/stats", self.control_stats),
                Route("/_control/reset", self.control_reset, methods=["POST"]),
            ]
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http":
            note_transport(scope, send)
        await self._app(scope, receive, send)

    # ------------------------------------------------------------------------------------------------- embeddings

    async def embeddings(self, request: Request) -> Response:
        """Answer POST /embeddings."""
        raw = await request.body()
        entry = self.log.begin(request, raw)
        generation_id = f"gen-emb-{secrets.token_hex(10)}"
        try:
            response = await self._embeddings(request, raw, entry, generation_id)
        except Refused as refused:
            response = self._refusal(refused)
        except BaseException:
            self.log.end(entry)
            raise
        response.headers["X-Generation-Id"] = generation_id
        response.headers["x-embedding-model"] = self.model.name
        entry.status = None if isinstance(response, ResetResponse) else response.status_code
        return Ending(response, lambda: self.log.end(entry))

    async def _embeddings(self, request: Request, raw: bytes, entry: Entry, generation_id: str) -> Response:
        self._check_key(request)
        body = read_body(raw)
        asked = read_request(body)
        entry.inputs = len(asked.items)
        wish = read_wish(request, raw)
        if wish is not None and (kept := self.answers.find(wish)) is not None:
            entry.server_cached = True  # no provider is asked, so no trouble is met
            return Response(kept.content, headers=self.answers.hit(kept), media_type="application/json")
        rule = self.troubles.meet(asked)
        if rule is not None:
            if (instead := self._instead(rule, asked)) is not None:
                return instead
            if rule.kind == "ignore_dimensions":
                asked = replace(asked, dimensions=None)
        _check_model(asked.model)
        profile = profile_for(asked.model)
        check_shape(asked, profile)

        def work() -> tuple[bytes, bytes]:
            """Return the answer, and how it reads from the cache."""
            embedded = embed(asked, profile, self.model)
            price = PRICE_WHERE_UNKNOWN if profile.price_per_million is None else profile.price_per_million
            answer = build(asked, embedded, generation_id=f"embd-{generation_id[8:]}", price_per_million=price)
            if rule is not None:
                spoil(answer, rule.kind, rule.options)
            start = _BOM if rule is not None and rule.kind == "bom" else b""
            again = b"" if wish is None else start + unbilled(answer).to_bytes()
            return start + answer.to_bytes(), again

        characters = sum(len(text) for item in asked.items for text in item.texts)
        small = len(asked.items) <= _INLINE_INPUTS and characters <= _INLINE_CHARACTERS
        content, again = work() if small else await asyncio.to_thread(work)
        right = rule is None or rule.kind in HARMLESS or (rule.kind == "ignore_dimensions" and "dimensions" not in body)
        keep = wish is not None and (right or (rule is not None and rule.kind in UNDELIVERED))
        if right or keep:  # what is cut on its way is of use to the client only where the cache has it
            self.log.pay(entry, len(asked.items))
        if keep and wish is not None:
            self.answers.keep(wish, again, generation_id)
        if rule is not None and rule.kind == "slow":
            await asyncio.sleep(float(rule.options["seconds"]))
        response = _delivery(rule, content)
        response.headers.update({} if wish is None else miss(wish))
        return response

    def _instead(self, rule: Rule, asked: Asked) -> Response | None:
        """Return what a rule answers in place of the model, or None where the model is asked all the same."""
        kind, options = rule.kind, rule.options
        refuse(rule, asked)
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

    def _check_key(self, request: Request) -> None:
        key = bearer(request)
        if not key:
            raise Refused(401, classic(401, "No auth credentials found"))
        if key == "expired" or (
            self._api_key is not None and not secrets.compare_digest(key.encode(), self._api_key.encode())
        ):
            raise Refused(401, classic(401, "User not found."))

    def _refusal(self, refused: Refused) -> Response:
        body = refused.body
        content = body.encode() if isinstance(body, str) else orjson.dumps(body)
        return Response(content, status_code=refused.status, headers=refused.headers, media_type="application/json")

    # ---------------------------------------------------------------------------------------------- other endpoints

    def _logged(self, answer: Callable[[Request], Response]) -> Callable[[Request], Awaitable[Response]]:
        """Return an endpoint that writes down its requests and answers refusals."""

        async def endpoint(request: Request) -> Response:
            entry = self.log.begin(request, b"")
            try:
                response = answer(request)
            except Refused as refused:
                response = self._refusal(refused)
            finally:
                self.log.end(entry)
            entry.status = response.status_code
            return response

        return endpoint

    def models(self, request: Request) -> Response:
        """Answer GET /embeddings/models."""
        return _json(listing_page(request.query_params, self.model, str(request.url.path)))

    def endpoints(self, request: Request) -> Response:
        """Answer GET /models/{author}/{slug}/endpoints."""
        model = f"{request.path_params['author']}/{request.path_params['slug']}"
        return _json({"data": endpoints_of(model, self.model)})

    def key(self, request: Request) -> Response:
        """Answer GET /key."""
        self._check_key(request)
        used = dict.fromkeys(("usage", "usage_daily", "usage_weekly", "usage_monthly"), 0)
        return _json(
            {"data": {"label": "local", "limit": None, "limit_remaining": None, "is_free_tier": False, **used}}
        )

    # ------------------------------------------------------------------------------------------------------ control

    async def control_troubles(self, request: Request) -> Response:
        """Queue a rule, or drop all of them."""
        if request.method == "DELETE":
            self.troubles.clear()
            return _json({})
        try:
            self.troubles.add(json.loads(await request.body()))
        except ValueError as wrong:
            return _json({"error": str(wrong)}, 400)
        return _json({})

    async def control_requests(self, _request: Request) -> Response:
        """Return the log."""
        return _json(self.log.entries())

    async def control_stats(self, _request: Request) -> Response:
        """Return the totals."""
        return _json({**self.log.stats(), "model": self.model.name, "real_model": self.model.real})

    async def control_reset(self, _request: Request) -> Response:
        """Drop trouble, log and kept answers."""
        self.troubles.clear()
        self.answers.clear()
        self.log.clear()
        return _json({})


class Ending(Response):
    """Another response, and what to do when it is over, whether it reached the client or not."""

    def __init__(self, inner: Response, over: Callable[[], None]) -> None:
        super().__init__(status_code=inner.status_code)
        self._inner, self._over = inner, over

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the other response."""

        async def watching(message: Any) -> None:
            # Before the last byte leaves: a client that has its answer finds the request over.
            if message["type"] == "http.response.body" and not message.get("more_body"):
                self._over()
            await send(message)

        try:
            await self._inner(scope, receive, watching)
        finally:
            self._over()


def _check_model(model: str) -> None:
    name = wire_model_id(model)
    if name == "nobody/no-such-model" or name.startswith("missing/"):
        raise Refused(400, availability(400, f"{name} is not a valid model ID", code="model_not_found", model=name))


def _delivery(rule: Rule | None, content: bytes) -> Response:
    if rule is not None and rule.kind == "cut":
        return CutResponse(content, media_type="application/json")
    if rule is not None and rule.kind == "reset":
        return ResetResponse()
    if rule is not None and rule.kind == "drip":
        return DripResponse(content, seconds=float(rule.options["seconds"]), media_type="application/json")
    return Response(content, media_type="application/json")


def _json(value: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(value), status_code=status, media_type="application/json")
