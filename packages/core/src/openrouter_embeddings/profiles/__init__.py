"""Knows facts about models: how each marks queries and documents, its widths, its limits, with source and date."""

from .lookup import UNKNOWN, normalise_model_id, profile_for, wire_model_id
from .models import PROFILES
from .profile import Marking, Profile, ProfileWarning

__all__ = [
    "PROFILES",
    "UNKNOWN",
    "Marking",
    "Profile",
    "ProfileWarning",
    "normalise_model_id",
    "profile_for",
    "wire_model_id",
]
