"""The models of a gateway, as a table or as JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from openrouter_embeddings import ModelInfo

from .exits import plain

_WIDE = 400
_HEAD = ("model", "USD per million tokens", "context", "dimensions", "modalities")


def matching(models: Iterable[ModelInfo], search: str) -> list[ModelInfo]:
    """Return the models whose id or name holds each word, whatever its case."""
    words = search.lower().split()
    return [one for one in models if all(word in f"{one.id} {one.name}".lower() for word in words)]


def as_json(models: Iterable[ModelInfo]) -> str:
    """Return a JSON list."""
    return json.dumps([_plain(one) for one in models], indent=2)


def _plain(model: ModelInfo) -> dict[str, Any]:
    return {
        "id": model.id,
        "name": model.name,
        "prompt_price": model.prompt_price,
        "context_length": model.context_length,
        "dimensions": model.dimensions,
        "input_modalities": list(model.input_modalities),
        "max_inputs": model.max_inputs,
        "expires": model.expires.isoformat() if model.expires else None,
    }


def print_table(models: Iterable[ModelInfo]) -> None:
    """Print a table to stdout; into a pipe, no wider than it must be and never wrapped."""
    table = Table(box=None, pad_edge=False)
    for name in _HEAD:
        table.add_column(name, justify="left" if name in {"model", "modalities"} else "right", overflow="fold")
    for one in models:
        cells = (
            one.id,
            "" if one.prompt_price is None else f"{one.prompt_price:.4g}",
            f"{one.context_length:,}" if one.context_length else "",
            str(one.dimensions or ""),
            ", ".join(one.input_modalities),
        )
        table.add_row(*(Text(plain(cell)) for cell in cells))
    Console(file=sys.stdout, width=None if sys.stdout.isatty() else _WIDE).print(table)
