"""What a client finds out about its model. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from ._plan import MOST_INPUTS, SAFE_INPUTS, SAFE_TOKENS
from .options import Options
from .profiles import Profile


@dataclass(slots=True)
class Learned:
    """What a client finds out about its model while it works; shared by all its calls, threads and loops.

    Attributes:
        encoding: `"base64"` or `"float"` once known; None while the first answer is awaited.
        max_inputs: Most inputs a request may hold, as far as known.
        max_tokens: Most estimated tokens a request may hold.
        dimensions: Width of the answers so far.
    """

    encoding: str | None
    max_inputs: int
    max_tokens: int = SAFE_TOKENS
    dimensions: int | None = None

    def refuse_size(self, count: int) -> None:
        """Remember that a request of `count` inputs was too large."""
        self.max_inputs = max(1, min(self.max_inputs, count // 2))


def first_lessons(options: Options, profile: Profile) -> Learned:
    """Return what is known of a model before its first answer."""
    encoding = options.encoding_format if options.encoding_format != "auto" else None if profile.base64 else "float"
    return Learned(
        encoding=encoding,
        max_inputs=options.batch_size or min(MOST_INPUTS, profile.max_inputs or SAFE_INPUTS),
        max_tokens=options.batch_tokens or profile.max_request_tokens or SAFE_TOKENS,
    )
