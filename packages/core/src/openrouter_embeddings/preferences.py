"""Provider preferences: which providers may serve a request, with keys as on the wire.

A preference that cannot be sent is an error, never dropped: losing `data_collection: "deny"` or `zdr` on the
way would be a privacy breach. Fields and their meaning: OpenRouter's provider routing documentation and the
schema of its Python SDK 1.3.84, read 2026-11-20.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from difflib import get_close_matches
from typing import Any, Literal, NoReturn, TypeAlias, get_args

from typing_extensions import TypedDict

from ._json import json_copy, plain_text
from .errors import ConfigurationError

Quantization: TypeAlias = Literal[
    "int4", "int8", "fp4", "mxfp4", "nvfp4", "fp6", "fp8", "mxfp8", "fp16", "bf16", "fp32", "unknown"
]
SortBy: TypeAlias = Literal["price", "throughput", "latency", "exacto"]
DataCollection: TypeAlias = Literal["allow", "deny"]
Partition: TypeAlias = Literal["model", "none"]


class MaxPrice(TypedDict, total=False):
    """The most a provider may charge, in USD. A hard filter. Numbers go out as strings, as the schema has them."""

    prompt: float | str
    """USD per million prompt tokens: the price of an embedding."""
    completion: float | str
    """USD per million completion tokens; embeddings have none."""
    image: float | str
    """USD per image."""
    audio: float | str
    """USD per unit of audio."""
    request: float | str
    """USD per request."""


class SortSpec(TypedDict, total=False):
    """The long form of `sort`."""

    by: SortBy
    """What to sort by."""
    partition: Partition
    """`"model"` (the default) sorts within a model, `"none"` over all."""


class Percentiles(TypedDict, total=False):
    """A preference at percentiles of the last five minutes."""

    p50: float
    """For half of all requests."""
    p75: float
    """For three quarters of all requests."""
    p90: float
    """For nine of ten requests."""
    p99: float
    """For 99 of 100 requests."""


class ProviderPreferences(TypedDict, total=False):
    """Which providers may serve a request, and in which order. Sent verbatim as the field `provider`.

    A provider slug names all endpoints of a provider (`"google-vertex"`) or one (`"deepinfra/turbo"`).
    """

    order: list[str]
    """Provider slugs, tried in this order; switches load balancing off."""
    only: list[str]
    """The only provider slugs allowed, merged with the account's own list."""
    ignore: list[str]
    """Provider slugs never used, merged with the account's own list."""
    allow_fallbacks: bool
    """False: only the first choice may serve, and its error comes back. Gateway default: true."""
    require_parameters: bool
    """True: only providers that support every parameter sent; others ignore silently what they do not
    support. Default of OpenRouter: false; of Infron: true."""
    data_collection: DataCollection
    """`"deny"`: only providers that do not store or train on inputs. Gateway default: `"allow"`."""
    zdr: bool
    """True: only endpoints with zero data retention."""
    enforce_distillable_text: bool
    """True: only models whose output may be used for distillation."""
    quantizations: list[Quantization]
    """The only quantizations allowed. Naming one keeps the numbers of an index alike."""
    sort: SortBy | SortSpec
    """Sort providers by this; switches load balancing off."""
    max_price: MaxPrice
    """The most a provider may charge, USD per million tokens (image, audio, request: per unit)."""
    preferred_min_throughput: float | Percentiles
    """Tokens per second; slower providers come later, none is excluded."""
    preferred_max_latency: float | Percentiles
    """Seconds; slower providers come later, none is excluded."""
    options: dict[str, dict[str, Any]]
    """Options for one provider, by its slug. Only those of the provider that serves are forwarded."""


for _typed in (MaxPrice, SortSpec, Percentiles, ProviderPreferences):
    # In anyone's pydantic model an unknown key would otherwise vanish and "yes" become True, both in silence.
    setattr(_typed, "__pydantic_config__", {"extra": "forbid", "strict": True})  # noqa: B010 - typed as unknown


