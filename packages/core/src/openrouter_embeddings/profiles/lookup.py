"""The facts about model families, and which of them an id stands for.

A model that is not known has no facts: no prefix, no width, no limit is assumed for it, and nothing is
guessed from its vendor.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from functools import lru_cache

from .models import PROFILES
from .profile import Profile

UNKNOWN = Profile(family="unknown")
"""What holds for a model no profile fits: nothing."""


_VENDORS = (
    "sentence-transformers",
    "mixedbread-ai",
    "perplexity",
    "mistralai",
    "snowflake",
    "nomic-ai",
    "intfloat",
    "thenlper",
    "voyageai",
    "cohere",
    "google",
    "jinaai",
    "liquid",
    "nvidia",
    "openai",
    "baai",
    "qwen",
)
"""Vendors that stand in front of a model's name with a dash in some gateways' ids."""


_PATTERNS = sorted(
    ((pattern, profile) for profile in PROFILES for pattern in profile.patterns),
    key=lambda pair: len(pair[0]),
    reverse=True,
)


def wire_model_id(model: str) -> str:
    """Return the id as it goes over the wire: untouched, but for a leading `openrouter/` of another tool's making.

    `openrouter/auto` and its like are the gateway's own and stay.
    """
    rest = model.removeprefix("openrouter/")
    return rest if "/" in rest else model


def normalise_model_id(model: str) -> str:
    """Return the part of an id that names the model: lower case, without vendor path, `:variant` and `@version`.

    For matching only; what is sent is `wire_model_id`.
    """
    return model.strip().lower().rpartition("/")[2].partition(":")[0].partition("@")[0]


@lru_cache(maxsize=1024)
def profile_for(model: str) -> Profile:
    """Return the profile of a model id, `UNKNOWN` if none fits. The longest pattern that fits wins."""
    name = normalise_model_id(model)
    vendor = next((vendor for vendor in _VENDORS if name.startswith(f"{vendor}-")), None)
    return _match(name) or (_match(name.removeprefix(f"{vendor}-")) if vendor else None) or UNKNOWN


def _match(name: str) -> Profile | None:
    return next((profile for pattern, profile in _PATTERNS if fnmatchcase(name, pattern)), None)
