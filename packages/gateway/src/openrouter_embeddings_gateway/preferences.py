"""The `provider` object, checked by OpenRouter's schema: no unknown key, no wrong type."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .errors import Refused, availability, invalid

PROVIDERS = ("local", "nearby")
"""Who serves every model here. Any other name that a request insists on is played too."""
_SORTS = ("price", "throughput", "latency", "exacto")
_PERCENTILES = {"p50", "p75", "p90", "p99"}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _slugs(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


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
    return all(_is_number(one) or (isinstance(one, str) and _reads_as_number(one)) for one in value.values())


def _reads_as_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _cutoff(value: Any) -> bool:
    if isinstance(value, Mapping):
        return set(value) <= _PERCENTILES and all(one is None or _is_number(one) for one in value.values())
    return _is_number(value)


def _options(value: Any) -> bool:
    return isinstance(value, Mapping) and all(isinstance(one, Mapping) for one in value.values())


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


def serving_provider(preferences: Mapping[str, Any] | None) -> str:
    """Return the provider that checked preferences lead to, or refuse where they leave none."""
    wanted = preferences or {}
    only, ignored = wanted.get("only"), wanted.get("ignore") or ()
    names = [*(name for name in wanted.get("order") or () if not only or name in only), *(only or PROVIDERS)]
    left: str | None = next((name for name in names if name not in ignored), None)
    if left is None:
        raise Refused(404, availability(404, "All providers have been ignored."))
    return left
