"""What a request may hold, checked as OpenRouter and its upstreams check it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from .errors import invalid
from .preferences import check_preferences, serving_provider

_OPTIONAL = {"dimensions": int, "encoding_format": str, "input_type": str, "user": str, "session_id": str}
_PARTS = {"image_url": "url", "input_audio": "data", "input_video": "data", "input_file": "data"}
MODALITIES = {
    "text": "text",
    "image_url": "image",
    "input_audio": "audio",
    "input_video": "video",
    "input_file": "file",
}


@dataclass(frozen=True, slots=True)
class Item:
    """One input: its texts, and what else it holds as (modality, data)."""

    texts: tuple[str, ...]
    others: tuple[tuple[str, str], ...] = ()
    ids: int | None = None
    """How many token ids the caller sent instead of text."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that is right in itself; whether the model takes it is another question."""

    model: str
    items: list[Item]
    dimensions: int | None
    base64: bool
    input_type: str | None
    tokenized: bool
    provider: str
    """Who serves it, by the request's preferences."""


def read_body(raw: bytes) -> dict[str, Any]:
    """Return the body as a dict, or refuse what is not JSON or not an object."""
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise invalid("Invalid JSON in the request body") from None
    if not isinstance(body, dict):
        raise invalid("The request body must be an object")
    return body


def read_request(body: Mapping[str, Any]) -> Asked:
    """Return what was asked, or refuse. Unknown top-level fields are ignored; an optional field is never null."""
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise invalid("model: expected a string")
    for name, kind in _OPTIONAL.items():
        if name in body and (not isinstance(body[name], kind) or isinstance(body[name], bool)):
            raise invalid(f"{name}: expected {kind.__name__}, received {_kind(body[name])}")
    dimensions = body.get("dimensions")
    if dimensions is not None and dimensions < 1:
        raise invalid("dimensions: must be at least 1")
    encoding = body.get("encoding_format", "float")
    if encoding not in {"float", "base64"}:
        raise invalid("encoding_format: expected 'float' or 'base64'")
    if len(body.get("session_id", "")) > 256:
        raise invalid("session_id: at most 256 characters")
    if "trace" in body and not isinstance(body["trace"], dict):
        raise invalid(f"trace: expected an object, received {_kind(body['trace'])}")
    check_preferences(body.get("provider"))
    items = _items(body.get("input"))
    return Asked(
        model=model,
        items=items,
        dimensions=dimensions,
        base64=encoding == "base64",
        input_type=body.get("input_type"),
        tokenized=any(item.ids is not None for item in items),
        provider=serving_provider(body.get("provider")),
    )


def _items(given: Any) -> list[Item]:
    if isinstance(given, str):
        return [_text(given, "input")]
    if not isinstance(given, list):
        raise invalid(f"input: expected a string or a list, received {_kind(given)}")
    if not given:
        raise invalid("input: must not be empty")
    if all(isinstance(one, str) for one in given):
        return [_text(one, f"input[{at}]") for at, one in enumerate(given)]
    if all(_is_number(one) for one in given):
        return [_tokens(given)]
    if all(isinstance(one, list) and one and all(_is_number(number) for number in one) for one in given):
        return [_tokens(one) for one in given]
    if all(isinstance(one, dict) for one in given):
        return [_content(one, f"input[{at}]") for at, one in enumerate(given)]
    raise invalid("input: expected strings only, token arrays only, or content objects only")


def _text(text: str, where: str) -> Item:
    if not text:
        raise invalid(f"{where}: a text must hold at least 1 character")
    return Item((text,))


def _tokens(ids: list[float]) -> Item:
    return Item((" ".join(str(int(number)) for number in ids),), ids=len(ids))


def _content(given: Mapping[str, Any], where: str) -> Item:
    parts = given.get("content")
    if not isinstance(parts, list) or not parts:
        raise invalid(f"{where}.content: expected a list of at least 1 part")
    texts: list[str] = []
    others: list[tuple[str, str]] = []
    for at, part in enumerate(parts):
        here = f"{where}.content[{at}]"
        kind = part.get("type") if isinstance(part, dict) else None
        if kind == "text":
            text = part.get("text")
            if not isinstance(text, str) or not text:
                raise invalid(f"{here}.text: a text must hold at least 1 character")
            texts.append(text)
        elif kind in _PARTS:
            held = part.get(kind)
            data = held.get(_PARTS[kind]) if isinstance(held, dict) else None
            if not isinstance(data, str) or not data:
                raise invalid(f"{here}.{kind}.{_PARTS[kind]}: expected a string")
            others.append((MODALITIES[kind], data))
        else:
            raise invalid(f"{here}.type: expected one of {', '.join(MODALITIES)}")
    return Item(tuple(texts), tuple(others))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _kind(value: Any) -> str:
    return "null" if value is None else type(value).__name__
