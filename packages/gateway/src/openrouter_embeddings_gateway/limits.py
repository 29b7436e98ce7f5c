"""What the upstream of a model takes, applied as the upstream does."""

from __future__ import annotations

from collections.abc import Sequence

from openrouter_embeddings.profiles import Profile

from .errors import invalid
from .schema import MODALITIES, EmbeddingRequest

_LONGEST_TOKEN = 32
"""More characters a token than any text has: what is longer than this many times the limit needs no count."""
_WIDEST = 8192


def check_shape(request: EmbeddingRequest, profile: Profile) -> None:
    """Refuse what the model does not take, before anything is tokenised."""
    if profile.max_inputs is not None and len(request.items) > profile.max_inputs:
        raise invalid(f"too many inputs: {len(request.items)} in one request, at most {profile.max_inputs}")
    if request.tokenized and profile.family != "openai":
        raise invalid("input: token arrays are not supported by this model")
    _check_dimensions(request.dimensions, profile)
    _check_modalities(request, profile)
    if profile.max_tokens is not None:
        longest = max(sum(map(len, item.texts)) for item in request.items)
        if longest > profile.max_tokens * _LONGEST_TOKEN:
            raise _too_long(profile.max_tokens)


def _check_modalities(request: EmbeddingRequest, profile: Profile) -> None:
    known = profile.modalities if profile.example_id else MODALITIES.values()
    for item in request.items:
        for modality, _ in item.others:
            if modality not in known:
                raise invalid(f"No endpoints found that support {modality} input")


def _check_dimensions(dimensions: int | None, profile: Profile) -> None:
    if dimensions is None:
        return
    if dimensions > _WIDEST:
        raise invalid(f"dimensions: must be at most {_WIDEST}")
    if not profile.example_id:  # nothing is known of the model
        return
    selectable = profile.selectable
    if selectable is None:
        raise invalid("dimensions: this model does not support specifying dimensions")
    if isinstance(selectable, frozenset):
        if dimensions not in selectable:
            raise invalid(f"dimensions: expected one of {', '.join(map(str, sorted(selectable)))}")
        return
    low, high = selectable
    if not low <= dimensions <= high:
        raise invalid(f"dimensions: must be between {low} and {high}")


def check_tokens(tokens: Sequence[int], profile: Profile) -> None:
    """Refuse inputs that are too long, one by one and together."""
    if profile.max_tokens is not None and tokens and max(tokens) > profile.max_tokens:
        raise _too_long(profile.max_tokens)
    if profile.max_request_tokens is not None and sum(tokens) > profile.max_request_tokens:
        raise invalid(
            f"too many tokens: {sum(tokens)} in one request, at most {profile.max_request_tokens}",
            error_type="token_limit_exceeded",
        )


def _too_long(limit: int) -> Exception:
    return invalid(f"This model's maximum context length is {limit} tokens", error_type="context_length_exceeded")
