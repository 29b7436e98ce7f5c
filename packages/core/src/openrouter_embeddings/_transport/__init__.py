"""Exchanges one request for one answer over HTTP; the only wing that builds HTTP clients."""

from .body import accepted_encodings
from .http import HttpTransport

__all__ = ["HttpTransport", "accepted_encodings"]
