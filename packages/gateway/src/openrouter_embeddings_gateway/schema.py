"""What a request may hold, checked as OpenRouter and its upstreams check it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
class EmbeddingRequest:
    """A request that is right in itself; whether the model takes it is another question."""

    model: str
    items: list[Item]
    dimensions: int | None
    base64: bool
    input_type: str | None
    tokenized: bool
    preferences: Mapping[str, Any]
    """The `provider` object."""
    provider: str
    """Who serves it, by these preferences."""


def read_body(raw: bytes) -> dict[str, Any]:
    """Return the body as a dict, or refuse what is not JSON or not an object."""
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise invalid("Invalid JSON in the request body") from None
    if not isinstance(body, dict):
        raise invalid("The request body must be an object")
    return body


def read_request(body: Mapping[str, Any]) -> EmbeddingRequest:
    """Return what is asked, or refuse. Unknown top-level fields are ignored; an optional field is never null."""
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise invalid("model: expected a string")
    _check_options(body)
    preferences = body.get("provider")
    check_preferences(preferences)
    items = _items(body.get("input"))
    return EmbeddingRequest(
        model=model,
        items=items,
        dimensions=body.get("dimensions"),
        base64=body.get("encoding_format") == "base64",
        input_type=body.get("input_type"),
        tokenized=any(item.ids is not None for item in items),
        preferences=preferences or {},
        provider=serving_provider(preferences or {}),
    )


def _check_options(body: Mapping[str, Any]) -> None:
    for name, kind in _OPTIONAL.items():
        if name in body and (not isinstance(body[name], kind) or isinstance(body[name], bool)):
            raise invalid(f"{name}: expected {kind.__name__}, received {_kind(body[name])}")
    if body.get("dimensions", 1) < 1:
        raise invalid("dimensions: must be at least 1")
    if body.get("encoding_format", "float") not in {"float", "base64"}:
        raise invalid("encoding_format: expected 'float' or 'base64'")
    if len(body.get("session_id", "")) > 256:
        raise invalid("session_id: at most 256 characters")
    if "trace" in body and not isinstance(body["trace"], dict):
        raise invalid(f"trace: expected an object, received {_kind(body['trace'])}")


def _items(given: Any) -> list[Item]:
    """Return the inputs. A list holds inputs of one kind, which its first one shows, or is one input of token ids."""
    if isinstance(given, str):
        return [_text(given, "input")]
    if not isinstance(given, list):
        raise invalid(f"input: expected a string or a list, received {_kind(given)}")
    if not given:
        raise invalid("input: must not be empty")
    if _are_numbers(given):
        return [_tokens(given)]
    for fits, read in _READERS:
        if all(map(fits, given)):
            return [read(item, f"input[{index}]") for index, item in enumerate(given)]
    raise invalid("input: expected strings only, token arrays only, or content objects only")


def _text(text: str, where: str) -> Item:
    if not text:
        raise invalid(f"{where}: a text must hold at least 1 character")
    return Item((text,))


def _tokens(ids: list[float], where: str = "input") -> Item:
    if any(number < 0 or number != int(number) for number in ids):
        raise invalid(f"{where}: a token id is a whole number, 0 or more")
    return Item((" ".join(str(int(number)) for number in ids),), ids=len(ids))


def _content(given: Mapping[str, Any], where: str) -> Item:
    parts = given.get("content")
    if not isinstance(parts, list) or not parts:
        raise invalid(f"{where}.content: expected a list of at least 1 part")
    texts: list[str] = []
    others: list[tuple[str, str]] = []
    for index, part in enumerate(parts):
        here = f"{where}.content[{index}]"
        kind = part.get("type") if isinstance(part, dict) else None
        if kind == "text":
            texts.append(_part_text(part.get("text"), here))
        elif kind in _PARTS:
            others.append((MODALITIES[kind], _part_data(part, kind, here)))
        else:
            raise invalid(f"{here}.type: expected one of {', '.join(MODALITIES)}")
    return Item(tuple(texts), tuple(others))


def _part_text(text: Any, where: str) -> str:
    if not isinstance(text, str) or not text:
        raise invalid(f"{where}.text: a text must hold at least 1 character")
    return text


def _part_data(part: Mapping[str, Any], kind: str, where: str) -> str:
    held = part.get(kind)
    data = held.get(_PARTS[kind]) if isinstance(held, dict) else None
    if not isinstance(data, str) or not data:
        raise invalid(f"{where}.{kind}.{_PARTS[kind]}: expected a string")
    return data


def _are_numbers(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(map(_is_number, value))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _kind(value: Any) -> str:
    return "null" if value is None else type(value).__name__


_READERS: tuple[tuple[Callable[[Any], bool], Callable[[Any, str], Item]], ...] = (
    (lambda item: isinstance(item, str), _text),
    (_are_numbers, _tokens),
    (lambda item: isinstance(item, dict), _content),
)
"""What a list may hold, and how each is read."""
