"""What to embed and how, as a small value that travels to every worker."""

from __future__ import annotations

import hashlib
import os
import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal
from urllib.parse import urlsplit

from openrouter_embeddings import Client, ConfigurationError, profile_for

from .limit import Limit

_PICKLED_MAX = 4096
_SECRET_HEADERS = {"authorization", "proxy-authorization", "cookie", "x-api-key", "api-key"}
_ELSEWHERE: Mapping[str, str] = {
    "max_concurrency": "Pass limit=Limit(concurrency=...), which all workers share.",
    "before_request": "Pass limit=Limit(per_second=..., tokens_per_minute=...), which all workers share.",
    "limiter": "Pass limit=Limit(per_second=..., tokens_per_minute=...), which all workers share.",
    "http_client": "Connections do not travel to workers. Leave it out.",
    "async_http_client": "Connections do not travel to workers. Leave it out.",
    "coalesce_queries": "A job embeds documents. Leave it out.",
}
_NAMED = (
    "Pass api_key_env='NAME' for the variable that holds it on each worker, or a function of a module that fetches it."
    " allow_literal_key=True lets it travel with the job."
)


@dataclass(frozen=True, slots=True)
class KeyFromEnvironment:
    """Gives the key that a variable of this process holds. Its pickle carries the name alone."""

    name: str

    def __call__(self) -> str:
        """Return the key as it is now."""
        key = os.environ.get(self.name, "").strip()
        if not key:
            raise ConfigurationError(f"No API key: the variable {self.name} is not set on this worker.")
        return key


@dataclass(frozen=True, init=False, repr=False)
class JobSpec:
    """What to embed and how. Frozen, and small: its pickle has at most 4 kB and holds no key.

    Args:
        model: The gateway's model id.
        column: The column of texts.
        out: The column of embeddings; `<out>_error` says why a row has none.
        on_error: `"null"`: a row that cannot be embedded has no embedding and a reason. `"raise"`: it ends the job.
        limit: What all workers may do together.
        cache: A path to a SQLite file, a `redis://` address, or `"$NAME"`: the variable that holds one on each worker.
        max_cost: USD that all workers may spend together.
        api_key_env: The variable that holds the key on each worker. None: the gateway's own.
        allow_literal_key: Whether the job may carry a key, as `api_key=` or in `extra_headers`, in its pickle.
        **client_options: Everything else that `Client` takes.

    Raises:
        ConfigurationError: An option cannot be right, holds a key, or does not travel.
    """

    model: str
    column: str
    out: str
    on_error: Literal["raise", "null"]
    limit: Limit
    cache: str | None
    max_cost: float | None
    api_key_env: str | None
    options: Mapping[str, Any]
    """Those of the client that differ from their defaults; keys are held so that nothing prints them."""

    def __init__(
        self,
        model: str,
        *,
        column: str = "text",
        out: str = "embedding",
        on_error: Literal["raise", "null"] = "null",
        limit: Limit | None = None,
        cache: str | os.PathLike[str] | None = None,
        max_cost: float | None = None,
        api_key_env: str | None = None,
        allow_literal_key: bool = False,
        **client_options: Any,
    ) -> None:
        limit = Limit() if limit is None else limit
        _check(column=column, out=out, on_error=on_error, limit=limit, api_key_env=api_key_env)
        for name in client_options:
            if name in _ELSEWHERE:
                raise ConfigurationError(f"A job takes no {name}=. {_ELSEWHERE[name]}")
        if api_key_env is not None:
            if client_options.get("api_key") is not None:
                raise ConfigurationError("api_key and api_key_env are both given. Keep api_key_env.")
            client_options["api_key"] = KeyFromEnvironment(api_key_env)
        cache = None if cache is None else os.fspath(cache)
        if not allow_literal_key:
            _refuse_keys(client_options, cache, limit)
        checked = Client(model, max_cost=max_cost, **client_options).options
        options = {name: value for name, value in checked.given().items() if name not in {"model", "max_cost"}}
        values = {
            "model": checked.model, "column": column, "out": out, "on_error": on_error, "limit": limit, "cache": cache,
            "max_cost": checked.max_cost, "api_key_env": api_key_env, "options": options,
        }  # fmt: skip
        _fill(self, values, _pickled(values))

    @property
    def error_column(self) -> str:
        """The column that says why a row has no embedding."""
        return f"{self.out}_error"

    @property
    def dimensions(self) -> int | None:
        """The width of the embeddings: as asked for, else by the model's profile, else None."""
        named: str = self.options.get("profile") or self.model
        return self.options.get("dimensions") or profile_for(named).native_dimensions

    @property
    def address(self) -> str:
        """The base URL of the gateway."""
        return Client(self.model, **self.options).gateway.base_url

    @property
    def digest(self) -> str:
        """A hash of the whole job, by which a worker knows it again. It does not show a key that the job may hold."""
        return hashlib.sha256(self._bytes).hexdigest()

    def __reduce__(self) -> tuple[Callable[[type[JobSpec], bytes], JobSpec], tuple[type[JobSpec], bytes]]:
        """Travel as the same bytes always, so that every worker knows the job again."""
        return (_unpickled, (type(self), self._bytes))

    @property
    def _bytes(self) -> bytes:
        pickled: bytes = self.__dict__["_pickled"]
        return pickled

    def __hash__(self) -> int:
        return hash((self.model, self.column, self.out))

    def __repr__(self) -> str:
        return f"{type(self).__name__}(model={self.model!r}, column={self.column!r}, out={self.out!r}, limit={self.limit!r})"


