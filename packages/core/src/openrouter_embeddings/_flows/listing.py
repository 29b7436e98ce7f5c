"""Listings of models and of a model's providers: page after page, tried again where that costs nothing."""

from __future__ import annotations

from urllib.parse import quote

from openrouter_embeddings._limits import back_off
from openrouter_embeddings._protocol import (
    Diagnosis,
    Endpoint,
    Remedy,
    Response,
    TransportFailure,
    diagnose_answer,
    diagnose_error,
    diagnose_failure,
    parse_models,
    read_endpoints,
    read_error,
)
from openrouter_embeddings.errors import ConfigurationError, ModelNotFoundError, ResponseError
from openrouter_embeddings.gateways import Gateway, ModelInfo
from openrouter_embeddings.profiles import wire_model_id

from .effects import Flow, fetch, sleep

_ATTEMPTS = 3


def list_models(gateway: Gateway, *, timeout: float) -> Flow[list[ModelInfo]]:
    """Return every embedding model that the gateway lists, page after page."""
    models: list[ModelInfo] = []
    url: str | None = gateway.models_url
    seen = set[str]()
    while url is not None and url not in seen:
        seen.add(url)
        what = f"the models of {gateway.name}"
        body = yield from _page(gateway, url, what=what, keyed=gateway.models_take_key, timeout=timeout)
        listed, url = parse_models(gateway, body)
        models.extend(listed)
    return models


def list_endpoints(gateway: Gateway, model: str, *, timeout: float) -> Flow[list[Endpoint]]:
    """Return the model's endpoints as the gateway lists them, each tag once.

    Raises:
        ConfigurationError: The gateway does not list them.
        ModelNotFoundError: It lists none.
    """
    if gateway.listing != "openrouter":
        raise ConfigurationError(
            f"{gateway.name} does not list the providers of a model, so they cannot be compared. "
            "check_consistency needs OpenRouter, or a gateway with its listing."
        )
    url = f"{gateway.base_url}/models/{quote(wire_model_id(model), safe='/:@')}/endpoints"
    what = f"the providers of model {model!r} at {gateway.name}"
    body = yield from _page(gateway, url, what=what, keyed=True, timeout=timeout)
    endpoints = read_endpoints(body)
    if endpoints is None:
        raise ResponseError(
            f"The answer was no list of providers of model {model!r} at {gateway.name}. Check base_url.", model=model
        )
    if not endpoints:
        raise ModelNotFoundError(f"{gateway.name} lists no provider of model {model!r}.", model=model)
    return endpoints


def _page(gateway: Gateway, url: str, *, what: str, keyed: bool, timeout: float) -> Flow[bytes]:
    """Return one page of a listing. `what` is for messages."""
    for attempt in range(_ATTEMPTS):
        answer = yield from fetch(url, keyed=keyed, timeout=timeout)
        if isinstance(answer, Response) and answer.status == 200 and read_error(answer) is None:
            return bytes(answer.body)
        found = _diagnosis(answer, gateway, timeout=timeout)
        last = attempt == _ATTEMPTS - 1
        if last or found.remedy not in {Remedy.WAIT, Remedy.RETRY, Remedy.REPLAY}:
            break
        pause = max(back_off(attempt, 1.0), found.retry_after or 0.0)
        if pause > timeout:
            break
        yield from sleep(pause)
    body = found.error_body
    status = f" ({body.status})" if body else ""
    raise found.kind(
        f"{found.summary}{status} while listing {what}. {found.advice}",
        status=body.status if body else None,
        code=body.code if body else None,
        retry_after=found.retry_after,
    )


def _diagnosis(answer: Response | TransportFailure, gateway: Gateway, *, timeout: float) -> Diagnosis:
    if isinstance(answer, TransportFailure):
        return diagnose_failure(answer, seconds=timeout)
    body = read_error(answer)
    if body is None:
        return diagnose_answer(f"the answer had status {answer.status}")
    hints = gateway.error_hints
    return diagnose_error(body, answer.headers, now=answer.at, count=1, base64=False, hints=hints)