_KIND = "Provider preference"
_Check: TypeAlias = Callable[[str, object], object]
_NUMERAL = re.compile(r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?", re.ASCII)


def validate_preferences(value: Mapping[str, object] | None) -> dict[str, object] | None:
    """Return a deep copy of the preferences as they go over the wire, or None where there are none.

    Values stay as they are, but for two spellings: tuples become lists, and the prices of `max_price` become
    strings in decimal notation.

    Raises:
        ConfigurationError: A name is unknown, a value has the wrong type, is None, or is outside what is allowed.
    """
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise ConfigurationError(
            f"provider takes a mapping of provider preferences, such as {{'data_collection': 'deny'}}, not {_kind(value)}."
        )
    return _fields("", value, _PREFERENCES) or None


def _kind(value: object) -> str:
    return type(value).__name__


def _refuse(name: str, takes: str, value: object) -> NoReturn:
    """Say what a preference takes. A short string is shown, of anything else only the type."""
    got = repr(str(value)) if isinstance(value, str) and len(value) <= 40 else _kind(value)
    raise ConfigurationError(f"Provider preference {name!r} takes {takes}, not {got}.")


def _either(words: tuple[str, ...]) -> str:
    quoted = [repr(word) for word in words]
    return " or ".join([", ".join(quoted[:-1]), quoted[-1]])


def _fields(prefix: str, value: Mapping[Any, object], known: Mapping[str, _Check]) -> dict[str, object]:
    """Check a mapping against a table of its fields."""
    out: dict[str, object] = {}
    for key, item in value.items():
        if not isinstance(key, str):
            raise ConfigurationError(f"The name of a provider preference is a str, not {_kind(key)}.")
        name = prefix + str.__str__(key)
        check = known.get(key)
        if check is None:
            _unknown(prefix, key, known)
        if item is None:
            raise ConfigurationError(f"Provider preference {name!r} is None. Remove it: null is never sent.")
        out[str.__str__(key)] = check(name, item)
    return out


def _unknown(prefix: str, key: str, known: Mapping[str, _Check]) -> NoReturn:
    near = get_close_matches(key[:60].strip().lower(), known, n=1, cutoff=0.6)
    hint = f" Did you mean {prefix + near[0]!r}?" if near else ""
    shown = key if len(key) <= 60 else key[:57] + "..."
    raise ConfigurationError(
        f"Provider preference {prefix + shown!r} is unknown.{hint} Put fields newer than this release under extra_body."
    )


def _flag(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        _refuse(name, "True or False", value)
    return value


def _slugs(name: str, value: object) -> list[str]:
    takes = "a list of provider slugs, such as ['deepinfra']"
    if not isinstance(value, (list, tuple)):
        _refuse(name, takes, value)
    for position, item in enumerate(value):
        if not isinstance(item, str) or not item.strip():
            got = "an empty str" if isinstance(item, str) else _kind(item)
            raise ConfigurationError(f"Provider preference {name!r} takes {takes}; item {position} is {got}.")
    return [plain_text(_KIND, name, item) for item in value]


def _one_of(words: tuple[str, ...], alternative: str = "") -> _Check:
    def check(name: str, value: object) -> str:
        if not isinstance(value, str) or value not in words:
            _refuse(name, _either(words) + alternative, value)
        return str.__str__(value)

    return check


def _quantizations(name: str, value: object) -> list[str]:
    words: tuple[str, ...] = get_args(Quantization)
    if not isinstance(value, (list, tuple)):
        _refuse(name, "a list of quantizations, such as ['fp16', 'bf16']", value)
    for position, item in enumerate(value):
        if not isinstance(item, str) or item not in words:
            got = repr(str(item)) if isinstance(item, str) and len(item) <= 40 else _kind(item)
            raise ConfigurationError(
                f"Provider preference {name!r} takes a list of {_either(words)}; item {position} is {got}. "
                "Put values newer than this release under extra_body."
            )
    return [str.__str__(item) for item in value]


def _number(unit: str, alternative: str = "") -> _Check:
    def check(name: str, value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            _refuse(name, f"a number of {unit}{alternative}", value)
        if not 0 <= value < 10**15:
            raise ConfigurationError(f"Provider preference {name!r} takes a finite number of {unit}, 0 or more.")
        return float(value) if isinstance(value, float) else int(value)

    return check


def _number_or_percentiles(unit: str) -> _Check:
    number = _number(unit, ", or a mapping of p50, p75, p90 and p99 to such numbers")
    return _mapping_or(number, dict.fromkeys(("p50", "p75", "p90", "p99"), _number(unit)))


def _price(name: str, value: object) -> str:
    """Return a price as the schema has it: a string, never in exponent notation."""
    takes = "a finite number of USD, 0 or more, such as 0.1 or '0.1'"
    if isinstance(value, str):
        if not _NUMERAL.fullmatch(value):
            _refuse(name, takes, value)
        amount = Decimal(str.__str__(value))
    elif isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        _refuse(name, takes, value)
    elif (isinstance(value, Decimal) and value.is_nan()) or not 0 <= value < 10**15:
        raise ConfigurationError(f"Provider preference {name!r} takes {takes}.")
    else:
        # float's repr is the shortest decimal that means the same number: 0.1 stays 0.1.
        amount = Decimal(repr(float(value))) if isinstance(value, float) else Decimal(value)
    if amount >= 10**15 or int(amount.as_tuple().exponent) < -40:
        raise ConfigurationError(f"Provider preference {name!r} takes {takes}.")
    if isinstance(value, str) and "e" not in value.lower():
        return str.__str__(value)
    return format(amount, "f")


def _mapping_or(otherwise: _Check, table: Mapping[str, _Check]) -> _Check:
    """Check a mapping by a table of its fields, and anything else otherwise."""

    def check(name: str, value: object) -> object:
        return _fields(f"{name}.", value, table) if isinstance(value, Mapping) else otherwise(name, value)

    return check


def _no_price(name: str, value: object) -> NoReturn:
    _refuse(name, "a mapping such as {'prompt': 0.1}, in USD per million tokens", value)


def _options(name: str, value: object) -> dict[str, object]:
    takes = "a mapping of provider slugs to mappings of options"
    if not isinstance(value, Mapping):
        _refuse(name, takes, value)
    for key, item in value.items():
        if isinstance(key, str) and not isinstance(item, Mapping):
            _refuse(f"{name}.{key}", "a mapping of options", item)
    copy: dict[str, object] = json_copy(_KIND, name, value)
    return copy


_PREFERENCES: dict[str, _Check] = {
    "order": _slugs,
    "only": _slugs,
    "ignore": _slugs,
    "allow_fallbacks": _flag,
    "require_parameters": _flag,
    "data_collection": _one_of(get_args(DataCollection)),
    "zdr": _flag,
    "enforce_distillable_text": _flag,
    "quantizations": _quantizations,
    "sort": _mapping_or(
        _one_of(get_args(SortBy), ", or {'by': ..., 'partition': ...}"),
        {"by": _one_of(get_args(SortBy)), "partition": _one_of(get_args(Partition))},
    ),
    "max_price": _mapping_or(_no_price, dict.fromkeys(("prompt", "completion", "image", "audio", "request"), _price)),
    "preferred_min_throughput": _number_or_percentiles("tokens per second"),
    "preferred_max_latency": _number_or_percentiles("seconds"),
    "options": _options,
}
