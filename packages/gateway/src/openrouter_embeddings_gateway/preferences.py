"""The `provider` object, checked by OpenRouter's schema: no unknown key, no wrong type."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from typing import Any

from .errors import Refused, availability, invalid
from .providers import LOCAL, is_provider

_SORTS = ("price", "throughput", "latency", "exacto")
_PERCENTILES = {"p50", "p75", "p90", "p99"}
_QUANTIZATIONS = frozenset(
    ("int4", "int8", "fp4", "mxfp4", "nvfp4", "fp6", "fp8", "mxfp8", "fp16", "bf16", "fp32", "unknown")
)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _slugs(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(slug, str) for slug in value)


def _bool(value: Any) -> bool:
    return isinstance(value, bool)


def _sort(value: Any) -> bool:
    if isinstance(value, Mapping):
        return (
            set(value) <= {"by", "partition"}
            and value.get("by") in (*_SORTS, None)
            and value.get("partition") in {"model", "none", None}
        )
    return value in _SORTS


def _price(value: Any) -> bool:
    if not isinstance(value, Mapping) or not set(value) <= {"prompt", "completion", "image", "audio", "request"}:
        return False
    return all(_is_number(price) or (isinstance(price, str) and _reads_as_number(price)) for price in value.values())


def _reads_as_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _cutoff(value: Any) -> bool:
    if isinstance(value, Mapping):
        return set(value) <= _PERCENTILES and all(number is None or _is_number(number) for number in value.values())
    return _is_number(value)


def _options(value: Any) -> bool:
    return isinstance(value, Mapping) and all(isinstance(options, Mapping) for options in value.values())


_FIELDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "order": (_slugs, "a list of provider slugs"),
    "only": (_slugs, "a list of provider slugs"),
    "ignore": (_slugs, "a list of provider slugs"),
    "quantizations": (_slugs, "a list of strings"),
    "allow_fallbacks": (_bool, "a boolean"),
    "require_parameters": (_bool, "a boolean"),
    "zdr": (_bool, "a boolean"),
    "enforce_distillable_text": (_bool, "a boolean"),
    "data_collection": (lambda value: value in {"allow", "deny"}, "'allow' or 'deny'"),
    "sort": (_sort, f"one of {', '.join(_SORTS)}, or an object of by and partition"),
    "max_price": (_price, "an object of prices"),
    "preferred_min_throughput": (_cutoff, "a number or an object of percentiles"),
    "preferred_max_latency": (_cutoff, "a number or an object of percentiles"),
    "options": (_options, "an object of objects, keyed by provider slug"),
}
_NEVER_NULL = {"max_price", "options"}


def check_preferences(provider: Any) -> None:
    """Refuse a `provider` the schema does not allow. It may be null, and so may most of its fields."""
    if provider is None:
        return
    if not isinstance(provider, Mapping):
        raise invalid(f"provider: expected an object, received {type(provider).__name__}")
    for name, value in provider.items():
        if name not in _FIELDS:
            raise invalid(f"provider: unrecognized key '{name}'")
        fits, expected = _FIELDS[name]
        if value is None and name not in _NEVER_NULL:
            continue
        try:
            right = fits(value)
        except TypeError:  # an unhashable value where a word was expected
            right = False
        if not right:
            raise invalid(f"provider.{name}: expected {expected}")


def serving_provider(preferences: Mapping[str, Any]) -> str:
    """Return the provider that checked preferences lead to, or refuse where they leave none."""
    only, ignored = preferences.get("only"), preferences.get("ignore") or ()
    ordered = [slug for slug in preferences.get("order") or () if not only or _is_among(slug, only)]
    for slug in (*ordered, *(only or LOCAL)):
        if not _is_among(slug, ignored):
            return str(slug)
    raise Refused(404, availability(404, "All providers have been ignored."))


def _is_among(slug: str, named: Collection[str]) -> bool:
    """Return whether a slug is named, or the provider of the endpoint that it names."""
    return slug in named or slug.partition("/")[0] in named


def check_routing(preferences: Mapping[str, Any], price: float) -> None:
    """Refuse preferences that leave no provider: a slug that none has, a quantization that is none, too low a price.

    OpenRouter refuses a slug in `only` so, and passes over a wrong word elsewhere; here a misspelt one never passes.

    Args:
        preferences: The `provider` object, checked.
        price: Of the model, USD per million tokens.
    """
    for field in ("only", "order", "ignore", "options"):
        for slug in preferences.get(field) or ():
            if not is_provider(slug):
                raise _no_provider(field, f"no provider is called {slug!r}", "allowed_providers")
    for quantization in preferences.get("quantizations") or ():
        if quantization not in _QUANTIZATIONS:
            raise _no_provider("quantizations", f"no quantization is called {quantization!r}", "quantization")
    ceiling = (preferences.get("max_price") or {}).get("prompt")
    if ceiling is not None and float(ceiling) < price:
        raise _no_provider("max_price", f"the price is {price:g} USD per million tokens", "max_price")


def _no_provider(field: str, detail: str, excluded_by: str) -> Refused:
    message = f"No allowed providers are available for the selected model: provider.{field}: {detail}"
    body = availability(404, message, code="constraint_filtered")
    body["error"]["availability"] |= {
        "excluded_by": [excluded_by],
        "constraint": {"field": f"provider.{field}", "detail": detail},
    }
    return Refused(404, body)