def _fill(job: JobSpec, values: Mapping[str, Any], pickled: bytes) -> None:
    job.__dict__.update({**values, "options": MappingProxyType(values["options"]), "_pickled": pickled})


def _unpickled(kind: type[JobSpec], pickled: bytes) -> JobSpec:
    job = kind.__new__(kind)
    _fill(job, pickle.loads(pickled), pickled)  # noqa: S301  a pickle within a pickle
    return job


def _pickled(values: Mapping[str, Any]) -> bytes:
    for name, value in values["options"].items():
        try:
            pickle.dumps(value)
        except Exception:  # noqa: BLE001  what a pickle raises is anybody's, and may show the value
            raise ConfigurationError(
                f"{name} does not travel to workers. Give a plain value, or a function of a module in place of a lambda."
            ) from None
    pickled = pickle.dumps(values)
    if len(pickled) > _PICKLED_MAX:
        raise ConfigurationError(
            f"The job has {len(pickled):,} bytes as a pickle; every task carries it, so {_PICKLED_MAX:,} are the most."
            " Shorten extra_body, trace or the headers."
        )
    return pickled


def _check(*, column: object, out: object, on_error: object, limit: object, api_key_env: object) -> None:
    for name, value in (("column", column), ("out", out), ("api_key_env", api_key_env)):
        optional = name == "api_key_env" and value is None
        if not optional and not (isinstance(value, str) and value):
            raise ConfigurationError(f"{name} takes a name, not {type(value).__name__ if value != '' else 'nothing'}.")
    if column == out:
        raise ConfigurationError(f"column and out are both {column!r}. Choose another out.")
    if on_error not in {"raise", "null"}:
        raise ConfigurationError(f"on_error takes 'raise' or 'null', not {on_error!r}.")
    if not isinstance(limit, Limit):
        raise ConfigurationError(f"limit takes a Limit, not {type(limit).__name__}.")


def _refuse_keys(options: Mapping[str, Any], cache: str | None, limit: Limit) -> None:
    key = options.get("api_key")
    if key is not None and (not callable(key) or hasattr(key, "get_secret_value")):
        raise ConfigurationError(f"The job would carry the key in every pickle. {_NAMED}")
    for name, value in (options.get("extra_headers") or {}).items():
        if not callable(value) and (str(name).lower() in _SECRET_HEADERS or hasattr(value, "get_secret_value")):
            raise ConfigurationError(
                f"The job would carry the header {name!r} in every pickle. Give a function of a module that fetches it,"
                " or allow_literal_key=True."
            )
    for what, address in (("cache", cache), ("at", limit.at)):
        if address is not None and "://" in address and urlsplit(address).password:
            raise ConfigurationError(
                f"The job would carry the password of {what}= in every pickle. Pass {what}='$NAME' for the variable that holds"
                " the address on each worker, or allow_literal_key=True."
            )
