"""How much a test of an engine embeds: `OPENROUTER_EMBEDDINGS_ENGINES=full nox -s engines` embeds ten times as much."""

from __future__ import annotations

import os

ORDER = "OPENROUTER_EMBEDDINGS_ENGINES"
IS_ASKED_FOR = ORDER in os.environ
"""Whether engines are to be tested at all."""


def sized(full: int, small: int) -> int:
    """Return how many texts a test embeds."""
    return full if os.environ.get(ORDER) == "full" else small
