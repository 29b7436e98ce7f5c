"""`http_client_kwargs`: what httpx takes of them, what a file can hold, and the clients that are made of them."""

from __future__ import annotations

import difflib
import ssl
from collections.abc import Mapping
from inspect import signature
from pathlib import Path
from typing import Any

from haystack.utils.http_client import init_http_client

from openrouter_embeddings import ConfigurationError

_OF_EMBEDDER = {
    "timeout": "timeout= of the embedder bounds a whole exchange",
    "base_url": "api_base_url= of the embedder is the address",
    "follow_redirects": "no text and no key is sent on to where an answer points",
    "max_redirects": "no text and no key is sent on to where an answer points",
}
"""What the core decides for each request, so that it would be dropped in silence here."""


def check_kwargs(kwargs: object) -> None:
    """Raise `ConfigurationError` for what httpx does not take, or would take to no effect. No value is shown."""
    if kwargs is not None and not isinstance(kwargs, Mapping):
        kind = type(kwargs).__name__
        raise ConfigurationError(f"http_client_kwargs takes a dict of httpx.Client's keyword arguments, not {kind}.")
    for name in kwargs or ():
        if name in _OF_EMBEDDER:
            raise ConfigurationError(f"http_client_kwargs[{name!r}] is not taken: {_OF_EMBEDDER[name]}.")
    if not kwargs or _refusal(kwargs) is None:
        return
    known = signature(type(_made({"trust_env": True}))).parameters
    for name, value in kwargs.items():
        if name not in known:
            near = difflib.get_close_matches(str(name), known, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise ConfigurationError(f"http_client_kwargs[{name!r}] is no keyword argument of httpx.Client.{hint}")
        alone = _refusal({name: value})
        if alone is not None:
            # What else httpx says may show a password; of a package that is missing it tells how to install it.
            why = f": {alone}" if isinstance(alone, ImportError) else f" ({type(alone).__name__})."
            raise ConfigurationError(f"http_client_kwargs[{name!r}] is refused by httpx{why}")
    raise ConfigurationError("http_client_kwargs holds keyword arguments that httpx does not take together.")


def check_saved(value: object, place: str = "http_client_kwargs") -> None:
    """Raise `ConfigurationError` for what YAML cannot hold."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            check_saved(inner, f"{place}[{name!r}]")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            check_saved(inner, f"{place}[{index}]")
    elif not isinstance(value, str | int | float | None):
        raise ConfigurationError(
            f"{place} cannot be saved, being {type(value).__name__}. Give it in text, numbers, lists and dicts, such as"
            " {'verify': 'ca.pem', 'limits': {'max_connections': 10}}."
        )


def _refusal(kwargs: Mapping[str, Any]) -> Exception | None:
    """Return what httpx says against keyword arguments, or None. Nothing is opened."""
    try:
        _made({"verify": False, **kwargs})  # the authorities of a client that checks none need not be loaded
    except Exception as error:  # noqa: BLE001  it checks little itself: what comes is of whatever it calls
        return error
    return None


def _made(kwargs: Mapping[str, Any], *, is_async: bool = False) -> Any:
    """Return a client of httpx. It tells pairs, which YAML makes lists of, from lists, and will not take paths for ever."""
    given = {**kwargs, **{name: tuple(kwargs[name]) for name in ("auth", "cert") if isinstance(kwargs.get(name), list)}}
    if isinstance(given.get("verify"), str):
        given["verify"] = _trusting(given["verify"], given.pop("cert", None))
    return init_http_client(given, async_client=True) if is_async else init_http_client(given, async_client=False)


def _trusting(place: str, cert: str | tuple[str, ...] | None) -> ssl.SSLContext:
    """Return a context that trusts the authorities of a file or a folder, and shows a certificate of ours where there is one."""
    is_folder = Path(place).is_dir()
    context = ssl.create_default_context(cafile=None if is_folder else place, capath=place if is_folder else None)
    if cert:
        context.load_cert_chain(*((cert,) if isinstance(cert, str) else cert))
    return context


def made(kwargs: Mapping[str, Any], *, is_async: bool) -> Any:
    """Return a client of httpx, unless a transport of the user's is of the other colour: httpx itself would not say so."""
    needed = "handle_async_request" if is_async else "handle_request"
    for transport in (kwargs.get("transport"), *(kwargs.get("mounts") or {}).values()):
        if transport is not None and not hasattr(transport, needed):
            here, there = ("run_async", "run") if is_async else ("run", "run_async")
            raise ConfigurationError(
                f"http_client_kwargs has a {type(transport).__name__}, which serves {there} and not {here}."
            )
    return _made(kwargs, is_async=is_async)
