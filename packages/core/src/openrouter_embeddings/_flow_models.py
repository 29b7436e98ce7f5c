"""The story of a listing: page after page, tried again where that costs nothing. Pure."""

from __future__ import annotations

from ._effects import Failure, Flow, Reply, fetch, sleep
from ._limits import back_off
from ._retry import Remedy, Trouble, trouble_with_answer, trouble_with_error, trouble_with_failure
from ._wire import read_error
from .gateways import Gateway, ModelInfo, parse_models

_LISTING_ATTEMPTS = 3


def list_models(gateway: Gateway, *, timeout: float) -> Flow[list[ModelInfo]]:
    """Return every embedding model that the gateway lists, page after page."""
    models: list[ModelInfo] = []
    url: str | None = gateway.models_url
    seen = set[str]()
    while url is not None and url not in seen:
        seen.add(url)
        what = f"the models of {gateway.name}"
        body = yield from page(gateway, url, what=what, keyed=gateway.models_take_key, timeout=timeout)
        listed, url = parse_models(gateway, body)
        models.extend(listed)
    return models


def page(gateway: Gateway, url: str, *, what: str, keyed: bool, timeout: float) -> Flow[bytes]:
    """Return one page of a listing, tried again where that may help: listing is free. `what` is for messages."""
    for attempt in range(_LISTING_ATTEMPTS):
        answer = yield from fetch(url, keyed=keyed)
        if isinstance(answer, Reply) and answer.status == 200 and read_error(answer) is None:
            return bytes(answer.body)
        trouble = _listing_trouble(answer, gateway, timeout=timeout)
        last = attempt == _LISTING_ATTEMPTS - 1
        if last or trouble.remedy not in {Remedy.WAIT, Remedy.RETRY, Remedy.REPLAY}:
            break
        pause = max(back_off(attempt, 1.0), trouble.retry_after or 0.0)
        if pause > timeout:
            break
        yield from sleep(pause)
    said = trouble.said
    raise trouble.kind(
        f"{trouble.what} while listing {what}. {trouble.hint}",
        status=said.status if said else None,
        code=said.code if said else None,
        retry_after=trouble.retry_after,
    )


def _listing_trouble(answer: Reply | Failure, gateway: Gateway, *, timeout: float) -> Trouble:
    if isinstance(answer, Failure):
        return trouble_with_failure(answer, timeout=timeout)
    said = read_error(answer)
    if said is None:
        return trouble_with_answer(f"the answer had status {answer.status}")
    hints = gateway.error_hints
    return trouble_with_error(said, answer.headers, now=answer.at, count=1, base64=False, hints=hints)
