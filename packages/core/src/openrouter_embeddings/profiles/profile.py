"""What a model profile is. The facts are in `models` and `families`, the matching is in `lookup`."""

from __future__ import annotations

from dataclasses import dataclass


class ProfileWarning(UserWarning):
    """No profile is known for a model, so how its queries and documents are marked is a guess."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Marking:
    """How a text is marked with its input type: a wire value, a text prefix, or nothing. Never both."""

    input_type: str | None = None
    """The value of `input_type` in the upstream's own spelling."""
    prefix: str = ""
    """Put in front of the text, byte for byte: a trailing space, or its absence, matters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """The facts about one model of one width. What is None is not known, never a guess."""

    family: str
    patterns: tuple[str, ...] = ()
    """Shell patterns on the normalised basename of a model id; the longest that fits wins."""
    native_dimensions: int | None = None
    """The width without `dimensions` in the request."""
    selectable: tuple[int, int] | frozenset[int] | None = None
    """Which `dimensions` may be asked for: (lowest, highest), a set, or None for none (or not known)."""
    query: Marking = Marking()
    document: Marking = Marking()
    normalized: bool | None = None
    """Whether the model returns unit length at its native width; hosts behind a gateway may differ."""
    renormalize: bool = False
    """Whether unit length is ours to restore by default."""
    max_tokens: int | None = None
    """The true most tokens of one input, which a gateway's listing may overstate."""
    max_inputs: int | None = None
    """Most inputs of one request at the strictest upstream a gateway is known to use."""
    max_request_tokens: int | None = None
    """Most tokens of one request, over all its inputs."""
    modalities: tuple[str, ...] = ("text",)
    base64: bool = True
    """False where hosts are known to answer base64 with an empty list."""
    price_per_million: float | None = None
    """USD per million tokens, as listed on 2026-09-12."""
    example_id: str = ""
    """A full id, as OpenRouter lists or would list it."""
    listed: bool = False
    """Whether OpenRouter's listing of 2026-09-12 named the model."""
    source: str = ""
    """Where the facts were read."""
    read_on: str = "2026-11-20"
    verified: bool = False
    """Whether the markings were read in the vendor's words or reference code. None is checked through a gateway."""
