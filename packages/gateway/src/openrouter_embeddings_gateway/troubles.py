"""Scripted trouble: which of the next embedding requests meets what.

Rules stand in a queue. A request meets the first rule whose conditions it fits; a rule first lets `after`
such requests pass, then strikes `times` times (None: for ever), then is gone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .errors import Refused, availability, classic, infron, invalid
from .schema import EmbeddingRequest, Item

KINDS: dict[str, frozenset[str]] = {
    "status": frozenset(
        {"status", "retry_after", "headers", "body", "style", "message", "error_type", "provider", "code"}
    ),
    "slow": frozenset({"seconds"}),
    "drip": frozenset({"seconds"}),
    "cut": frozenset(),
    "reset": frozenset({"worked"}),
    "error_in_200": frozenset({"code", "message"}),
    "html": frozenset({"status"}),
    "not_json": frozenset(),
    "empty_body": frozenset({"status"}),
    "redirect": frozenset({"location", "status"}),
    "refuse_base64": frozenset({"status"}),
    "refuse_batch": frozenset({"limit", "status"}),
    "refuse_text": frozenset({"contains", "status"}),
    "ignore_dimensions": frozenset(),
    "quantised": frozenset({"provider"}),
    **dict.fromkeys(
        ("empty_data", "empty_base64", "shuffled", "reversed", "missing", "extra", "doubled_index", "no_index"),
        frozenset[str](),
    ),
    **dict.fromkeys(("some_index", "wrong_width", "no_usage", "bom", "answer_floats"), frozenset[str]()),
    **dict.fromkeys(
        ("null_embedding", "null_number", "nan", "inf", "zero", "ragged", "odd_width", "strings", "bad_base64"),
        frozenset({"position"}),
    ),
}
"""Every kind of trouble, and the options it takes."""
HARMLESS = frozenset(
    {"shuffled", "reversed", "no_index", "no_usage", "bom", "answer_floats", "slow", "drip", "quantised"}
)
"""Kinds of trouble after which every embedding of the answer is still there and right."""
_UNDELIVERED = frozenset({"cut", "reset"})
"""Kinds that break the connection after the work was done, where the model was asked at all."""
_NEEDED = {"status": "status", "slow": "seconds", "drip": "seconds", "refuse_batch": "limit", "refuse_text": "contains"}


@dataclass(slots=True)
class Rule:
    """One kind of trouble and when it strikes."""

    kind: str
    times: int | None = 1
    after: int = 0
    only_if_contains: str | None = None
    options: dict[str, Any] = field(default_factory=dict)

    def concerns(self, request: EmbeddingRequest) -> bool:
        """Return whether a request is of the sort this trouble waits for."""
        if self.only_if_contains is not None and not _contains(request.items, self.only_if_contains):
            return False
        if self.kind in {"refuse_base64", "empty_base64"}:
            return request.base64
        if self.kind == "refuse_batch":
            return len(request.items) > int(self.options["limit"])
        if self.kind == "refuse_text":
            return _contains(request.items, str(self.options["contains"]))
        if self.kind == "quantised":
            return self.options.get("provider") in {None, request.provider}
        return True

    def spares(self, request: EmbeddingRequest) -> bool:
        """Return whether the answer to a request is right all the same."""
        return self.kind in HARMLESS or (self.kind == "ignore_dimensions" and request.dimensions is None)

    @property
    def loses_the_answer(self) -> bool:
        """Whether a right answer is made and then lost on its way."""
        return self.kind in _UNDELIVERED


class Troubles:
    """The queue of rules."""

    def __init__(self) -> None:
        self._rules: list[Rule] = []

    def add(self, given: Mapping[str, Any]) -> None:
        """Append a rule. A kind or an option that does not exist is a ValueError that names those that do."""
        rest = dict(given)
        kind = rest.pop("kind", None)
        if kind not in KINDS:
            raise ValueError(f"No trouble is called {kind!r}; there are {', '.join(sorted(KINDS))}.")
        times, after = rest.pop("times", 1), rest.pop("after", 0)
        only_if = rest.pop("only_if_contains", None)
        if unknown := sorted(set(rest) - KINDS[kind]):
            raise ValueError(f"The trouble {kind!r} takes no {unknown[0]!r}; it takes {sorted(KINDS[kind])}.")
        if kind in _NEEDED and rest.get(_NEEDED[kind]) is None:
            raise ValueError(f"The trouble {kind!r} needs {_NEEDED[kind]!r}.")
        self._rules.append(Rule(kind, times, after, only_if, rest))

    def clear(self) -> None:
        """Drop every rule."""
        self._rules.clear()

    def match(self, request: EmbeddingRequest) -> Rule | None:
        """Return the rule a request meets, and count it."""
        for rule in self._rules:
            if not rule.concerns(request):
                continue
            if rule.after > 0:
                rule.after -= 1
                continue
            if rule.times is not None:
                rule.times -= 1
                if rule.times <= 0:
                    self._rules.remove(rule)
            return rule
        return None


def refuse(rule: Rule, request: EmbeddingRequest) -> None:
    """Raise what a rule answers in place of embeddings, if it is a rule of that sort."""
    options = rule.options
    if rule.kind == "status":
        raise _status(options, request)
    status = int(options.get("status", 400))
    if rule.kind == "refuse_base64":
        raise Refused(status, classic(status, "encoding_format: base64 is not supported by this provider"))
    if rule.kind == "refuse_batch":
        raise Refused(status, classic(status, f"too many inputs in one batch, at most {options['limit']}"))
    if rule.kind == "refuse_text":
        raise Refused(status, classic(status, "an input was rejected by the provider"))
    if rule.kind == "error_in_200":
        message = options.get("message", "No successful provider responses.")
        raise Refused(200, {"error": {"message": message, "code": options.get("code", 404)}})


def _status(options: Mapping[str, Any], request: EmbeddingRequest) -> Refused:
    status = int(options["status"])
    message, wait = options.get("message"), options.get("retry_after")
    headers = {str(name): str(value) for name, value in (options.get("headers") or {}).items()}
    if wait is not None:
        headers.setdefault("Retry-After", str(wait))
    style = options.get("style", "classic")
    body = options.get("body")
    if body is not None:
        return Refused(status, body, headers)
    if style == "classic":
        made = classic(status, message, error_type=options.get("error_type"), provider=options.get("provider"))
    elif style == "availability":
        made = availability(status, message, code=options.get("code"), retry_after=wait, model=request.model)
    elif style == "infron":
        made = infron(status, message)
    else:
        raise invalid(f"no error style is called {style!r}")
    return Refused(status, made, headers)


def _contains(items: list[Item], part: str) -> bool:
    return any(part in text for item in items for text in item.texts)
