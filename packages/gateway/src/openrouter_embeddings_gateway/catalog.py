"""Which models there are, and what a request for another one hears."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from openrouter_embeddings.profiles import PROFILES, UNKNOWN, Profile, profile_for, wire_model_id

from .errors import Refused, availability
from .schema import MODALITIES
from .settings import Settings

_VARIANTS = ("nitro", "floor")
"""Endings that sort the providers of any model; every other variant is a model of its own."""


class Catalog:
    """The models of the profiles by their exact ids, and those that the settings add.

    A lenient catalog knows every other id too, by what a profile's patterns say of it.
    """

    def __init__(self, settings: Settings) -> None:
        self._lenient = settings.lenient
        added = {model: _profile_of_width(model, width) for model, width in settings.models.items()}
        self.models: Mapping[str, Profile] = {profile.example_id: profile for profile in PROFILES} | added

    def find(self, model: str) -> Profile | None:
        """Return the profile of a model that is listed or matches a profile, or None."""
        name, _, variant = model.rpartition(":")
        known = self.models.get(model) or (self.models.get(name) if variant in _VARIANTS else None)
        if known is not None or not self._lenient:
            return known
        matched = profile_for(model)
        return None if matched is UNKNOWN else matched

    def profile_of(self, model: str) -> Profile:
        """Return the profile that a model is served by, or refuse as OpenRouter refuses an id that it does not know."""
        if (known := self.find(model)) is not None:
            return known
        if self._lenient and not _never_exists(model):
            return UNKNOWN
        message = (
            f"{model} is not a valid model ID. This is a local gateway: GET /models lists its models, --model adds one"
        )
        raise Refused(400, availability(400, message, code="model_not_found", model=model))


def _never_exists(model: str) -> bool:
    """Return whether an id is kept for tests of a missing model, however lenient the gateway is."""
    name = wire_model_id(model)
    return name == "nobody/no-such-model" or name.startswith("missing/")


def _profile_of_width(model: str, width: int) -> Profile:
    """Return what is known of an added model: its width, and what a profile's patterns say of its id."""
    profile = profile_for(model)
    if profile is UNKNOWN:
        profile = replace(UNKNOWN, modalities=tuple(MODALITIES.values()))
    return replace(profile, native_dimensions=width)
