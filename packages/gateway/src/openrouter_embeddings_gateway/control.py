"""The control endpoint: what tests script and read while the gateway runs."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from .responses import json_response
from .state import State


def control_routes(state: State) -> list[Route]:
    """Return the routes under `/_control`."""

    def answering(what: Callable[[], Any]) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(_request: Request) -> Response:
            return json_response(what())

        return endpoint

    def taken(
        take: Callable[[Any], None], answer: Callable[[], Any] = dict
    ) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            try:
                take(json.loads(await request.body() or b"{}"))
            except (TypeError, ValueError) as wrong:
                return json_response({"error": str(wrong)}, 400)
            return json_response(answer())

        return endpoint

    def stats() -> dict[str, Any]:
        return {**state.log.stats(), "model": state.model.name, "real_model": state.model.real}

    def usage() -> dict[str, Any]:
        return state.log.usage.to_json()

    def settings() -> dict[str, Any]:
        return state.settings.to_json()

    return [
        Route("/_control/troubles", taken(state.troubles.add), methods=["POST"]),
        Route("/_control/troubles", taken(lambda _: state.troubles.clear()), methods=["DELETE"]),
        Route("/_control/settings", answering(settings), methods=["GET"]),
        Route("/_control/settings", taken(state.configure, settings), methods=["POST"]),
        Route("/_control/requests", answering(state.log.entries)),
        Route("/_control/stats", answering(stats)),
        Route("/_control/usage", answering(usage)),
        Route("/_control/reset", taken(lambda _: state.reset()), methods=["POST"]),
    ]
