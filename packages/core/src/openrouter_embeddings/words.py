"""The words that users bring from other clients, and what they are called here."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import fields

from .errors import ConfigurationError
from .options import Options


def check_known(names: Sequence[str]) -> None:
    """Raise `ConfigurationError` for an option that does not exist, naming the nearest that does."""
    known = [option.name for option in fields(Options)]
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise ConfigurationError(
                f"Option {name!r} is unknown.{hint} A request field newer than this release goes under extra_body."
            )
