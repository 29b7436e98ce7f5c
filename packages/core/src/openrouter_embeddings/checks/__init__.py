"""Tries a model live: does it do what its profile says, and do its providers agree? What runs a check loads later."""

from .reports import DIFFERS, FAILED, OK, UNKNOWN, ConsistencyCheck, Finding, ModelCheck, ProviderCheck

__all__ = ["DIFFERS", "FAILED", "OK", "UNKNOWN", "ConsistencyCheck", "Finding", "ModelCheck", "ProviderCheck"]
