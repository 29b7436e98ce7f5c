"""The gateway's application: OpenRouter's embedding endpoints, and a control endpoint beside them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from .control import control_routes
from .embeddings import EmbeddingsEndpoint
from .errors import Refused
from .keys import check_key
from .listing import all_models, endpoints_of, listing_page
from .model import Model, load_model
from .responses import json_response, note_transport, refusal
from .settings import Settings
from .state import State


class Gateway:
    """An ASGI application with its state."""

    def __init__(
        self, settings: Settings | None = None, *, api_key: str | None = None, model: Model | None = None
    ) -> None:
        self.model = model or load_model()
        self._state = State(settings or Settings(), self.model, api_key)
        base = "/api/v1"
        self._app = Starlette(
            routes=[
                Route(f"{base}/embeddings", EmbeddingsEndpoint(self._state).respond, methods=["POST"]),
                Route(f"{base}/embeddings/models", self._logged(self._embedding_models)),
                Route(f"{base}/models", self._logged(self._models)),
                Route(f"{base}/models/{{author}}/{{slug}}/endpoints", self._logged(self._endpoints)),
                Route(f"{base}/key", self._logged(self._key)),
                *control_routes(self._state),
            ]
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http":
            note_transport(scope, send)
        await self._app(scope, receive, send)

    def _logged(self, answer: Callable[[Request], Any]) -> Callable[[Request], Awaitable[Response]]:
        """Return an endpoint that writes down its requests and answers refusals."""

        async def endpoint(request: Request) -> Response:
            entry = self._state.log.begin(request, b"")
            try:
                try:
                    response = json_response(answer(request))
                except Refused as refused:
                    response = refusal(refused)
                entry.status = response.status_code
            finally:
                entry.end()
            return response

        return endpoint

    def _embedding_models(self, request: Request) -> Any:
        return listing_page(request.query_params, self._state.catalog, self.model, str(request.url.path))

    def _models(self, _request: Request) -> Any:
        return all_models(self._state.catalog, self.model)

    def _endpoints(self, request: Request) -> Any:
        model = f"{request.path_params['author']}/{request.path_params['slug']}"
        return {"data": endpoints_of(model, self._state.catalog, self.model)}

    def _key(self, request: Request) -> Any:
        check_key(request, self._state.api_key)
        used = dict.fromkeys(("usage", "usage_daily", "usage_weekly", "usage_monthly"), 0)
        return {"data": {"label": "local", "limit": None, "limit_remaining": None, "is_free_tier": False, **used}}
